"""Which database is behind a service."""

from __future__ import annotations

import pytest

from tests.databases import KINDS


@pytest.fixture(scope="module", params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """The database behind the service."""
    told: str = request.param
    return told
