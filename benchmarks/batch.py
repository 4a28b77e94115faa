"""How long does a step of many parameter sets take, beside many steps of one?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hybrid_runtime.bench import steps
from hybrid_runtime.local import LocalRuntime

if TYPE_CHECKING:
    from benchmarks.conftest import Record

QUBITS = 4


@pytest.mark.parametrize("rows", [1, 10, 100, 1000])
def test_messages(null_runtime: LocalRuntime, rows: int, record: Record) -> None:
    """The backend answers at once."""
    record(taken(null_runtime, rows))


@pytest.mark.parametrize("rows", [1, 10, 100, 1000])
def test_emulated(emulator_runtime: LocalRuntime, rows: int, record: Record) -> None:
    """The emulator runs every set with 1024 shots."""
    record(taken(emulator_runtime, rows))


def taken(client: LocalRuntime, rows: int) -> list[float]:
    """Seconds of each step."""
    taken = steps.take(client, max(1000 // rows, 10), slots=QUBITS, rows=rows, qubits=QUBITS)
    return [time * 1e-9 for time in taken.times]
