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
    if filters.project is not None:
        require_visible(connection, who, filters.project, role=Role.OPERATOR)
        places: list[str] | None = [filters.project]
    else:
        seen = visible_projects(connection, who, Role.OPERATOR)
        places = None if seen is None else [*seen]
    conditions = _conditions(filters, places is not None)
    if cursor is not None:
        conditions.append(jobs.c.number < decode_cursor("jobs", cursor, int)[0])
    if filters.since is not None:
        later = sa.select(jobs.c.number).where(jobs.c.created_at >= filters.since)
        first = connection.scalar(later.order_by(jobs.c.created_at, jobs.c.number).limit(1))
        if first is None:
            return [], None
        # Numbers follow the time, and the list is in their order: so the rows before need not be looked at.
        conditions += [jobs.c.number >= first, _seldom(jobs.c.created_at, 0.0) >= filters.since]
    if places is not None and (filters.user is not None or filters.name is not None):
        conditions.append(_seldom(jobs.c.project, "").in_(places))
        places = None
    rows = _newest(connection, conditions, places, limit + 1)
    more = len(rows) > limit
    return rows[:limit], encode_cursor("jobs", rows[limit - 1]["number"]) if more else None


def _conditions(filters: Filters, within: bool) -> list[Any]:
    """Conditions for the filters. The one that fewest jobs fulfil leads: the database walks along the index on it.

    Left to itself it may choose another one, and then look at every job of a backend to find the few of a user.
    """
    lead = "user" if filters.user is not None else "name" if filters.name is not None else "project"
    if lead == "project" and not within:
        lead = "backend"
    with_state = lead != "name"
    conditions: list[Any] = []
    for name in ("user", "name", "backend", "state"):
        value = getattr(filters, name)
        if value is not None:
            leads = name == lead or (name == "state" and with_state)
            conditions.append((jobs.c[name] if leads else _seldom(jobs.c[name], "")) == str(value))
    return conditions


def _seldom(column: sa.Column[Any], anything: Any) -> sa.ColumnElement[Any]:
    """The column as an expression, which no index is on."""
    return sa.func.coalesce(column, anything)


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
