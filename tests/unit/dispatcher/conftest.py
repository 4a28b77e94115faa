"""What a worker sends, made shorter to write."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hybrid_runtime.dispatcher.machine import Machine
from hybrid_runtime.dispatcher.programs import Programs
from hybrid_runtime.limits import Limits
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.messages import Capabilities, CircuitCall, Executed, ResultData, Step, encode

BACKEND = Capabilities(
    name="lab", driver="scripted", qubits=5, max_shots=10_000, operations=("H", "Rx", "measure"), raw=False
)
PROGRAM = Program(1, 1, 1, (Operation("Rx", (0,), (0,)), Operation("measure", (0,), bit=0)))
START = 100.0


def make_step(number: int, *, shots: int = 10, angle: float = 0.5, **fields: Any) -> Step:
    """A step of one circuit; the first one brings its program along."""
    fields.setdefault("programs", [(7, PROGRAM)] if number == 1 else [])
    fields.setdefault("calls", [CircuitCall(7, shots, 1, struct.pack("<d", angle))])
    return Step(number, **fields)


def make_executed(request: int = 1, *, shots: int = 10, duration_s: float = 0.0) -> Executed:
    items = [ResultData({"0": shots}, shots, duration_s, 1)]
    return Executed(request, shots, duration_s, msgspec.Raw(encode(items)))


@pytest.fixture
def make_machine() -> Callable[..., Machine]:
    """Makes a job's machine with these limits, started at `START`."""

    def make(**limits: Any) -> Machine:
        return Machine("job", Limits(**limits), Programs(BACKEND, itertools.count(1000).__next__), START)

    return make
