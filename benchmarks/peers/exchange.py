"""The step that every peer does: ask the classical side for a circuit, have the quantum side run it, hand back.

Each peer is a program of its own: it starts a classical and a quantum side in two more processes by its own means,
passes `take` a function that does one step, and ends what it started. Nothing is computed: what is measured is how
long the messages are on their way, with the circuit and the counts as they would be sent.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CIRCUIT = "version 1.0\nqubits 2\nprep_z q[0:1]\nry q[0], 0.73\nx q[1]\ncnot q[0], q[1]\nmeasure_all\n"
COUNTS = {"00": 37, "01": 455, "10": 498, "11": 34}
FIRST = {"00": 1024}


class Classical:
    """The user's side of a step."""

    def execute(self, results: dict[str, int]) -> str:
        """The circuit to run after these results."""
        assert results
        return CIRCUIT


class Quantum:
    """The device's side of a step."""

    def execute(self, circuit: str) -> dict[str, int]:
        """The counts of this circuit."""
        assert circuit
        return COUNTS


def take(step: Callable[[dict[str, int]], dict[str, int]], version: str) -> None:
    """Do as many steps as the command line asks for, and print their nanoseconds.

    Args:
        step: From the last results to the next.
        version: Version of the package that is measured.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=5.0, help="after so long, no more steps are done")
    arguments = parser.parse_args()
    results = FIRST
    for _ in range(max(arguments.steps // 10, 10)):
        results = step(results)
    times: list[int] = []
    end = time.perf_counter() + arguments.seconds
    while len(times) < arguments.steps and time.perf_counter() < end:
        start = time.perf_counter_ns()
        results = step(results)
        times.append(time.perf_counter_ns() - start)
    if results != COUNTS:
        sys.exit(f"the steps gave {results}, not {COUNTS}")
    report({"samples_ns": times, "version": version})


def report(value: Any) -> None:
    """Print the one line that is read."""
    print(json.dumps(value), flush=True)
