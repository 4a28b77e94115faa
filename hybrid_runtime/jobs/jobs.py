"""What users do with jobs: submit, look, steer, and read what they leave."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from hybrid_runtime.errors import Conflict, HybridRuntimeError, InvalidInput
from hybrid_runtime.job import JobState
from hybrid_runtime.jobs import checks
from hybrid_runtime.jobs.gathering import Gathering
from hybrid_runtime.jobs.ledger import Ledger, Row, ledger
from hybrid_runtime.jobs.listing import Filters, select_jobs
from hybrid_runtime.jobs.outcomes import cut_short, keep
from hybrid_runtime.jobs.reach import readable_row, steered_row, visible_row, without_content
from hybrid_runtime.jobs.requests import check_key, check_request
from hybrid_runtime.jobs.scheduler import PRIORITIES, RANKS
from hybrid_runtime.jobs.schema import ACTIVE_STATES, audit, commands, events, jobs, logs, metrics, results
from hybrid_runtime.jobs.submissions import Submission, accept
from hybrid_runtime.jobs.views import shown
from hybrid_runtime.resources.accounts import Role
from hybrid_runtime.resources.jobs import ForkRequest, Job, JobChange, JobKind, JobRequest, Priority
from hybrid_runtime.resources.pages import Page
from hybrid_runtime.resources.records import Event, LogLine, MetricPoint, Result

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Sequence

    from hybrid_runtime.jobs.access import Principal
    from hybrid_runtime.jobs.bells import Bells
    from hybrid_runtime.jobs.database import Database
    from hybrid_runtime.jobs.policy import Policy

    # Who asks for a job, the job, and an idempotency key.
    Asked = tuple[Principal, JobRequest, str | None]

_UNTIL_STARTED = frozenset({JobState.PLANNED, JobState.QUEUED, JobState.PAUSED})


class Jobs:
    """The jobs of all projects, each shown to those who may see it."""

    def __init__(self, database: Database, policy: Policy, bells: Bells) -> None:
        self._database = database
        self._policy = policy
        self._bells = bells
        self._submissions: Gathering[Submission, builtins.list[Job]] = Gathering(
            lambda submissions: accept(database, policy, submissions)
        )

    # ------------------------------------------------------------------------------------------ submitting

    def submit(self, who: Principal, request: JobRequest, idempotency_key: str | None = None) -> Job:
        """Queue a job. When this returns, the job is kept, whatever happens to any process.

        With an idempotency key, a request that is repeated gives the job of the first one.

        Raises:
            InvalidInput: something in the request cannot be used.
            BackendUnknown: there is no such backend.
            NotFound: the user has no such bundle, algorithm or project.
            Forbidden: the priority takes another role.
            Conflict: the key was used for another request.
            QuotaExceeded: the user has too many jobs waiting.
        """
        check_request(request)
        key = None if idempotency_key is None else check_key(idempotency_key)
        return self._taken(Submission(who, [request], key))[0]

    def submit_each(self, asked: Sequence[Asked]) -> builtins.list[Job | Exception]:
        """Queue jobs for as many callers, in one transaction: the job of each, or why there is none."""
        answers: dict[int, Job | Exception] = {}
        submissions: dict[int, Submission] = {}
        for number, (who, request, key) in enumerate(asked):
            try:
                check_request(request)
                submissions[number] = Submission(who, [request], None if key is None else check_key(key))
            except HybridRuntimeError as error:
                answers[number] = error
        taken = accept(self._database, self._policy, list(submissions.values())) if submissions else []
        for number, made in zip(submissions, taken, strict=True):
            answers[number] = made if isinstance(made, Exception) else made[0]
        self._ring(job for job in answers.values() if isinstance(job, Job))
        return [answers[number] for number in range(len(asked))]

    def submit_many(self, who: Principal, requests: Sequence[JobRequest], key: str | None = None) -> builtins.list[Job]:
        """Queue these jobs, all or none, in this order; otherwise as `submit`."""
        most = self._policy.batch
        if not 1 <= len(requests) <= most:
            raise InvalidInput(f"a batch holds 1 to {most} jobs, not {len(requests)}: send several batches")
        for number, request in enumerate(requests):
            try:
                check_request(request)
            except InvalidInput as error:
                raise InvalidInput(f"job {number} of the batch: {error}") from None
        checked = None if key is None else check_key(key)
        return self._taken(Submission(who, requests, checked, many=True))

    def fork(self, who: Principal, job_id: str, request: ForkRequest) -> Job:
        """Queue a job that begins with the first steps of another one.

        Raises:
            NotFound: the user does not see that job.
            Conflict: it is a single circuit, or has not come so far.
        """
        with self._database.read() as connection:
            row = readable_row(connection, who, job_id)
        if row["kind"] == JobKind.QUANTUM:
            raise Conflict(f"job {job_id} is a single circuit, which has no steps to begin with; submit it anew")
        if isinstance(request.step, bool) or request.step < 0:
            raise InvalidInput(f"step is a whole number from 0, not {request.step!r:.40}")
        if request.step > row["steps"]:
            raise Conflict(f"job {job_id} has {row['steps']} steps so far; choose a step up to that")
        wanted = JobRequest(
            backend=row["backend"] if request.backend is None else request.backend,
            bundle=row["bundle"],
            project=row["project"],
            name=row["name"] if request.name is None else request.name,
            parameters={**row["parameters"], **(request.parameters or {})},
            shots=row["shots"],
            seed=row["seed"],
            limits={**row["limits"], **(request.limits or {})},
            priority=PRIORITIES[row["rank"] if who.has(Role.OPERATOR) else max(row["rank"], RANKS[Priority.NORMAL])],
            environment=row["environment"] if request.backend is None else None,
            keep_requests=row["keep_requests"],
        )
        check_request(wanted)
        return self._taken(Submission(who, [wanted], fork=(row, request)))[0]

    # ------------------------------------------------------------------------------------------ looking

    def get(self, who: Principal, job_id: str) -> Job:
        """How a job stands.

        Raises:
            NotFound: there is none that the user sees.
        """
        with self._database.read() as connection:
            return self._now(connection, who, visible_row(connection, who, job_id))

    def list(
        self,
        who: Principal,
        *,
        project: str | None = None,
        backend: str | None = None,
        state: JobState | None = None,
        user: str | None = None,
        name: str | None = None,
        since: float | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Job]:
        """The jobs that the user sees and that have all these properties, the newest first.

        Raises:
            InvalidInput: a filter, the cursor or the limit cannot be used.
            NotFound: the user does not see the project.
        """
        if since is not None and not math.isfinite(since):
            raise InvalidInput(f"since is a time in seconds since 1970, not {since!r}")
        filters = Filters(project=project, backend=backend, state=state, user=user, name=name, since=since)
        with self._database.read() as connection:
            rows, following = select_jobs(connection, who, filters, cursor, checks.limit(limit))
            return Page(
                items=without_content(connection, who, shown(connection, rows, self._database.now(), self._policy)),
                next=following,
            )

    def history(self, who: Principal, job_id: str) -> builtins.list[JobChange]:
        """The states that a job has entered, the first one first.

        Raises:
            NotFound: there is none that the user sees.
        """
        with self._database.read() as connection:
            visible_row(connection, who, job_id)
            query = sa.select(audit).where(audit.c.subject == "job", audit.c.name == job_id).order_by(audit.c.id)
            return [
                JobChange(state=JobState(row.action), at=row.at, by=row.by, reason=row.reason)
                for row in connection.execute(query)
                if row.action in JobState.__members__.values()
            ]

    # ------------------------------------------------------------------------------------------ steering

    def cancel(self, who: Principal, job_id: str, kill: bool = False) -> Job:
        """End a job: at once when it does not run, else its runner is asked to; with `kill` without `finalize`.

        Raises:
            NotFound: there is none that the user sees.
            Forbidden: it is somebody else's.
            Conflict: it has ended by itself.
        """
        with ledger(self._database) as book:
            row = steered_row(book.connection, who, job_id)
            state = JobState(row["state"])
            orphan = state in ACTIVE_STATES and not (row["lease_until"] and row["lease_until"] > book.now)
            if state in _UNTIL_STARTED or (orphan and kill):
                result = cut_short(book.connection, row)
                error = msgspec.to_builtins(result.error)
                book.move(
                    row,
                    JobState.CANCELLED,
                    by=who.user,
                    reason="cancelled",
                    error=error,
                    stop_reason="cancelled",
                    fence=row["fence"] + 1,
                )
                keep(book.connection, row, result, book.now)
            elif state in ACTIVE_STATES:
                self._command(book, row, "kill" if kill else "cancel", who)
            elif state is not JobState.CANCELLED:
                raise Conflict(f"job {job_id} has {state}; there is nothing to cancel")
        self._bells.ring(row["backend"])
        return self.get(who, job_id)

    def pause(self, who: Principal, job_id: str) -> Job:
        """Let a job stop where it is, so that it can be resumed.

        Raises:
            NotFound: there is none that the user sees.
            Forbidden: it is somebody else's.
            Conflict: it has ended, or is about to.
        """
        with ledger(self._database) as book:
            row = steered_row(book.connection, who, job_id)
            state = JobState(row["state"])
            if state is JobState.QUEUED:
                book.move(row, JobState.PAUSED, by=who.user, reason="paused")
            elif state in (JobState.STARTING, JobState.RUNNING):
                book.move(row, JobState.PAUSING, by=who.user, reason="asked to pause")
                self._command(book, row, "pause", who)
            elif state not in (JobState.PAUSING, JobState.PAUSED):
                raise Conflict(f"job {job_id} is {state} and cannot be paused")
        self._bells.ring(row["backend"])
        return self.get(who, job_id)

    def resume(self, who: Principal, job_id: str) -> Job:
        """Put a paused job back into the queue, where it was.

        Raises:
            NotFound: there is none that the user sees.
            Forbidden: it is somebody else's.
            Conflict: it is not paused.
        """
        with ledger(self._database) as book:
            row = steered_row(book.connection, who, job_id)
            if row["state"] != JobState.PAUSED:
                raise Conflict(f"job {job_id} is {row['state']}; only a paused one can be resumed")
            book.move(row, JobState.QUEUED, by=who.user, reason="resumed")
        self._bells.ring(row["backend"])
        return self.get(who, job_id)

    def _command(self, book: Ledger, row: Row, kind: str, who: Principal) -> None:
        query = sa.select(commands.c.id).where(commands.c.job == row["number"], commands.c.kind == kind)
        if book.connection.scalar(query.limit(1)) is not None:
            return  # asked for before, and not yet done
        values = {"job": row["number"], "backend": row["backend"], "kind": kind, "by": who.user, "at": book.now}
        book.connection.execute(sa.insert(commands).values(**values))
        book.note(who.user, row, f"asked to {kind}")

    # ------------------------------------------------------------------------------------------ reading

    def result(self, who: Principal, job_id: str) -> Result | None:
        """A job's result; None while it has not ended.

        Raises:
            NotFound: there is none that the user sees.
            Forbidden: the user sees that it is there, but not what is in it.
        """
        with self._database.read() as connection:
            row = readable_row(connection, who, job_id)
            text = connection.scalar(sa.select(results.c.result).where(results.c.job == row["number"]))
        return None if text is None else msgspec.json.decode(text, type=Result)

    def logs(self, who: Principal, job_id: str, after: int = 0, limit: int = 1000) -> builtins.list[LogLine]:
        """Lines that follow line `after`; raises as `result`."""
        query = sa.select(logs).where(logs.c.sequence > checks.after(after)).order_by(logs.c.sequence)
        rows = self._left(who, job_id, logs, query, limit)
        return [LogLine(sequence=row.sequence, at=row.at, stream=row.stream, text=row.text) for row in rows]

    def metrics(
        self, who: Principal, job_id: str, after: int = 0, limit: int = 1000, name: str | None = None
    ) -> builtins.list[MetricPoint]:
        """Values of metrics that follow value `after`; raises as `result`."""
        query = sa.select(metrics).where(metrics.c.sequence > checks.after(after)).order_by(metrics.c.sequence)
        if name is not None:
            query = query.where(metrics.c.name == name)
        rows = self._left(who, job_id, metrics, query, limit)
        return [MetricPoint(sequence=row.sequence, at=row.at, name=row.name, value=row.value) for row in rows]

    def events(self, who: Principal, job_id: str, after: int = 0, limit: int = 1000) -> builtins.list[Event]:
        """Events that follow event `after`; raises as `result`."""
        query = sa.select(events).where(events.c.id > checks.after(after)).order_by(events.c.id)
        return [_event(row) for row in self._left(who, job_id, events, query, limit)]

    def events_of(self, job_id: str, after: int = 0, limit: int = 1000) -> builtins.list[Event]:
        """The same for a caller who has made sure of the right to see them."""
        number = sa.select(jobs.c.number).where(jobs.c.id == job_id).scalar_subquery()
        query = sa.select(events).where(events.c.job == number, events.c.id > checks.after(after))
        with self._database.read() as connection:
            return [_event(row) for row in connection.execute(query.order_by(events.c.id).limit(checks.limit(limit)))]

    def _left(self, who: Principal, job_id: str, table: sa.Table, query: Any, limit: int) -> Sequence[sa.Row[Any]]:
        with self._database.read() as connection:
            row = readable_row(connection, who, job_id)
            found: Sequence[sa.Row[Any]] = connection.execute(
                query.where(table.c.job == row["number"]).limit(checks.limit(limit))
            ).all()
            return found

    def _taken(self, submission: Submission) -> builtins.list[Job]:
        taken = self._submissions.ask(submission)
        self._ring(taken)
        return taken

    def _ring(self, made: Iterable[Job]) -> None:
        for backend in {job.backend for job in made}:
            self._bells.ring(backend)

    def _now(self, connection: sa.Connection, who: Principal, row: Row) -> Job:
        return without_content(connection, who, shown(connection, [row], self._database.now(), self._policy))[0]


def _event(row: sa.Row[Any]) -> Event:
    return Event(id=row.id, at=row.at, type=row.type, data=row.data)
