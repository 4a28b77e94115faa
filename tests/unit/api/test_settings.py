"""Settings that cannot work are refused, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid_runtime.api.settings import ApiSettings
from hybrid_runtime.errors import InvalidInput


@pytest.mark.parametrize("name", ["rate_per_s", "burst", "max_batch", "heartbeat_s", "poll_s", "max_watchers"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_number_that_allows_nothing_is_refused(name, value):
    with pytest.raises(InvalidInput, match=name):
        ApiSettings(data=Path("/nowhere"), **{name: value})


def test_what_is_no_network_is_refused():
    with pytest.raises(InvalidInput, match=r"metrics_networks.*10\.0\.0\.0/8"):
        ApiSettings(data=Path("/nowhere"), metrics_networks=["everywhere"])
