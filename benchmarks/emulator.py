"""How long does the emulator need for a dense circuit with 1024 shots, without the runtime?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hybrid_runtime.bench import loops

if TYPE_CHECKING:
    from benchmarks.conftest import Record


@pytest.fixture(scope="module")
def emulated() -> dict[int, list[float]]:
    """Seconds by the number of qubits, measured in one process."""
    return loops.emulator(300)


@pytest.mark.parametrize("qubits", loops.QUBITS)
def test_dense_circuit(emulated: dict[int, list[float]], qubits: int, record: Record) -> None:
    """After the first call, which compiles."""
    record(emulated[qubits])
