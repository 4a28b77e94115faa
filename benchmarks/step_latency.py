"""How long does a step take, by channel, by placement and by how much it sends?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hybrid_runtime.bench import steps
from hybrid_runtime.bench.placement import possible
from hybrid_runtime.local import LocalRuntime
from hybrid_runtime.placement import Placement

if TYPE_CHECKING:
    from benchmarks.conftest import Record

STEPS = 5000


@pytest.mark.parametrize("placement", possible(), ids=str)
@pytest.mark.parametrize("channel", steps.CHANNELS)
def test_step(channel: str, placement: Placement, record: Record) -> None:
    """One parameter in each step; the backend answers at once."""
    reason = steps.missing(channel)
    if reason is not None:
        pytest.skip(reason)
    with steps.on_channel(channel, placement) as client:
        record([time * 1e-9 for time in steps.take(client, STEPS).times])


@pytest.mark.parametrize("slots", steps.SLOTS)
def test_payload(null_runtime: LocalRuntime, slots: int, record: Record) -> None:
    """So many parameters in each step."""
    record([time * 1e-9 for time in steps.take(null_runtime, STEPS, slots=slots).times])
