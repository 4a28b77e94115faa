"""How long do a step's messages take by themselves, in C?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hybrid_runtime.bench import floor
from hybrid_runtime.bench.placement import elsewhere
from hybrid_runtime.placement import Placement

if TYPE_CHECKING:
    from benchmarks.conftest import Record


@pytest.mark.parametrize("placement", elsewhere(), ids=str)
@pytest.mark.parametrize("mode", floor.MODES)
def test_floor(mode: str, placement: Placement, record: Record) -> None:
    """Four messages between three processes."""
    if not floor.sensible(mode, placement):
        pytest.skip("whoever spins keeps from the core the one it waits for")
    try:
        with floor.compiled() as program:
            record([time * 1e-9 for time in floor.take(program, mode, placement, 20_000)])
    except floor.NoFloor as error:
        pytest.skip(str(error))
