"""How long the job manager's store takes with 100 000 jobs in the queue: submit, claim, list, position.

`pytest benchmarks/long_queue.py`. Both databases are measured; PostgreSQL is left out where there is none. What one
transaction costs is mostly the flush to the disk, so the same machine gives other numbers on another disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hybrid_runtime.jobs.access import Principal
from hybrid_runtime.jobs.policy import Policy
from hybrid_runtime.jobs.store import Store
from hybrid_runtime.resources.accounts import TokenRequest, UserRequest
from hybrid_runtime.resources.backends import Environment
from hybrid_runtime.resources.jobs import JobRequest

QUEUED = 100_000
USERS = 50
THREADS = 16
REQUEST = JobRequest(backend="emulator", circuit="version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\nb = measure q")


class Full:
    """A store with a long queue of many users."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.migrate()
        self.admin = store.accounts.authenticate(store.accounts.bootstrap() or "")
        store.runs.announce("emulator", {}, Environment(name="python", python="3.11.2", packages={}))
        self.users = [self._user(f"user-{number}") for number in range(USERS)]
        for who in self.users:
            store.jobs.submit_many(who, [REQUEST] * (QUEUED // USERS))
        page = store.jobs.list(self.admin, limit=1000)
        self.some = [job.id for job in page.items[::100]]

    def _user(self, name: str) -> Principal:
        self.store.accounts.add_user(self.admin, UserRequest(name=name))
        return self.store.accounts.authenticate(
            self.store.accounts.add_token(self.admin, TokenRequest(user=name)).secret
        )


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    folder: Path = tmp_path_factory.mktemp("queue")
    url = f"sqlite:///{folder}/jobs.sqlite"
    if request.param == "postgresql":
        url = os.environ.get("BENCHMARK_DATABASE", "")
        if not url:
            pytest.skip("BENCHMARK_DATABASE names no empty PostgreSQL database")
    store = Store(url, data=folder, policy=Policy(running_per_user=QUEUED))
    yield Full(store)
    store.close()


def test_submit(benchmark: Any, full: Full) -> None:
    """One job, by one client."""
    benchmark(full.store.jobs.submit, full.users[0], REQUEST)


def test_submit_by_many(benchmark: Any, full: Full) -> None:
    """320 jobs by 16 clients at once, which share transactions."""
    with ThreadPoolExecutor(THREADS) as pool:
        some = [full.users[number % USERS] for number in range(320)]
        benchmark(lambda: [*pool.map(lambda who: full.store.jobs.submit(who, REQUEST), some)])


def test_claim(benchmark: Any, full: Full) -> None:
    """The decision which job is next, and all that is written of it."""
    benchmark(full.store.runs.claim, "emulator", "benchmark", 3600.0)


def test_list(benchmark: Any, full: Full) -> None:
    """The newest 50 jobs, with the place of each."""
    benchmark(full.store.jobs.list, full.admin, limit=50)


def test_list_of_a_user(benchmark: Any, full: Full) -> None:
    benchmark(full.store.jobs.list, full.admin, user="user-7", state="queued", limit=50)


def test_position(benchmark: Any, full: Full) -> None:
    """How one job stands, with its place."""
    benchmark(full.store.jobs.get, full.admin, full.some[-1])


def test_queue(benchmark: Any, full: Full) -> None:
    """The first 50 places of a backend's queue."""
    benchmark(full.store.backends.queue, full.admin, "emulator", limit=50)
