"""The audit log: who changed what, when, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hybrid_runtime.jobs import checks
from hybrid_runtime.jobs.access import Principal, require
from hybrid_runtime.jobs.cursors import decode_cursor, encode_cursor
from hybrid_runtime.jobs.schema import audit
from hybrid_runtime.resources.accounts import Role
from hybrid_runtime.resources.audit import AuditEntry
from hybrid_runtime.resources.pages import Page

if TYPE_CHECKING:
    from hybrid_runtime.jobs.database import Database


def entry(at: float, by: str, subject: str, name: str, action: str, reason: str = "") -> dict[str, Any]:
    """A row of the audit log."""
    return {"at": at, "by": by, "subject": subject, "name": name, "action": action, "reason": reason}


def note(connection: sa.Connection, *rows: dict[str, Any]) -> None:
    """Write rows into the audit log, in the transaction of what they tell."""
    connection.execute(sa.insert(audit), list(rows))


class Audit:
    """Reads the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, who: Principal, *, cursor: str | None = None, limit: int = 50) -> Page[AuditEntry]:
        """Changes of every kind, the newest first; for operators.

        Raises:
            Forbidden: the user is none.
        """
        require(who, Role.OPERATOR)
        query = sa.select(audit).order_by(audit.c.id.desc()).limit(checks.limit(limit) + 1)
        if cursor is not None:
            query = query.where(audit.c.id < decode_cursor("audit", cursor, int)[0])
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return Page(
            items=[AuditEntry(**row._asdict()) for row in rows[:limit]],
            next=encode_cursor("audit", rows[limit - 1].id) if len(rows) > limit else None,
        )
