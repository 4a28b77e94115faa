"""What runners do with jobs: take them, say how they are getting on, and end them.

A claim gives a job a new fence and a lease. Whatever a runner says of the job carries the fence and is refused with
`LeaseLost` when there is a newer one, so that a runner that was held up, and was given up, can do no harm. The lease is
how others see that a runner is alive; that it has run out changes nothing until somebody takes the job over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from hybrid_runtime.errors import Conflict, LeaseLost
from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.ledger import Ledger, Row, ledger
from hybrid_runtime.jobs.outcomes import keep
from hybrid_runtime.jobs.reports import Claimed, Command, Report
from hybrid_runtime.jobs.scheduler import Head, pick
from hybrid_runtime.jobs.schema import ACTIVE, ACTIVE_STATES, backends, commands, jobs, lanes, logs, metrics
from hybrid_runtime.jobs.standing import unready
from hybrid_runtime.jobs.views import running_jobs
from hybrid_runtime.resources.jobs import JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hybrid_runtime.jobs.backends import Backends
    from hybrid_runtime.jobs.database import Database
    from hybrid_runtime.jobs.policy import Policy
    from hybrid_runtime.resources.backends import BackendStatus, Environment
    from hybrid_runtime.resources.records import Result

_MAX_LINE = 100_000


class Runs:
    """The runners' side of the queue."""

    def __init__(self, database: Database, policy: Policy, backends: Backends) -> None:
        self._database = database
        self._policy = policy
        self._backends = backends

    def announce(self, backend: str, capabilities: dict[str, Any], *environments: Environment) -> None:
        """A runner serves this backend from now on, with algorithms in these environments."""
        self._backends.announce(backend, capabilities, *environments)

    def heartbeat(self, backend: str, status: BackendStatus, reason: str = "") -> None:
        """The backend's runner lives, and says what the backend is doing.

        Raises:
            NotFound: it was never announced.
        """
        self._backends.heartbeat(backend, status, reason)

    # ------------------------------------------------------------------------------------------ having jobs

    def claim(self, backend: str, owner: str, lease_s: float) -> Claimed | None:
        """The job to run next, which is the runner's from now on; None when there is none to start."""
        with self._database.read() as connection:
            # Most looks find nothing: they need not wait for the write lock.
            if connection.scalar(sa.select(lanes.c.head).where(lanes.c.backend == backend).limit(1)) is None:
                return None
        with ledger(self._database) as book:
            row = self._next(book, backend)
            return None if row is None else _hand_over(book, row, owner, lease_s, f"claimed by {owner}")

    def _next(self, book: Ledger, backend: str) -> Row | None:
        served = book.connection.execute(sa.select(backends).where(backends.c.name == backend)).one_or_none()
        if served is None or _closed(served, book.now, self._policy):
            return None
        waiting = sa.select(lanes.c.rank, lanes.c.head, lanes.c.user).where(lanes.c.backend == backend)
        heads = [Head._make(row) for row in book.connection.execute(waiting)]
        running = {user: count for (_, user), count in running_jobs(book.connection, [backend]).items()}
        chosen = pick(heads, running, self._policy)
        return None if chosen is None else book.row(chosen.number)

    def take_over(self, backend: str, owner: str, lease_s: float) -> list[Claimed]:
        """All jobs of a backend that were running, for its new runner; those that were to pause are paused."""
        with ledger(self._database) as book:
            query = sa.select(jobs).where(ACTIVE, jobs.c.backend == backend).order_by(jobs.c.number)
            taken = []
            for row in [found._asdict() for found in book.connection.execute(query)]:
                if row["state"] == JobState.PAUSING:
                    self._pause(book, row, owner, "its runner ended")
                else:
                    taken.append(_hand_over(book, row, owner, lease_s, f"taken over by {owner}"))
        return taken

    def renew(self, owner: str, held: Mapping[str, int], lease_s: float) -> set[str]:
        """Prolong the leases of jobs, by name with their fences; those that the runner no longer holds."""
        if not held:
            return set()
        with self._database.write() as connection:
            until = self._database.now() + lease_s
            kept = {
                job_id
                for job_id, fence in held.items()
                if connection.execute(
                    sa.update(jobs)
                    .where(jobs.c.id == job_id, jobs.c.fence == fence, ACTIVE)
                    .values(lease_owner=owner, lease_until=until)
                ).rowcount
            }
        return set(held) - kept

    # ------------------------------------------------------------------------------------------ telling of them

    def report(self, job_id: str, fence: int, **told: Any) -> None:
        """Say how a job is getting on; `told` are the fields of `Report`.

        Raises:
            LeaseLost: the runner no longer holds it.
            Conflict: it cannot enter that state.
        """
        if self.report_many([Report(job_id=job_id, fence=fence, **told)]):
            raise _lost(job_id)

    def report_many(self, reports: Sequence[Report]) -> set[str]:
        """Say how several jobs are getting on, in one transaction; those that the runner no longer holds.

        Raises:
            Conflict: one of them cannot enter the state that is reported; then nothing is written of any.
        """
        if not reports:
            return set()
        lost = set()
        with ledger(self._database) as book:
            rows = _Rows(book)
            for report in reports:
                row = rows.held(report.job_id, report.fence)
                if row is None:
                    lost.add(report.job_id)
                else:
                    self._write(book, row, report)
            rows.write()
        return lost

    def _write(self, book: Ledger, row: Row, report: Report) -> None:
        at = book.now if report.at is None else report.at
        self._account(book, row, report)
        for kind, data in report.events:
            if kind == "restarted":
                _forget_what_was_told(book.connection, row)
            if row["events"] < self._policy.points_per_job:
                book.event(row, kind, data, at)
        _append(book.connection, logs, self._log_rows(row, report, at))
        _append(book.connection, metrics, self._metric_rows(row, report, at))
        was = JobState(row["state"])
        if report.state is None or report.state is was:
            return
        if was is JobState.PAUSING and report.state in (JobState.STARTING, JobState.RUNNING):
            return  # its user asked it to pause while the runner did not yet know
        if report.state.final:
            raise Conflict(f"job {row['id']} ends with its result, by finish")
        if report.state is JobState.PAUSED:
            self._pause(book, row, row["lease_owner"], report.reason)
        else:
            book.move(row, report.state, by=_runner(row["lease_owner"]), reason=report.reason)

    def _account(self, book: Ledger, row: Row, report: Report) -> None:
        """Count what was used. A job that begins anew counts again from 0: what it repeats is not used twice."""
        for column, total, name in (
            ("steps", report.steps, "steps"),
            ("shots_done", report.shots, "shots"),
            ("qpu_s", report.qpu_s, "qpu_s"),
        ):
            if total is not None and total > row[column]:
                book.used(row, **{name: total - row[column]})
                row[column] = total

    def _log_rows(self, row: Row, report: Report, at: float) -> list[Row]:
        most, rows = self._policy.log_bytes_per_job, []
        for stream, text in report.logs:
            before = row["log_bytes"]
            row["log_bytes"] += len(text)
            if before >= most:
                continue  # it has been said, when the limit was reached
            if row["log_bytes"] >= most:
                stream, text = "system", f"the job has written {most} characters; what it writes from here is not kept"
            row["logs"] += 1
            line = {"sequence": row["logs"], "at": at, "stream": stream, "text": text[:_MAX_LINE]}
            rows.append({"job": row["number"], **line})
        return rows

    def _metric_rows(self, row: Row, report: Report, at: float) -> list[Row]:
        rows = []
        for name, value in report.metrics:
            if row["metrics"] >= self._policy.points_per_job:
                break
            row["metrics"] += 1
            point = {
                "sequence": row["metrics"],
                "at": at,
                "name": name,
                "value": value if math.isfinite(value) else None,
            }
            rows.append({"job": row["number"], **point})
        return rows

    # ------------------------------------------------------------------------------------------ letting go of them

    def finish(self, job_id: str, fence: int, result: Result) -> None:
        """End a job with its result.

        Raises:
            LeaseLost: the runner no longer holds it, or it has ended.
        """
        with ledger(self._database) as book:
            row = _Rows(book).held(job_id, fence)
            if row is None:
                raise _lost(job_id)
            totals = Report(job_id=job_id, fence=fence, steps=result.steps, shots=result.shots)
            self._account(book, row, totals)
            keep(book.connection, row, result, book.now)
            error = result.error
            book.move(
                row,
                result.state,
                by=_runner(row["lease_owner"]),
                # Not its text, which is the user's business: operators read this.
                reason=result.stop_reason or "" if error is None else error.kind,
                error=None if error is None else msgspec.to_builtins(error),
                stop_reason=None if result.stop_reason is None else str(result.stop_reason),
                steps=row["steps"],
                shots_done=row["shots_done"],
            )

    def paused(self, job_id: str, fence: int, reason: str = "") -> None:
        """A job has stopped where it was, and its journal has everything.

        Raises:
            LeaseLost: the runner no longer holds it.
        """
        with ledger(self._database) as book:
            row = _Rows(book).held(job_id, fence)
            if row is None:
                raise _lost(job_id)
            self._pause(book, row, row["lease_owner"], reason)

    def release(self, job_id: str, fence: int, reason: str) -> None:
        """Put a job back into the queue; what it has done is in its journal.

        Raises:
            LeaseLost: the runner no longer holds it.
        """
        with ledger(self._database) as book:
            row = _Rows(book).held(job_id, fence)
            if row is None:
                raise _lost(job_id)
            by = _runner(row["lease_owner"])
            if row["state"] == JobState.PAUSING:
                self._pause(book, row, row["lease_owner"], reason)
                return
            if row["state"] != JobState.STARTING:
                book.move(row, JobState.STARTING, by=by, reason=reason)
            book.move(row, JobState.QUEUED, by=by, reason=reason)

    def _pause(self, book: Ledger, row: Row, owner: str | None, reason: str) -> None:
        book.move(row, JobState.PAUSED, by=_runner(owner), reason=reason)
        done = sa.delete(commands).where(commands.c.job == row["number"], commands.c.kind == "pause")
        book.connection.execute(done)

    # ------------------------------------------------------------------------------------------ being asked

    def commands(self, backend: str) -> list[Command]:
        """What is asked of jobs that run on the backend, the oldest first, until it is acknowledged."""
        query = (
            sa.select(commands, jobs.c.id.label("job_id"))
            .join(jobs, jobs.c.number == commands.c.job)
            .where(commands.c.backend == backend)
            .order_by(commands.c.id)
        )
        with self._database.read() as connection:
            return [
                Command(id=row.id, job_id=row.job_id, kind=row.kind, by=row.by, at=row.at)
                for row in connection.execute(query)
            ]

    def acknowledge(self, command_id: int) -> None:
        """The runner has taken notice: the command is not given again."""
        with self._database.write() as connection:
            connection.execute(sa.delete(commands).where(commands.c.id == command_id))


class _Rows:
    """Rows of jobs that a runner holds, each read once in a transaction and written once at its end."""

    def __init__(self, book: Ledger) -> None:
        self._book = book
        self._found: dict[str, Row | None] = {}

    def held(self, job_id: str, fence: int) -> Row | None:
        """The row, if the job is active and this is its newest fence."""
        if job_id not in self._found:
            found = self._book.connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one_or_none()
            self._found[job_id] = None if found is None else found._asdict()
        row = self._found[job_id]
        if row is None or row["fence"] != fence or row["state"] not in ACTIVE_STATES:
            return None
        return row

    def write(self) -> None:
        """Write what the rows count."""
        counted = ("steps", "shots_done", "qpu_s", "events", "logs", "log_bytes", "metrics")
        for row in self._found.values():
            if row is not None:
                values = {name: row[name] for name in counted}
                self._book.connection.execute(sa.update(jobs).where(jobs.c.number == row["number"]).values(**values))


def _closed(row: sa.Row[Any], now: float, policy: Policy) -> bool:
    """Whether a backend starts no jobs. That its runner asks is proof enough that it lives."""
    alive = row._asdict() | {"last_heartbeat": now}
    return unready(alive, now, policy) is not None


def _hand_over(book: Ledger, row: Row, owner: str, lease_s: float, reason: str) -> Claimed:
    resume = row["attempts"] > 0
    lease = {"lease_owner": owner, "lease_until": book.now + lease_s}
    given = {"fence": row["fence"] + 1, "attempts": row["attempts"] + 1}
    if row["state"] == JobState.STARTING:
        # It does not change its state; its history says that it has another runner.
        row |= lease | given
        book.note(_runner(owner), row, "taken over", reason)
        book.connection.execute(sa.update(jobs).where(jobs.c.number == row["number"]).values(**lease, **given))
    else:
        book.move(row, JobState.STARTING, by=_runner(owner), reason=reason, **lease, **given)
    return Claimed(
        job_id=row["id"],
        fence=row["fence"],
        kind=JobKind(row["kind"]),
        name=row["name"],
        project=row["project"],
        user=row["user"],
        backend=row["backend"],
        environment=row["environment"],
        bundle=row["bundle"],
        circuit=row["circuit"],
        language=row["language"],
        parameters=row["parameters"],
        limits=row["limits"],
        seed=row["seed"],
        shots=row["shots"],
        keep_requests=row["keep_requests"],
        attempts=row["attempts"],
        resume=resume,
        fork_of=None if row["forked_from"] is None else (row["forked_from"], row["fork_step"]),
    )


def _forget_what_was_told(connection: sa.Connection, row: Row) -> None:
    """Remove what comes again. Numbers go on, so that whoever follows the job sees it."""
    for table in (logs, metrics):
        connection.execute(sa.delete(table).where(table.c.job == row["number"]))
    row["log_bytes"] = 0


def _append(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)


def _runner(owner: str | None) -> str:
    return f"runner {owner}" if owner else "runner"


def _lost(job_id: str) -> LeaseLost:
    return LeaseLost(f"job {job_id} has ended, or another runner has taken it over: let go of it")
