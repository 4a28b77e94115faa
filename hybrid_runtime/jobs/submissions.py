"""Accepting jobs: many submissions in one transaction, each taken as a whole or refused by itself."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hybrid_runtime.errors import Conflict, Forbidden, HybridRuntimeError, InvalidInput, NotFound, QuotaExceeded
from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.algorithms import chosen_project, resolve
from hybrid_runtime.jobs.bundles import hold, require_bundle
from hybrid_runtime.jobs.ledger import Ledger, Row, ledger
from hybrid_runtime.jobs.requests import checked_limits, digest, new_job_id
from hybrid_runtime.jobs.scheduler import RANKS
from hybrid_runtime.jobs.schema import bundles, environments, jobs, keys, loads, members
from hybrid_runtime.jobs.standing import require_backend
from hybrid_runtime.jobs.views import shown
from hybrid_runtime.resources.accounts import Role
from hybrid_runtime.resources.jobs import ForkRequest, Job, JobKind, JobRequest, Priority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.jobs.access import Principal
    from hybrid_runtime.jobs.database import Database
    from hybrid_runtime.jobs.policy import Policy

# When a full queue is worth another try: a guess, jobs take from seconds to hours.
_RETRY_AFTER_S = 30.0


@dataclass(frozen=True)
class Submission:
    """One call: one job, or a batch that is accepted as a whole.

    Attributes:
        key: An idempotency key.
        many: Whether it is a batch; the same key means another thing then.
        fork: What the one job is forked from: the row of the other one, and what is asked.
    """

    who: Principal
    requests: Sequence[JobRequest]
    key: str | None = None
    many: bool = False
    fork: tuple[Row, ForkRequest] | None = None


def accept(database: Database, policy: Policy, submissions: Sequence[Submission]) -> list[list[Job] | Exception]:
    """Take these submissions; each one's jobs, or why it is refused."""
    with ledger(database) as book:
        desk = Desk(database, policy, book, submissions)
        answers: list[list[Row] | Exception] = []
        for submission in submissions:
            try:
                answers.append(desk.take(submission))
            except HybridRuntimeError as error:
                answers.append(error)
        desk.close()
    with database.read() as connection:
        rows = [row for answer in answers if not isinstance(answer, Exception) for row in answer]
        jobs_made = iter(shown(connection, rows, database.now(), policy))
    return [answer if isinstance(answer, Exception) else [next(jobs_made) for _ in answer] for answer in answers]


class Desk:
    """Checks submissions within one transaction; what it has looked up serves all of them."""

    def __init__(self, database: Database, policy: Policy, book: Ledger, submissions: Sequence[Submission]) -> None:
        self._database = database
        self._policy = policy
        self._book = book
        self._connection = book.connection
        self._rows: list[Row] = []
        self._new_keys: list[Row] = []
        self._backends: dict[str, sa.Row[Any]] = {}
        self._bundles: dict[tuple[str, str], sa.Row[Any]] = {}
        self._holds: set[tuple[str, str]] = set()
        # All that is asked of every submission, in one query each.
        who = sorted({submission.who.user for submission in submissions})
        self._projects = self._find_projects(who)
        self._waiting = self._find_waiting(who)
        self._keys = self._find_keys(who, [one.key for one in submissions if one.key is not None])

    def _find_projects(self, who: list[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {user: [] for user in who}
        query = sa.select(members.c.user, members.c.project).where(members.c.user.in_(who))
        for user, project in self._connection.execute(query.order_by(members.c.project)):
            found[user].append(project)
        return found

    def _find_waiting(self, who: list[str]) -> dict[str, int]:
        query = sa.select(loads.c.user, sa.func.sum(loads.c.waiting)).where(loads.c.user.in_(who))
        found = self._connection.execute(query.group_by(loads.c.user))
        return dict.fromkeys(who, 0) | {user: int(count) for user, count in found}

    def _find_keys(self, who: list[str], given: list[str]) -> dict[tuple[str, str], Row]:
        if not given:
            return {}
        query = sa.select(keys).where(keys.c.user.in_(who), keys.c.key.in_(given))
        return {(row.user, row.key): row._asdict() for row in self._connection.execute(query)}

    def take(self, submission: Submission) -> list[Row]:
        """The rows of a submission's jobs; they are written by `close`.

        Raises:
            HybridRuntimeError: it is refused; nothing of it stays.
        """
        who, key = submission.who, submission.key
        known = None if key is None else self._keys.get((who.user, key))
        asked = "" if key is None else digest(submission.requests, submission.many)
        if known is not None:
            if known["digest"] != asked:
                raise Conflict(f"the idempotency key {key!r:.80} was used for another request; take a new one")
            again = self._again(known["jobs"])
            if len(again) < len(known["jobs"]):
                raise Conflict(
                    f"what was submitted with the idempotency key {key!r:.80} has been removed; take a new one"
                )
            return again
        depth = self._waiting[who.user]
        if depth + len(submission.requests) > self._policy.queued_per_user:
            raise QuotaExceeded(
                f"{who.user} has {depth} jobs waiting; at most {self._policy.queued_per_user} may: "
                "wait until some have run, or cancel some",
                retry_after_s=_RETRY_AFTER_S,
            )
        rows = [self._job(who, request) for request in submission.requests]
        if submission.fork is not None:
            source, fork = submission.fork
            self._require_kept(source)
            rows[0] |= {"forked_from": source["id"], "fork_step": fork.step}
        self._waiting[who.user] = depth + len(rows)
        self._rows += rows
        self._holds |= {(row["bundle"], row["project"]) for row in rows if row["bundle"] is not None}
        if key is not None:
            jobs_made = [row["id"] for row in rows]
            record = {"user": who.user, "key": key, "digest": asked, "jobs": jobs_made, "created_at": self._book.now}
            self._keys[who.user, key] = record
            self._new_keys.append(record)
        return rows

    def _require_kept(self, source: Row) -> None:
        """Pass if the job that is forked is still there: it may have been removed since its row was read."""
        if self._connection.scalar(sa.select(jobs.c.number).where(jobs.c.number == source["number"])) is None:
            raise NotFound(f"job {source['id']} has been removed")

    def close(self) -> None:
        """Write what has been taken."""
        self._book.accept(self._rows, "submitted")
        for bundle, project in sorted(self._holds):
            hold(self._database, self._connection, bundle, "project", project)
        if self._new_keys:
            self._connection.execute(sa.insert(keys), self._new_keys)

    def _again(self, ids: list[str]) -> list[Row]:
        """The rows of jobs that were accepted before, in this transaction or in another one."""
        found = {row["id"]: row for row in self._rows if row["id"] in ids}
        missing = [one for one in ids if one not in found]
        for first in range(0, len(missing), 500):
            some = sa.select(jobs).where(jobs.c.id.in_(missing[first : first + 500]))
            found |= {row.id: row._asdict() for row in self._connection.execute(some)}
        return [found[one] for one in ids if one in found]

    def _job(self, who: Principal, request: JobRequest) -> Row:
        if request.priority is Priority.HIGH and not who.has(Role.OPERATOR):
            raise Forbidden(f"priority high takes the role {Role.OPERATOR}; submit with normal or low")
        project = chosen_project(request.project, self._projects[who.user])
        backend = self._backend(request.backend)
        bundle, algorithm = request.bundle, request.algorithm
        if algorithm is not None:
            version = resolve(self._connection, project, algorithm)
            bundle, algorithm = version.bundle, f"{version.name}@{version.version}"
        if bundle is not None:
            self._check_environment(self._bundle(who, bundle, owned=algorithm is not None), backend, request)
        now = self._book.now
        planned = request.start_after is not None and request.start_after > now
        return {
            "id": new_job_id(now),
            "kind": str(JobKind.QUANTUM if bundle is None else JobKind.HYBRID),
            "name": request.name,
            "project": project,
            "user": who.user,
            "backend": request.backend,
            "state": str(JobState.PLANNED if planned else JobState.QUEUED),
            "rank": RANKS[request.priority],
            "seed": secrets.randbits(32) if request.seed is None else request.seed,
            "shots": request.shots,
            "environment": request.environment,
            "bundle": bundle,
            "algorithm": algorithm,
            "forked_from": None,
            "fork_step": None,
            "keep_requests": request.keep_requests,
            "created_at": now,
            "start_after": request.start_after if planned else None,
            "started_at": None,
            "ended_at": None,
            "state_since": now,
            "reason": "submitted",
            "steps": 0,
            "shots_done": 0,
            "qpu_s": 0.0,
            "stop_reason": None,
            "error": None,
            "attempts": 0,
            "fence": 0,
            "lease_owner": None,
            "lease_until": None,
            "events": 0,
            "logs": 0,
            "log_bytes": 0,
            "metrics": 0,
            "limits": checked_limits(request.limits),
            "language": request.language,
            "parameters": request.parameters,
            "circuit": request.circuit,
        }

    def _backend(self, name: str) -> sa.Row[Any]:
        if name not in self._backends:
            self._backends[name] = require_backend(self._connection, name)
        return self._backends[name]

    def _bundle(self, who: Principal, sha256: str, *, owned: bool) -> sa.Row[Any]:
        """A bundle's row; one that is `owned` was found in a project of the user's, which is leave enough."""
        if (who.user, sha256) not in self._bundles:
            if owned:
                found = self._connection.execute(sa.select(bundles).where(bundles.c.sha256 == sha256)).one()
            else:
                found = require_bundle(self._connection, who, sha256)
            self._bundles[who.user, sha256] = found
        return self._bundles[who.user, sha256]

    def _check_environment(self, bundle: sa.Row[Any], backend: sa.Row[Any], request: JobRequest) -> None:
        served = backend.environments
        if request.environment is not None and request.environment not in served:
            there = ", ".join(served) or "none"
            raise InvalidInput(f"backend {backend.name} has no environment {request.environment!r:.80}; it has {there}")
        if bundle.pure_source:
            return
        wanted = served if request.environment is None else [request.environment]
        pythons = dict(self._connection.execute(sa.select(environments.c.name, environments.c.python)).all())
        if wanted and not any(_minor(pythons[name]) == _minor(bundle.python) for name in wanted):
            fitting = ", ".join(name for name, python in pythons.items() if _minor(python) == _minor(bundle.python))
            there = ", ".join(f"{name} has Python {pythons[name]}" for name in wanted)
            instead = f"an environment that fits: {fitting}" if fitting else f"Python {pythons[wanted[0]]} yourself"
            raise InvalidInput(
                f"the algorithm was pickled by Python {bundle.python}, which no other version can read, and {there}: "
                f"put it into a file, or use {instead}"
            )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
