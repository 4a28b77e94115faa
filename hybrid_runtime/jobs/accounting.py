"""What users have used, by project."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import sqlalchemy as sa

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.jobs.access import Principal, memberships, require_visible
from hybrid_runtime.jobs.schema import usage
from hybrid_runtime.resources.accounts import ProjectRole, Role, Usage

if TYPE_CHECKING:
    import builtins

    from hybrid_runtime.jobs.database import Database

_DAY_S = 86400
_AMOUNTS = ("jobs", "steps", "shots", "qpu_s", "wall_s")


class UsageReports:
    """Sums of what was used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def report(
        self, who: Principal, *, project: str | None = None, since: float | None = None, until: float | None = None
    ) -> builtins.list[Usage]:
        """What was used on the days from `since` to `until` (UTC): the user's own part, and everybody's in projects
        that the user owns; operators see all of it.

        Raises:
            InvalidInput: a time is none.
            NotFound: the user does not see the project.
        """
        query = (
            sa.select(usage.c.user, usage.c.project, *(sa.func.sum(usage.c[name]).label(name) for name in _AMOUNTS))
            .group_by(usage.c.user, usage.c.project)
            .order_by(usage.c.project, usage.c.user)
        )
        if since is not None:
            query = query.where(usage.c.day >= _day("since", since))
        if until is not None:
            query = query.where(usage.c.day <= _day("until", until))
        with self._database.read() as connection:
            if project is not None:
                require_visible(connection, who, project, role=Role.OPERATOR)
                query = query.where(usage.c.project == project)
            if not who.has(Role.OPERATOR):
                mine = memberships(connection, who.user)
                owned = [name for name, role in mine.items() if role is ProjectRole.OWNER]
                own = sa.and_(usage.c.user == who.user, usage.c.project.in_([*mine]))
                query = query.where(sa.or_(own, usage.c.project.in_(owned)))
            rows = connection.execute(query).all()
        return [
            Usage(
                user=row.user,
                project=row.project,
                jobs=int(row.jobs),
                steps=int(row.steps),
                shots=int(row.shots),
                qpu_s=row.qpu_s,
                wall_s=row.wall_s,
            )
            for row in rows
        ]


def _day(what: str, at: float) -> int:
    if not math.isfinite(at) or not 0 <= at < 1e12:
        raise InvalidInput(f"{what} is a time in seconds since 1970, not {at!r:.40}")
    return int(at // _DAY_S)
