"""What holds for every test."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from tests.databases import KINDS, Databases, running_postgres
from tests.serving import Service, running_service

# The same examples in every run, and no store of examples beside the tests.
settings.register_profile("project", derandomize=True, database=None, deadline=None)
settings.load_profile("project")

# Long enough for a process that has been told to end, on a busy machine.
PATIENCE_S = 10.0


def _children() -> set[int]:
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        # A thread that has been joined may still be listed, and be gone when its file is read.
        with suppress(FileNotFoundError, ProcessLookupError):
            found.update(int(pid) for pid in path.read_text().split())
    return found


def _outlives_patience(pid: int) -> bool:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        return not select.select([pidfd], [], [], PATIENCE_S)[0]
    finally:
        os.close(pidfd)


@pytest.fixture(autouse=True)
def _no_process_is_left_running() -> Iterator[None]:
    """Fail a test that leaves a child process running behind it."""
    before = _children()
    yield
    left = [pid for pid in _children() - before if _outlives_patience(pid)]
    assert not left, f"the test left processes running: {left}"


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Empty databases of each kind, on a PostgreSQL server of these tests' own."""
    with running_postgres() as server:
        yield Databases(server)


@pytest.fixture(scope="session", params=KINDS)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> Iterator[Service]:
    """A job manager with the emulator, for all tests of one process; tests leave its users and jobs to each other."""
    folder = tmp_path_factory.mktemp("service")
    with databases.empty(request.param, folder) as database, running_service(folder, database=database) as one:
        yield one
