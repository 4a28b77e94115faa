"""What is compared with the runtime: the same work in one process, on the same driver object, called directly.

`python -m hybrid_runtime.bench.alone TASK`, where TASK is JSON, prints JSON. It is a process of its own because the
emulator's libraries take their number of threads from the environment when they are loaded.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from array import array
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.bench.algorithms import LOOPS, angles
from hybrid_runtime.config import child_environment
from hybrid_runtime.errors import InternalError
from hybrid_runtime.process import interpreter

if TYPE_CHECKING:
    from hybrid_runtime.circuit import Circuit
    from hybrid_runtime.quantum.driver import ProgramHandle, QuantumDriver

_TIMEOUT_S = 120.0


class Emulation(msgspec.Struct, frozen=True):
    """Time `executions` executions of a dense circuit on so many qubits."""

    qubits: int
    executions: int
    shots: int = 1024


class Loop(msgspec.Struct, frozen=True):
    """Run a loop of `algorithms` so many times."""

    loop: str
    evaluations: int
    repetitions: int
    seed: int
    shots: int = 1024


class Answer(msgspec.Struct, frozen=True):
    """Seconds of each execution or repetition, and what a loop found (the same each time)."""

    seconds: list[float]
    found: dict[str, Any]


def run_alone(tasks: list[Emulation | Loop]) -> list[Answer]:
    """Do these tasks in one process of their own.

    Raises:
        InternalError: it failed.
    """
    text = msgspec.json.encode([_tagged(task) for task in tasks]).decode()
    command = interpreter(__name__, text)
    try:
        done = subprocess.run(command, env=child_environment(), capture_output=True, timeout=_TIMEOUT_S, check=True)
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        raise InternalError(f"the comparison without the runtime failed: {said or error}") from error
    return msgspec.json.decode(done.stdout, type=list[Answer])


def _tagged(task: Emulation | Loop) -> dict[str, Any]:
    return {"kind": type(task).__name__, **msgspec.to_builtins(task)}


# ------------------------------------------------------------------ in the process


def main() -> None:
    """Do the tasks on the command line."""
    from hybrid_runtime.quantum.drivers.qulacs import QulacsDriver

    driver = QulacsDriver()
    answers = []
    for task in msgspec.json.decode(sys.argv[1]):
        if task.pop("kind") == Emulation.__name__:
            answers.append(_emulate(driver, msgspec.convert(task, Emulation)))
        else:
            answers.append(_loop(driver, msgspec.convert(task, Loop)))
    driver.close()
    sys.stdout.buffer.write(msgspec.json.encode(answers))


def _emulate(driver: QuantumDriver, task: Emulation) -> Answer:
    circuit = angles(task.qubits, 2 * task.qubits)
    bound = circuit.bind(angle=[0.1 + 0.2 * slot for slot in range(2 * task.qubits)])
    handle, values = _compiled(bound)
    seconds = []
    for seed in range(task.executions + 3):
        start = time.perf_counter()
        _execute(driver, handle, values, seed, task.shots)
        seconds.append(time.perf_counter() - start)
    return Answer(seconds[3:], {})  # the first calls compile and allocate


def _loop(driver: QuantumDriver, task: Loop) -> Answer:
    make_circuits, optimize = LOOPS[task.loop]
    seconds: list[float] = []
    found: dict[str, Any] = {}
    # As in a worker, what can be loaded beforehand is: the first repetition is not counted.
    for _ in range(task.repetitions + 1):
        start = time.perf_counter()
        found = optimize(_Measure(driver, make_circuits(), task), task.evaluations)
        seconds.append(time.perf_counter() - start)
    return Answer(seconds[1:], found)


class _Measure:
    """Runs a loop's circuits as a person would who has only the emulator: each compiled once, then bound by hand.

    The seeds are those that the runtime derives from a job's, so both must find the same.
    """

    def __init__(self, driver: QuantumDriver, circuits: list[Circuit], task: Loop) -> None:
        self._driver = driver
        self._task = task
        self._calls = 0
        width = 1 + max(int(name) for circuit in circuits for name in _indices(circuit.source))
        # Each slot takes one of the parameters: with the parameter's number as its value, the slot shows which.
        self._programs = [_compiled(circuit.bind(x=list(range(width)))) for circuit in circuits]

    def __call__(self, x: Any) -> list[dict[str, int]]:
        from hybrid_runtime.protocol.messages import derive_seed

        self._calls += 1
        seed = derive_seed(self._task.seed, self._calls)
        return [
            _execute(
                self._driver,
                handle,
                array("d", [x[int(place)] for place in places]),
                derive_seed(seed, row),
                self._task.shots,
            )
            for row, (handle, places) in enumerate(self._programs)
        ]


def _indices(source: str) -> list[str]:
    return [part.partition("]")[0] for part in source.split("{x[")[1:]]


def _compiled(circuit: Circuit) -> tuple[ProgramHandle, array[float]]:
    from hybrid_runtime.languages.compiler import Compiler
    from hybrid_runtime.quantum.driver import ProgramHandle

    compiled = Compiler().compile(circuit)
    return ProgramHandle(compiled.program), array("d", compiled.values)


def _execute(
    driver: QuantumDriver, handle: ProgramHandle, values: array[float], seed: int, shots: int
) -> dict[str, int]:
    from hybrid_runtime.protocol.results import each
    from hybrid_runtime.quantum.driver import Batch

    (result,) = each(driver.execute(Batch(handle, shots, [seed], values, False, math.inf)))
    return result.counts


if __name__ == "__main__":
    main()
