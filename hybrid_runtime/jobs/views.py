"""What people see of a job's row: the job, its place in the queue, and why it waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.scheduler import PRIORITIES
from hybrid_runtime.jobs.schema import ACTIVE_STATES, BLOCK, QUEUED, backends, blocks, jobs, loads
from hybrid_runtime.jobs.standing import unready
from hybrid_runtime.limits import StopReason
from hybrid_runtime.resources.jobs import Failure, Job, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hybrid_runtime.jobs.policy import Policy

_ENDED = frozenset(state for state in JobState if state.final)
# Fewer than the values that a statement of either database may have.
_AT_ONCE = 500
# All but the columns that may be large, and that no list shows.
SHOWN = [column for column in jobs.c if column.name not in ("parameters", "circuit", "language")]


def job_of(row: Mapping[str, Any], position: int | None = None, waiting_for: str | None = None) -> Job:
    """The job of a row."""
    error, stop = row["error"], row["stop_reason"]
    return Job(
        id=row["id"],
        kind=JobKind(row["kind"]),
        name=row["name"],
        project=row["project"],
        user=row["user"],
        backend=row["backend"],
        state=JobState(row["state"]),
        priority=PRIORITIES[row["rank"]],
        seed=row["seed"],
        shots=row["shots"],
        limits=row["limits"],
        environment=row["environment"],
        bundle=row["bundle"],
        algorithm=row["algorithm"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        steps=row["steps"],
        shots_done=row["shots_done"],
        qpu_s=row["qpu_s"],
        position=position,
        waiting_for=waiting_for,
        stop_reason=None if stop is None else StopReason(stop),
        error=None if error is None else msgspec.convert(error, Failure),
        attempts=row["attempts"],
        forked_from=row["forked_from"],
    )


def _places() -> sa.Select[Any]:
    """The query for places in the queue: whole blocks that go before, and what goes before in the job's own."""
    asked = jobs.alias("asked")
    block = asked.c.number - asked.c.number % BLOCK
    in_blocks_before = sa.select(sa.func.coalesce(sa.func.sum(blocks.c.queued), 0)).where(
        blocks.c.backend == asked.c.backend,
        sa.or_(blocks.c.rank < asked.c.rank, sa.and_(blocks.c.rank == asked.c.rank, blocks.c.block < block)),
    )
    in_its_block = sa.select(sa.func.count()).where(
        QUEUED,
        jobs.c.backend == asked.c.backend,
        jobs.c.rank == asked.c.rank,
        jobs.c.number.between(block, asked.c.number),
    )
    places = in_blocks_before.correlate(asked).scalar_subquery() + in_its_block.correlate(asked).scalar_subquery()
    return sa.select(asked.c.number, places).where(asked.c.number.in_(sa.bindparam("numbers", expanding=True)))


# Made once: making it takes longer than the database takes to answer it.
_PLACES = _places()


def positions(connection: sa.Connection, numbers: Iterable[int]) -> dict[int, int]:
    """The place of each of these queued jobs in its backend's queue, from 1."""
    wanted = [*numbers]
    found: dict[int, int] = {}
    for first in range(0, len(wanted), _AT_ONCE):
        some = {"numbers": wanted[first : first + _AT_ONCE]}
        found |= {number: int(place) for number, place in connection.execute(_PLACES, some)}
    return found


def shown(connection: sa.Connection, rows: Sequence[Mapping[str, Any]], now: float, policy: Policy) -> list[Job]:
    """The jobs of these rows, with their places and what they wait for."""
    queued = [row for row in rows if row["state"] == JobState.QUEUED]
    places = positions(connection, (row["number"] for row in queued))
    names = {row["backend"] for row in rows if row["state"] not in _ENDED}
    found = connection.execute(sa.select(backends).where(backends.c.name.in_(names))) if names else ()
    known = {row.name: row._asdict() for row in found}
    running = running_jobs(connection, {row["backend"] for row in queued}) if queued else {}
    return [
        job_of(
            row,
            places.get(row["number"]),
            why_waiting(
                row,
                known.get(row["backend"]),
                place=places.get(row["number"]),
                running=running.get((row["backend"], row["user"]), 0),
                now=now,
                policy=policy,
            ),
        )
        for row in rows
    ]


def running_jobs(connection: sa.Connection, names: Iterable[str]) -> dict[tuple[str, str], int]:
    """How many jobs of each user run on each of these backends."""
    busy = sa.select(loads.c.backend, loads.c.user, loads.c.running).where(loads.c.running > 0)
    found = connection.execute(busy.where(loads.c.backend.in_(list(names))))
    return {(backend, user): count for backend, user, count in found}


def why_waiting(
    row: Mapping[str, Any],
    backend: Mapping[str, Any] | None,
    *,
    place: int | None,
    running: int,
    now: float,
    policy: Policy,
) -> str | None:
    """Why a job is not running, in words; None when it runs or has ended."""
    state = JobState(row["state"])
    if state is JobState.PLANNED:
        return f"its time to start, {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(row['start_after']))} UTC"
    if state is JobState.PAUSED:
        return "somebody to resume it"
    if state in ACTIVE_STATES:
        held = row["lease_until"] is not None and row["lease_until"] > now
        return None if held else f"its runner, which has not been heard of; it goes on when {row['backend']} is served"
    if state is not JobState.QUEUED:
        return None
    hindrance = None if backend is None else unready(backend, now, policy)
    if hindrance is not None:
        return hindrance
    if running >= policy.running_per_user:
        return f"one of the {running} jobs of {row['user']} that run on {row['backend']}; more may not at a time"
    if place is not None and place > 1:
        return f"the {place - 1} jobs before it"
    return f"a free place on {row['backend']}"
