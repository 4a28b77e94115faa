"""What holds for every test."""

from __future__ import annotations

import os
import select
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings

from tests.postgres import running_postgres
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
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A job manager with the emulator, for all tests of one process; tests leave its users and jobs to each other."""
    with running_service(tmp_path_factory.mktemp("service")) as one:
        yield one


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Path | None]:
    """The folder with the socket of a PostgreSQL server of these tests' own; None where there is no PostgreSQL."""
    with running_postgres() as folder:
        yield folder


@pytest.fixture
def postgres_url(postgres_server: Path | None) -> Iterator[Callable[[], str]]:
    """Makes empty databases; they go with the test. Where there is no PostgreSQL, the test is skipped."""
    made: list[str] = []
    engine = None

    def address(name: str) -> str:
        return f"postgresql+pg8000://tests@/{name}?unix_sock={postgres_server}/.s.PGSQL.5432"

    def make() -> str:
        nonlocal engine
        if postgres_server is None:
            reason = "there is no PostgreSQL server on this machine"
            # What is to be tested everywhere before a change is taken must not be left out without notice.
            pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
        if engine is None:
            engine = sa.create_engine(address("postgres"), isolation_level="AUTOCOMMIT")
        made.append(f"test_{uuid.uuid4().hex}")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {made[-1]}")
        return address(made[-1])

    yield make
    if engine is not None:
        with engine.connect() as connection:
            for name in made:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        engine.dispose()
