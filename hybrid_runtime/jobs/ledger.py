"""The one piece of code that changes the state of a job.

A change follows `job.NEXT`, is a row of the audit log and an event of the job, and moves the numbers that are counted
by state, all in one transaction. A ledger is one such transaction; it collects what changes and writes it at its end.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import sqlalchemy as sa

from hybrid_runtime.errors import Conflict, InternalError
from hybrid_runtime.job import NEXT, JobState
from hybrid_runtime.jobs.schema import (
    BLOCK,
    QUEUED,
    blocks,
    commands,
    counters,
    events,
    jobs,
    lanes,
    loads,
    usage,
)
from hybrid_runtime.jobs.trail import entry, note
from hybrid_runtime.jobs.views import job_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hybrid_runtime.jobs.database import Database

# The columns of a job's row, as they stand within the transaction.
Row: TypeAlias = dict[str, Any]

WAITING = frozenset({JobState.PLANNED, JobState.QUEUED, JobState.PAUSED})
# What is counted for ever, beside the number of jobs: how many were claimed, and how many ended in each final state.
CLAIMS = "claims"
ENDED = "ended "
_USED = {"jobs": 0, "steps": 0, "shots": 0, "qpu_s": 0.0, "wall_s": 0.0}
_DAY_S = 86400


@contextmanager
def ledger(database: Database) -> Iterator[Ledger]:
    """A transaction in which jobs change."""
    with database.write() as connection:
        opened = Ledger(database, connection)
        yield opened
        opened.settle()


class _Lane:
    """What happened to one lane.

    Attributes:
        change: By how much its number of jobs changed.
        first: The earliest job that joined it; None once one has left, which may have been its head.
    """

    __slots__ = ("_left", "change", "first")

    def __init__(self) -> None:
        self.change = 0
        self.first: int | None = None
        self._left = False

    def count(self, number: int, by: int) -> None:
        """A job has joined it, or left it."""
        self.change += by
        self._left = self._left or by < 0
        self.first = None if self._left else number if self.first is None else min(self.first, number)


class Ledger:
    """Changes of jobs within one transaction.

    Attributes:
        connection: The transaction, for what goes along with them.
        now: The time of all of them.
    """

    def __init__(self, database: Database, connection: sa.Connection) -> None:
        self.connection = connection
        self.now = database.now()
        self._database = database
        self._audit: list[Row] = []
        self._events: list[Row] = []
        self._lanes: defaultdict[tuple[str, str, int], _Lane] = defaultdict(_Lane)
        self._blocks: defaultdict[tuple[str, int, int], int] = defaultdict(int)
        self._loads: dict[tuple[str, str], dict[str, int]] = {}
        self._usage: dict[tuple[str, str], dict[str, float]] = {}
        self._counted: defaultdict[str, int] = defaultdict(int)

    def row(self, number: int) -> Row:
        """A job's row as it stands."""
        return self.connection.execute(sa.select(jobs).where(jobs.c.number == number)).one()._asdict()

    def accept(self, rows: list[Row], reason: str) -> None:
        """Insert new jobs, in this order; each gets its number."""
        if not rows:
            return
        first = self._numbers(len(rows))
        for number, row in enumerate(rows, first):
            row["number"] = number
            self._enter(row, JobState(row["state"]))
            self._tell(row, row["user"], reason)
            self.used(row, jobs=1)
        self.connection.execute(sa.insert(jobs), rows)

    def _numbers(self, count: int) -> int:
        taken = self.connection.scalar(
            sa.update(counters)
            .where(counters.c.name == "jobs")
            .values(value=counters.c.value + count)
            .returning(counters.c.value)
        )
        if taken is None:
            raise InternalError("the job manager's database was not set up: its counter of jobs is missing")
        return int(taken) - count + 1

    def move(self, row: Row, to: JobState, *, by: str, reason: str, **values: Any) -> None:
        """Bring a job from the state in which it is into another one.

        Raises:
            Conflict: there is no way from the one to the other.
        """
        was = JobState(row["state"])
        if to not in NEXT[was]:
            raise Conflict(f"job {row['id']} is {was}: from there it cannot become {to}")
        values |= {"state": str(to), "state_since": self.now, "reason": reason}
        if to is JobState.STARTING and row["started_at"] is None:
            values["started_at"] = self.now
        if to.final:
            values["ended_at"] = self.now
        if to.final or to in WAITING:
            values |= {"lease_owner": None, "lease_until": None}
        if was is JobState.QUEUED and to is JobState.STARTING:
            self._counted[CLAIMS] += 1
        if to.final:
            self._counted[f"{ENDED}{to}"] += 1
        self._leave(row, was)
        fence = row["fence"]
        row |= values
        self._enter(row, to)
        self._tell(row, by, reason)
        if to.final:
            self._ended(row)
        done = self.connection.execute(
            sa.update(jobs)
            .where(jobs.c.number == row["number"], jobs.c.state == str(was), jobs.c.fence == fence)
            .values(**values, events=row["events"])
        )
        if done.rowcount != 1:
            raise InternalError(f"job {row['id']} changed under a transaction that held the write lock")

    def _ended(self, row: Row) -> None:
        self.event(row, "ended", msgspec.to_builtins(job_of(row)))
        self.connection.execute(sa.delete(commands).where(commands.c.job == row["number"]))
        if row["started_at"] is not None:
            self.used(row, wall_s=max(0.0, self.now - row["started_at"]))

    def event(self, row: Row, kind: str, data: dict[str, Any], at: float | None = None) -> None:
        """Append an event to those of a job; the caller writes the job's count of events."""
        row["events"] += 1
        at = self.now if at is None else at
        self._events.append({"job": row["number"], "id": row["events"], "at": at, "type": kind, "data": data})

    def used(self, row: Row, **amounts: float) -> None:
        """Account what a job used."""
        sums = self._usage.setdefault((row["user"], row["project"]), dict(_USED))
        for name, amount in amounts.items():
            sums[name] += amount

    def note(self, by: str, row: Row, action: str, reason: str = "") -> None:
        """Write something into a job's history that is not a change of its state."""
        self._audit.append(entry(self.now, by, "job", row["id"], action, reason))

    def _tell(self, row: Row, by: str, reason: str) -> None:
        self.note(by, row, row["state"], reason)
        self.event(row, "state", {"state": row["state"], "reason": reason})

    def _leave(self, row: Row, state: JobState) -> None:
        self._count(row, state, -1)

    def _enter(self, row: Row, state: JobState) -> None:
        self._count(row, state, 1)

    def _count(self, row: Row, state: JobState, by: int) -> None:
        load = self._loads.setdefault((row["backend"], row["user"]), {"waiting": 0, "running": 0})
        if state in WAITING:
            load["waiting"] += by
        elif not state.final:
            load["running"] += by
        if state is JobState.QUEUED:
            self._lanes[row["backend"], row["user"], row["rank"]].count(row["number"], by)
            self._blocks[row["backend"], row["rank"], row["number"] - row["number"] % BLOCK] += by

    def settle(self) -> None:
        """Write what has been collected."""
        if self._audit:
            note(self.connection, *self._audit)
        if self._events:
            self.connection.execute(sa.insert(events), self._events)
        self._settle_lanes()
        self._settle_blocks()
        self._database.add(
            self.connection,
            loads,
            [
                {"backend": backend, "user": user, **load}
                for (backend, user), load in self._loads.items()
                if any(load.values())
            ],
        )
        counted = [{"name": name, "value": count} for name, count in self._counted.items()]
        self._database.add(self.connection, counters, counted)
        day = int(self.now // _DAY_S)
        self._database.add(
            self.connection,
            usage,
            [{"day": day, "user": user, "project": project, **sums} for (user, project), sums in self._usage.items()],
        )

    def _settle_lanes(self) -> None:
        """Count the lanes' jobs, and keep the head of each."""
        rows: list[Row] = [
            {"backend": backend, "user": user, "rank": rank, "queued": lane.change, "head": lane.first}
            for (backend, user, rank), lane in self._lanes.items()
        ]
        # One that was only joined keeps its head, unless an earlier job has come back.
        if joined := [row for row in rows if row["head"] is not None]:
            self.connection.execute(self._database.once("joined lanes", self._joining), joined)
        for row in rows:
            if row["head"] is None:
                self._settle_left_lane(row)

    def _joining(self) -> Any:
        insert, index = self._database.insert_or(lanes, ("backend", "user", "rank"))
        new = insert.excluded
        earlier = sa.case((new.head < lanes.c.head, new.head), else_=lanes.c.head)
        sums = {"queued": lanes.c.queued + new.queued, "head": earlier}
        return insert.on_conflict_do_update(index_elements=index, set_=sums)

    def _settle_left_lane(self, lane: Row) -> None:
        """Look for the head of a lane that a job has left."""
        here = {name: lane[name] for name in ("backend", "user", "rank")}
        waits = [jobs.c[name] == value for name, value in here.items()]
        head = self.connection.scalar(sa.select(sa.func.min(jobs.c.number)).where(QUEUED, *waits))
        it = [lanes.c[name] == value for name, value in here.items()]
        if head is None:
            self.connection.execute(sa.delete(lanes).where(*it))
        else:
            more = {"queued": lanes.c.queued + lane["queued"], "head": head}
            self.connection.execute(sa.update(lanes).where(*it).values(**more))

    def _settle_blocks(self) -> None:
        rows: list[Row] = [
            {"backend": backend, "rank": rank, "block": block, "queued": change}
            for (backend, rank, block), change in self._blocks.items()
            if change
        ]
        self._database.add(self.connection, blocks, rows)
        if any(row["queued"] < 0 for row in rows):
            for backend in {row["backend"] for row in rows}:
                empty = sa.delete(blocks).where(blocks.c.backend == backend, blocks.c.queued == 0)
                self.connection.execute(empty)
