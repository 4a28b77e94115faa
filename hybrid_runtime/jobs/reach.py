"""Which jobs a user sees, reads and steers; the rules are in `access.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from hybrid_runtime.errors import Forbidden, NotFound
from hybrid_runtime.jobs.access import Principal, memberships
from hybrid_runtime.jobs.schema import jobs
from hybrid_runtime.resources.accounts import ProjectRole, Role

if TYPE_CHECKING:
    from hybrid_runtime.jobs.ledger import Row
    from hybrid_runtime.resources.jobs import Job


def visible_row(connection: sa.Connection, who: Principal, job_id: str) -> Row:
    """The row of a job that the user sees: a member of its project, or an operator.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one_or_none()
    if row is not None and (who.has(Role.OPERATOR) or row.project in memberships(connection, who.user)):
        return row._asdict()
    raise NotFound(f"{who.user} has no job {job_id!r:.80}; `qi-run jobs` lists those there are")


def readable_row(connection: sa.Connection, who: Principal, job_id: str) -> Row:
    """The row of a job whose content the user may read: a member of its project, or an admin.

    Raises:
        NotFound: the user does not see it.
        Forbidden: the user sees how it stands, as an operator, and no more.
    """
    row = visible_row(connection, who, job_id)
    if who.has(Role.ADMIN) or row["project"] in memberships(connection, who.user):
        return row
    raise Forbidden(f"what is in job {job_id} is for members of the project {row['project']}")


def steered_row(connection: sa.Connection, who: Principal, job_id: str) -> Row:
    """The row of a job that the user may end and pause: its own user, an owner of its project, or an operator.

    Raises:
        NotFound: the user does not see it.
        Forbidden: it is another member's.
    """
    row = visible_row(connection, who, job_id)
    if who.has(Role.OPERATOR):
        return row
    # Who was taken out of a project does not see it, and so does not get here.
    if row["user"] == who.user or memberships(connection, who.user)[row["project"]] is ProjectRole.OWNER:
        return row
    raise Forbidden(f"job {job_id} is {row['user']}'s: this takes {row['user']}, or an owner of {row['project']}")


def without_content(connection: sa.Connection, who: Principal, found: list[Job]) -> list[Job]:
    """The jobs, without their errors' texts where the user may see only how they stand."""
    if who.has(Role.ADMIN) or not who.has(Role.OPERATOR):
        return found
    mine = memberships(connection, who.user)
    return [
        job
        if job.error is None or job.project in mine
        else replace(job, error=replace(job.error, text="for members of its project", traceback=None))
        for job in found
    ]
