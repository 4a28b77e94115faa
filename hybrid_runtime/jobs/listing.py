"""Lists of jobs: filters, pages, and the queue of a backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hybrid_runtime.jobs.access import Principal, memberships, require_visible, visible_projects
from hybrid_runtime.jobs.cursors import decode_cursor, encode_cursor
from hybrid_runtime.jobs.scheduler import PRIORITIES
from hybrid_runtime.jobs.schema import QUEUED, jobs
from hybrid_runtime.jobs.views import SHOWN, positions
from hybrid_runtime.resources.accounts import Role
from hybrid_runtime.resources.jobs import QueueEntry
from hybrid_runtime.resources.pages import Page

if TYPE_CHECKING:
    from hybrid_runtime.job import JobState
    from hybrid_runtime.jobs.ledger import Row


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Properties that the jobs of a list have; None is any."""

    project: str | None = None
    backend: str | None = None
    state: JobState | None = None
    user: str | None = None
    name: str | None = None
    since: float | None = None


def select_jobs(
    connection: sa.Connection, who: Principal, filters: Filters, cursor: str | None, limit: int
) -> tuple[list[Row], str | None]:
    """A page of the jobs that the user sees, the newest first, and the cursor of the next page.

    Raises:
        InvalidInput: the cursor is of another list.
        NotFound: the user does not see the project.
    """
    conditions = _conditions(connection, filters)
    if cursor is not None:
        conditions.append(jobs.c.number < decode_cursor("jobs", cursor, int)[0])
    if filters.project is not None:
        require_visible(connection, who, filters.project, role=Role.OPERATOR)
        places: list[str] | None = [filters.project]
    else:
        seen = visible_projects(connection, who, Role.OPERATOR)
        places = None if seen is None else [*seen]
    rows = _newest(connection, conditions, places, limit + 1)
    more = len(rows) > limit
    return rows[:limit], encode_cursor("jobs", rows[limit - 1]["number"]) if more else None


def _conditions(connection: sa.Connection, filters: Filters) -> list[Any]:
    conditions: list[Any] = []
    for name in ("backend", "state", "user", "name"):
        value = getattr(filters, name)
        if value is not None:
            conditions.append(jobs.c[name] == str(value))
    if filters.since is not None:
        # Numbers follow the time, and the lists are in their order: so the rows before need not be looked at.
        first = sa.select(sa.func.min(jobs.c.number)).where(jobs.c.created_at >= filters.since)
        conditions += [jobs.c.number >= (connection.scalar(first) or 0), jobs.c.created_at >= filters.since]
    return conditions


def _newest(connection: sa.Connection, conditions: list[Any], places: list[str] | None, most: int) -> list[Row]:
    """The newest rows in these projects; in any one when None."""

    def some(*more: Any) -> list[Row]:
        query = sa.select(*SHOWN).where(*conditions, *more).order_by(jobs.c.number.desc()).limit(most)
        return [row._asdict() for row in connection.execute(query)]

    if places is None:
        return some()
    # One project after the other: each is a short walk along an index, which a condition on several is not.
    found = [row for project in places for row in some(jobs.c.project == project)]
    return sorted(found, key=lambda row: -row["number"])[:most]


def select_queue(
    connection: sa.Connection, who: Principal, backend: str, cursor: str | None, limit: int
) -> Page[QueueEntry]:
    """A page of a backend's queue, in the order of being served; other tenants' jobs have no names.

    Raises:
        InvalidInput: the cursor is of another list.
    """
    order = (jobs.c.rank, jobs.c.number)
    query = sa.select(*SHOWN).where(QUEUED, jobs.c.backend == backend).order_by(*order).limit(limit + 1)
    if cursor is not None:
        rank, number = decode_cursor(f"queue {backend}", cursor, int, int)
        after = sa.or_(jobs.c.rank > rank, sa.and_(jobs.c.rank == rank, jobs.c.number > number))
        query = query.where(jobs.c.rank >= rank, after)
    rows = connection.execute(query).all()
    mine = memberships(connection, who.user)
    first = positions(connection, [rows[0].number])[rows[0].number] if rows else 1
    items = []
    for place, row in enumerate(rows[:limit], first):
        seen = who.has(Role.OPERATOR) or row.project in mine
        items.append(
            QueueEntry(
                position=place,
                job_id=row.id if seen else None,
                user=row.user if seen else None,
                priority=PRIORITIES[row.rank],
                queued_at=row.state_since,
                waiting_for="a free place" if place == 1 else f"the {place - 1} jobs before it",
            )
        )
    last = rows[limit - 1] if len(rows) > limit else None
    following = None if last is None else encode_cursor(f"queue {backend}", last.rank, last.number)
    return Page(items=items, next=following)
