"""What does a waterfall (`--trace`) add to each step?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hybrid_runtime.bench import steps
from hybrid_runtime.local import LocalRuntime
from hybrid_runtime.placement import Placement

if TYPE_CHECKING:
    from benchmarks.conftest import Record


@pytest.mark.parametrize("traced", [False, True], ids=["off", "on"])
def test_step(tmp_path: Path, traced: bool, record: Record) -> None:
    """All processes on one core, where the difference is not lost among wake-ups."""
    trace = tmp_path / "trace.json" if traced else None
    with LocalRuntime("null", trace=trace, placement=Placement.SAME_CORE) as client:
        times = [time * 1e-9 for _ in range(3) for time in steps.take(client, 5000).times]
    record(times)
