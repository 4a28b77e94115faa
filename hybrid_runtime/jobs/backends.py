"""Backends: what their runners and operators say of them, and the queue in front of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hybrid_runtime.errors import InvalidInput, NotFound
from hybrid_runtime.jobs import checks
from hybrid_runtime.jobs.access import Principal, require
from hybrid_runtime.jobs.listing import select_queue
from hybrid_runtime.jobs.schema import backends, environments, lanes, loads
from hybrid_runtime.jobs.standing import SERVING, standing
from hybrid_runtime.jobs.trail import entry, note
from hybrid_runtime.resources.accounts import Role
from hybrid_runtime.resources.backends import Backend, BackendChange, BackendStatus, Environment

if TYPE_CHECKING:
    import builtins

    from hybrid_runtime.jobs.database import Database
    from hybrid_runtime.jobs.policy import Policy
    from hybrid_runtime.resources.jobs import QueueEntry
    from hybrid_runtime.resources.pages import Page

# These follow each other with every job. They are shown, but are no news for the audit log.
_QUIET = frozenset({str(status) for status in SERVING})


class Backends:
    """What can run jobs."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    def list(self, who: Principal) -> list[Backend]:
        """All backends."""
        with self._database.read() as connection:
            return self._shown(connection, sa.select(backends).order_by(backends.c.name))

    def get(self, who: Principal, name: str) -> Backend:
        """One backend.

        Raises:
            NotFound: there is none of that name.
        """
        with self._database.read() as connection:
            return self._one(connection, name)

    def queue(self, who: Principal, name: str, *, cursor: str | None = None, limit: int = 50) -> Page[QueueEntry]:
        """The jobs that wait for a backend, in the order of being served; other tenants' without their names.

        Raises:
            NotFound: there is none of that name.
            InvalidInput: the cursor or the limit cannot be used.
        """
        with self._database.read() as connection:
            self._one(connection, name)
            return select_queue(connection, who, name, cursor, checks.limit(limit))

    def change(self, who: Principal, name: str, change: BackendChange) -> Backend:
        """Set what an operator says of a backend. `idle` leaves it to its runner again.

        Raises:
            Forbidden: the user is no operator.
            NotFound: there is no such backend.
            InvalidInput: this cannot be set.
        """
        require(who, Role.OPERATOR)
        now = self._database.now()
        reason = "" if change.reason is None else checks.text("reason", change.reason)
        values: dict[str, Any] = {}
        said = []
        if change.status is BackendStatus.EXECUTING:
            raise InvalidInput("executing follows from the jobs that run; set idle, offline, calibrating, benchmarking")
        if change.status is BackendStatus.IDLE:
            values |= {"set_status": None, "set_reason": "", "set_since": None}
            said.append("as its runner says")
        elif change.status is not None:
            values |= {"set_status": str(change.status), "set_reason": reason, "set_since": now}
            said.append(str(change.status))
        elif change.reason is not None:
            values["set_reason"] = reason
            said.append("reason")
        if change.accepting is not None:
            values["accepting"] = change.accepting
            said.append("accepting" if change.accepting else "drained")
        if change.calibration is not None:
            values["calibration"] = checks.plain("calibration", change.calibration)
            said.append("calibration data")
        with self._database.write() as connection:
            self._one(connection, name)
            if values:
                connection.execute(sa.update(backends).where(backends.c.name == name).values(**values))
                note(connection, entry(now, who.user, "backend", name, ", ".join(said), reason))
            return self._one(connection, name)

    def _one(self, connection: sa.Connection, name: str) -> Backend:
        found = self._shown(connection, sa.select(backends).where(backends.c.name == name))
        if not found:
            raise NotFound(f"there is no backend {name!r:.80}; `qi-run backends` lists them")
        return found[0]

    def _shown(self, connection: sa.Connection, query: sa.Select[Any]) -> builtins.list[Backend]:
        rows = connection.execute(query).all()
        queued = _sums(connection, lanes.c.backend, lanes.c.queued)
        running = _sums(connection, loads.c.backend, loads.c.running)
        shown = []
        for row in rows:
            stands = standing(row._asdict(), self._database.now(), self._policy)
            shown.append(
                Backend(
                    name=row.name,
                    status=stands.status,
                    accepting=row.accepting,
                    reason=stands.reason,
                    since=stands.since,
                    queued=queued.get(row.name, 0),
                    running=running.get(row.name, 0),
                    last_heartbeat=row.last_heartbeat,
                    capabilities=row.capabilities,
                    calibration=row.calibration,
                    environments=row.environments,
                )
            )
        return shown

    def announce(self, name: str, capabilities: dict[str, Any], *served: Environment) -> None:
        """A runner serves this backend from now on, with algorithms in these environments."""
        checks.label("a backend's name", name)
        now = self._database.now()
        says = {
            "status": str(BackendStatus.IDLE),
            "reason": "",
            "since": now,
            "last_heartbeat": now,
            "capabilities": capabilities,
            "environments": [environment.name for environment in served],
        }
        new: dict[str, Any] = {
            "set_status": None,
            "set_reason": "",
            "set_since": None,
            "accepting": True,
            "calibration": {},
        }
        with self._database.write() as connection:
            for environment in served:
                insert, key = self._database.insert_or(environments, ("name",))
                row = {"python": environment.python, "packages": environment.packages, "announced_at": now}
                connection.execute(
                    insert.values(name=environment.name, **row).on_conflict_do_update(index_elements=key, set_=row)
                )
            insert, key = self._database.insert_or(backends, ("name",))
            connection.execute(
                insert.values(name=name, **says, **new).on_conflict_do_update(index_elements=key, set_=says)
            )
            note(connection, entry(now, "runner", "backend", name, "served"))

    def heartbeat(self, name: str, status: BackendStatus, reason: str = "") -> None:
        """A backend's runner lives, and says what the backend is doing.

        Raises:
            NotFound: it was never announced.
        """
        now = self._database.now()
        with self._database.write() as connection:
            row = connection.execute(sa.select(backends).where(backends.c.name == name)).one_or_none()
            if row is None:
                raise NotFound(f"the backend {name!r:.80} was never announced")
            values: dict[str, Any] = {"last_heartbeat": now}
            if (row.status, row.reason) != (str(status), reason):
                values |= {"status": str(status), "reason": reason}
            if row.status != str(status):
                values["since"] = now
                if not {row.status, str(status)} <= _QUIET:
                    note(connection, entry(now, "runner", "backend", name, str(status), reason))
            connection.execute(sa.update(backends).where(backends.c.name == name).values(**values))


def _sums(connection: sa.Connection, name: sa.Column[Any], amount: sa.Column[Any]) -> dict[str, int]:
    return {one: int(total) for one, total in connection.execute(sa.select(name, sa.func.sum(amount)).group_by(name))}


class Environments:
    """Where algorithms run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[Environment]:
        """All environments that runners have announced."""
        query = sa.select(environments).order_by(environments.c.name)
        with self._database.read() as connection:
            return [
                Environment(name=row.name, python=row.python, packages=row.packages)
                for row in connection.execute(query)
            ]
