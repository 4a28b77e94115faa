"""Whole hybrid algorithms, with the runtime and without."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hybrid_runtime.bench import alone
from hybrid_runtime.bench.placement import ALGORITHMS

if TYPE_CHECKING:
    from hybrid_runtime.local import LocalRuntime

EVALUATIONS = 200
QUBITS = (2, 5, 10)
_SHOTS = 1024
_SEED = 1


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One loop with the runtime and without.

    Attributes:
        evaluations: Evaluations of the function that is minimized.
        runtime_s: From submitting the job until its result is there, on a runtime that is up; median.
        alone_s: scipy and the emulator in one process; median.
        overhead: How much longer it takes with the runtime, as a share of `alone_s`.
        same_result: Whether both found exactly the same value.
        repetitions: How often each was run.
    """

    evaluations: int
    runtime_s: float
    alone_s: float
    overhead: float
    same_result: bool
    repetitions: int


class Turns(NamedTuple):
    """Seconds of each run with the runtime and without, and what each found."""

    with_runtime: list[float]
    without: list[float]
    found: list[dict[str, Any]]


def by_turns(client: LocalRuntime, loop: str, count: int) -> Turns:
    """Run a loop by turns with the runtime and without, so that a change of the machine's speed meets both."""
    parameters = {"loop": loop, "evaluations": EVALUATIONS}
    task = alone.Loop(loop, EVALUATIONS, repetitions=1, seed=_SEED, shots=_SHOTS)

    def job() -> tuple[float, Any]:
        start = time.perf_counter()
        result = client.run(f"{ALGORITHMS}:loop", parameters=parameters, seed=_SEED, shots=_SHOTS).raise_for_error()
        return time.perf_counter() - start, result.value

    turns = Turns([], [], [job()[1]])  # the first had to wait until everything was loaded
    for _ in range(count):
        taken, value = job()
        answer = alone.run_alone([task])[0]
        turns.with_runtime.append(taken)
        turns.without.extend(answer.seconds)
        turns.found.extend((value, answer.found))
    return turns


def compare(client: LocalRuntime, loop: str, count: int) -> Comparison:
    """What came of so many turns."""
    turns = by_turns(client, loop, count)
    runtime_s, alone_s = statistics.median(turns.with_runtime), statistics.median(turns.without)
    return Comparison(
        evaluations=turns.found[0]["evaluations"],
        runtime_s=runtime_s,
        alone_s=alone_s,
        overhead=runtime_s / alone_s - 1,
        same_result=all(one == turns.found[0] for one in turns.found),
        repetitions=count,
    )


def emulator(count: int) -> dict[int, list[float]]:
    """The emulator by itself: seconds of dense circuits, by their number of qubits."""
    answers = alone.run_alone([alone.Emulation(qubits, count, _SHOTS) for qubits in QUBITS])
    return {qubits: answer.seconds for qubits, answer in zip(QUBITS, answers, strict=True)}
