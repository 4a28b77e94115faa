"""How much there is of what, for those who watch over the job manager."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.ledger import CLAIMS, ENDED
from hybrid_runtime.jobs.schema import ACTIVE, PLANNED, counters, jobs, lanes, usage

if TYPE_CHECKING:
    from hybrid_runtime.jobs.database import Database


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Numbers of one moment, and totals since the database was made.

    Attributes:
        jobs: How many are in each state, by backend and state; not those that have ended or are paused.
        oldest_queued: When the job was accepted that waits the longest, by backend.
        submitted: Jobs accepted.
        claims: How often a runner took a job from the queue.
        ended: Jobs that have ended, by their final state.
        steps: Steps done; `shots` and `qpu_s` likewise.
    """

    jobs: dict[tuple[str, str], int] = field(default_factory=dict)
    oldest_queued: dict[str, float] = field(default_factory=dict)
    submitted: int = 0
    claims: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    shots: int = 0
    qpu_s: float = 0.0


def statistics(database: Database) -> Statistics:
    """The numbers as they stand; no query looks at every job."""
    counted: dict[tuple[str, str], int] = {}
    with database.read() as connection:
        for backend, count in connection.execute(
            sa.select(lanes.c.backend, sa.func.sum(lanes.c.queued)).group_by(lanes.c.backend)
        ):
            counted[backend, "queued"] = int(count)
        for where in (ACTIVE, PLANNED):
            states = sa.select(jobs.c.backend, jobs.c.state, sa.func.count()).where(where)
            for backend, state, count in connection.execute(states.group_by(jobs.c.backend, jobs.c.state)):
                counted[backend, state] = count
        first = sa.select(sa.func.min(lanes.c.head)).group_by(lanes.c.backend)
        oldest = connection.execute(sa.select(jobs.c.backend, jobs.c.created_at).where(jobs.c.number.in_(first)))
        amounts = connection.execute(
            sa.select(sa.func.sum(usage.c.steps), sa.func.sum(usage.c.shots), sa.func.sum(usage.c.qpu_s))
        ).one()
        counts = dict(connection.execute(sa.select(counters.c.name, counters.c.value)).all())
        return Statistics(
            jobs=counted,
            oldest_queued=dict(oldest.all()),
            submitted=counts.get("jobs", 0),
            claims=counts.get(CLAIMS, 0),
            ended={str(state): counts.get(f"{ENDED}{state}", 0) for state in JobState if state.final},
            steps=int(amounts[0] or 0),
            shots=int(amounts[1] or 0),
            qpu_s=float(amounts[2] or 0.0),
        )
