"""The job manager's store: everything that it remembers, in a database and a folder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hybrid_runtime.errors import Unavailable
from hybrid_runtime.jobs.accounting import UsageReports
from hybrid_runtime.jobs.accounts import Accounts
from hybrid_runtime.jobs.algorithms import Algorithms
from hybrid_runtime.jobs.backends import Backends, Environments
from hybrid_runtime.jobs.bells import Bells
from hybrid_runtime.jobs.bundles import Bundles
from hybrid_runtime.jobs.database import Database
from hybrid_runtime.jobs.housekeeping import Housekeeping
from hybrid_runtime.jobs.jobs import Jobs
from hybrid_runtime.jobs.migrating import migrate, version
from hybrid_runtime.jobs.policy import Policy
from hybrid_runtime.jobs.projects import Projects
from hybrid_runtime.jobs.runs import Runs
from hybrid_runtime.jobs.statistics import Statistics, statistics
from hybrid_runtime.jobs.trail import Audit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Store:
    """What the processes of a job manager share. It may be used by many threads, and opened by many processes.

    Args:
        url: `sqlite:///PATH` or `postgresql://…`.
        data: The folder for bundles and for what jobs leave.
        policy: Caps and times.
        clock: Tells the time.

    Raises:
        InvalidInput: the URL or the folder cannot be used.
    """

    def __init__(
        self, url: str, *, data: Path, policy: Policy | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        policy = Policy() if policy is None else policy
        self._database = database = Database(url, clock)
        self.policy = policy
        self.data = data
        self.accounts = Accounts(database, policy)
        self.projects = Projects(database)
        self.bundles = Bundles(database, policy, data / "bundles")
        self.algorithms = Algorithms(database)
        self.backends = Backends(database, policy)
        self.environments = Environments(database)
        self.jobs = Jobs(database, policy, Bells(data / "run"))
        self.runs = Runs(database, policy, self.backends)
        self.usage = UsageReports(database)
        self.audit = Audit(database)
        self.housekeeping = Housekeeping(database, policy, self.bundles, data / "jobs")

    def __repr__(self) -> str:
        return f"<Store {self._database!r}>"

    def migrate(self) -> None:
        """Bring the database's tables to the version of this program; several processes may do so at once.

        Raises:
            Conflict: the database is of a later version.
        """
        migrate(self._database)

    def ping(self) -> None:
        """Pass if the database answers and has the tables of this program.

        Raises:
            Unavailable: otherwise.
        """
        found, wanted = version(self._database)
        if found != wanted:
            raise Unavailable(f"the database has version {found or 'none'}, this program needs {wanted}: start it anew")

    def statistics(self) -> Statistics:
        """How much there is of what; for gauges."""
        return statistics(self._database)

    def close(self) -> None:
        """Close the database."""
        self._database.close()
