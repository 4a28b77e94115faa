"""A driver in the calling process, for circuits that take less time than two messages to another process and back.

Only drivers that say how long a program takes, and that are our own, are run like this: whoever calls waits for
them, and a crash in their compiled code would be its own.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import HybridRuntimeError
from hybrid_runtime.protocol.messages import Execute, Executed, Failure
from hybrid_runtime.quantum.driver import Estimates
from hybrid_runtime.quantum.drivers import registry
from hybrid_runtime.quantum.executor import Executor
from hybrid_runtime.quantum.threads import limit_threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hybrid_runtime.program import Program
    from hybrid_runtime.protocol.messages import CircuitCall
    from hybrid_runtime.quantum.driver import QuantumDriver

# The caller attends to nothing else meanwhile, so no step may take longer than this, by its driver's estimate.
MOST_S = 0.005
# Nor is time taken here to look through a program of more operations, and to compile it.
MOST_OPERATIONS = 1000
# A request's own limit is far beyond that.
_TIMEOUT_S = 60.0


class Inline:
    """Runs the steps that are brief, and leaves all others to the backend's own process.

    Args:
        driver: What runs the circuits.
        estimates: The same driver's estimates.
    """

    def __init__(self, driver: QuantumDriver, estimates: Estimates) -> None:
        self._executor = Executor(driver, checked=True)
        self._estimate_s = estimates.estimate_s
        self._seconds: dict[int, float] = {}

    def define(self, number: int, program: Program) -> None:
        """Keep a program that has been checked and may be asked for."""
        if len(program.operations) + len(program.observable) > MOST_OPERATIONS:
            return
        seconds = self._estimate_s(program)
        if seconds <= MOST_S:
            self._seconds[number] = seconds
            self._executor.define(number, program)

    def forget(self, numbers: Iterable[int]) -> None:
        """Drop programs; those that are not known are left out."""
        for number in numbers:
            self._seconds.pop(number, None)
        self._executor.forget(numbers)

    def seconds(self, calls: list[CircuitCall]) -> float | None:
        """About how long a step takes here; None where it is none of the brief ones."""
        seconds = 0.0
        for call in calls:
            each_s = self._seconds.get(call.program)
            if each_s is None or call.raw:
                return None
            seconds += each_s * call.rows
        return seconds if seconds <= MOST_S else None

    def answer(self, calls: list[CircuitCall], seed: int) -> Executed | Failure:
        """The answer to a brief step, whose numbers have been checked."""
        return self._executor.answer(Execute(0, calls, seed, _TIMEOUT_S))


def load(name: str, options: Mapping[str, Any]) -> Inline | None:
    """The driver of this name in this process; None where it is not one of those that may be, or cannot be opened.

    What is wrong with its options is for the backend's own process to say.
    """
    if name not in registry.SELF_CONTAINED:
        return None
    limit_threads(options)
    try:
        driver = registry.open(name, options)
    except HybridRuntimeError:
        return None
    if not isinstance(driver, Estimates):
        driver.close()
        return None
    # What it made stays for good: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    return Inline(driver, driver)
