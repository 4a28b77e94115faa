"""APIs to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.running import Api, start


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One API for the tests of a module, with users ada and bob, who share nothing, an operator olga, and an admin."""
    api = start(tmp_path_factory.mktemp("api"), heartbeat_s=0.2, rate_per_s=1e6, burst=1_000_000, stale_s=1e6)
    yield api
    api.close()


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Starts further ones with other settings."""
    made: list[Api] = []

    def make(**settings: Any) -> Api:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(start(folder, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()
