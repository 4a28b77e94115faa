"""Results of jobs: one each, never a second one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from hybrid_runtime.errors import Conflict
from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.schema import metrics, results
from hybrid_runtime.limits import StopReason
from hybrid_runtime.resources.jobs import Failure
from hybrid_runtime.resources.records import Result

if TYPE_CHECKING:
    from hybrid_runtime.jobs.ledger import Row


def keep(connection: sa.Connection, row: Row, result: Result, now: float) -> None:
    """Write a job's result, in the transaction that ends it.

    Raises:
        Conflict: it has one.
    """
    query = sa.select(results.c.job).where(results.c.job == row["number"])
    if connection.scalar(query) is not None:
        raise Conflict(f"job {row['id']} has its result")
    text = msgspec.json.encode(result).decode()
    connection.execute(sa.insert(results).values(job=row["number"], at=now, result=text))


def cut_short(connection: sa.Connection, row: Row) -> Result:
    """The result of a job that is cancelled while nobody runs it: what it reported before is in it."""
    reported: defaultdict[str, list[float]] = defaultdict(list)
    query = sa.select(metrics.c.name, metrics.c.value).where(metrics.c.job == row["number"])
    for name, value in connection.execute(query.order_by(metrics.c.sequence)):
        reported[name].append(value)
    return Result(
        job_id=row["id"],
        state=JobState.CANCELLED,
        stop_reason=StopReason.CANCELLED,
        result=None,
        error=Failure(kind="JobCancelled", text=f"the job was cancelled while it was {row['state']}"),
        steps=row["steps"],
        shots=row["shots_done"],
        metrics=dict(reported),
        backend=row["backend"],
        seed=row["seed"],
        isolation="none",
        timing={},
    )
