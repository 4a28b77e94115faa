"""APIs to ask."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.databases import KINDS, Databases
from tests.integration.api.running import Api, start


@pytest.fixture(scope="module", params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """The database behind the API."""
    told: str = request.param
    return told


@pytest.fixture(scope="module")
def api(database_kind: str, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One API for the tests of a module, with users ada and bob, who share nothing, an operator olga, and an admin."""
    folder = tmp_path_factory.mktemp("api")
    with databases.empty(database_kind, folder) as database:
        api = start(folder, database, heartbeat_s=0.2, rate_per_s=1e6, burst=1_000_000, stale_s=1e6)
        yield api
        api.close()


@pytest.fixture
def another(database_kind: str, databases: Databases, tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Starts further ones with other settings."""
    with ExitStack() as made:

        def make(**settings: Any) -> Api:
            folder = Path(tempfile.mkdtemp(dir=tmp_path))
            api = start(folder, made.enter_context(databases.empty(database_kind, folder)), **settings)
            made.callback(api.close)
            return api

        yield make
