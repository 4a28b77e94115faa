"""What was changed, by whom."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One change.

    Attributes:
        by: The user who made it, or the part of the job manager: `runner NAME`, `manager`.
        subject: What kind of thing was changed: `job`, `user`, `token`, `project`, `backend`, `bundle`, `algorithm`.
        name: Which one.
        action: What became of it; for a job the state that it entered.
    """

    id: int
    at: float
    by: str
    subject: str
    name: str
    action: str
    reason: str
