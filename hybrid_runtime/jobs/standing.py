"""How a backend stands, from what its runner and its operators say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from hybrid_runtime.errors import BackendUnknown
from hybrid_runtime.jobs.schema import backends
from hybrid_runtime.resources.backends import BackendStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hybrid_runtime.jobs.policy import Policy

# Jobs are started in these only; an operator cannot set `executing`, which follows from what runs.
SERVING = frozenset({BackendStatus.IDLE, BackendStatus.EXECUTING})


class Standing(NamedTuple):
    """What a backend is doing, why, and since when."""

    status: BackendStatus
    reason: str
    since: float


def standing(row: Mapping[str, Any], now: float, policy: Policy) -> Standing:
    """How a backend stands: as an operator set it, else as its runner says if it was heard of lately."""
    if row["set_status"] is not None:
        return Standing(BackendStatus(row["set_status"]), row["set_reason"], row["set_since"])
    if row["last_heartbeat"] is None or row["last_heartbeat"] < now - policy.heartbeat_s:
        heard = row["since"] if row["last_heartbeat"] is None else row["last_heartbeat"]
        return Standing(BackendStatus.OFFLINE, "its runner has not been heard of", heard)
    return Standing(BackendStatus(row["status"]), row["reason"], row["since"])


def unready(row: Mapping[str, Any], now: float, policy: Policy) -> str | None:
    """What keeps a backend from starting jobs, in words; None when nothing does."""
    stands = standing(row, now, policy)
    because = f": {stands.reason}" if stands.reason else ""
    if stands.status not in SERVING:
        return f"{row['name']}, which is {stands.status}{because}"
    if not row["accepting"]:
        return f"{row['name']}, which is drained and starts no jobs"
    return None


def require_backend(connection: sa.Connection, name: str) -> sa.Row[Any]:
    """A backend's row.

    Raises:
        BackendUnknown: there is none of that name.
    """
    row = connection.execute(sa.select(backends).where(backends.c.name == name)).one_or_none()
    if row is None:
        known = connection.scalars(sa.select(backends.c.name).order_by(backends.c.name)).all()
        others = f"there are {', '.join(known)}" if known else "none has been served yet"
        raise BackendUnknown(f"there is no backend {name!r:.80}: {others}")
    return row
