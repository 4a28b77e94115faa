"""Stands in for the package of this name (QX 0.6): takes cQASM 1 and prints its results in the same way."""

from __future__ import annotations

import time
from array import array

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.protocol.results import each
from hybrid_runtime.quantum.driver import Batch, ProgramHandle
from hybrid_runtime.quantum.drivers import registry

_compiler = Compiler()
_emulator = registry.open("qulacs")
_seeds = iter(range(1, 1 << 30))


class SimulationResult:
    """A result; as text it has four lines."""

    def __init__(self, shots: int, results: dict[str, int]) -> None:
        self.shots_requested = self.shots_done = shots
        self.results = results
        self.state = {min(results): 1 + 0j}

    def __repr__(self) -> str:
        requested, done = self.shots_requested, self.shots_done
        return f"Shots requested: {requested}\nShots done: {done}\nResults: {self.results}\nState: {self.state}"


class SimulationError:
    """What comes in place of a result."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __repr__(self) -> str:
        return f"Quantum simulation error: {self.message}"


def execute_string(text: str, iterations: int = 1) -> SimulationResult | SimulationError:
    """Run a circuit."""
    try:
        compiled = _compiler.compile(Circuit(text))
    except CircuitRejected as error:
        return SimulationError(str(error))
    values = array("d", compiled.values)
    handle = ProgramHandle(compiled.program)
    batch = Batch(handle, iterations, [next(_seeds)], values, False, time.monotonic() + 60)
    (result,) = each(_emulator.execute(batch))
    return SimulationResult(iterations, result.counts)
