"""What a driver is: four methods by which the quantum runtime reaches one kind of device or emulator.

A driver is a class that takes its options as keyword arguments and has the methods of `QuantumDriver`.
Other packages register theirs under the entry point group `hybrid_runtime.drivers`; see `drivers.registry`.
"""

from __future__ import annotations

import time
from array import array
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from hybrid_runtime.errors import BackendTimeout
from hybrid_runtime.program import BARRIER, GATES, MEASURE, RESET, WAIT, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hybrid_runtime.protocol.messages import Capabilities, ResultItem
    from hybrid_runtime.protocol.sessions import BackendState

ALL_OPERATIONS: tuple[str, ...] = (*GATES, MEASURE, RESET, BARRIER, WAIT)


class ProgramHandle:
    """A checked program that the quantum runtime keeps.

    The same object comes with every execution of the program and is compared by identity, so a driver may
    keep what it compiled from it in a dictionary under the handle.
    """

    __slots__ = ("program",)

    def __init__(self, program: Program) -> None:
        self.program = program


class Batch(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Executions of one program that differ in their parameters only, one a row.

    Attributes:
        handle: The program.
        shots: Shots of each row, within the driver's capabilities; 0 for an exact result: the value of the program's
            observable where it has one, else probabilities. Only a driver whose capabilities say so is asked for it.
        seeds: One seed a row, 31 bits each; a driver that cannot be seeded ignores them.
        values: Finite parameters, row after row, `program.slots` of them a row.
        raw: Whether each shot's bits are wanted.
        deadline: When the caller stops waiting, on the clock of `time.monotonic`.
    """

    handle: ProgramHandle
    shots: int
    seeds: list[int]
    values: array[float]
    raw: bool
    deadline: float

    def row(self, index: int) -> array[float]:
        """The parameters of row `index`, in the order of the program's slots."""
        slots = self.handle.program.slots
        return self.values[index * slots : (index + 1) * slots]

    def check_deadline(self) -> None:
        """Call it between rows.

        Raises:
            BackendTimeout: the caller no longer waits.
        """
        if time.monotonic() > self.deadline:
            raise BackendTimeout("the circuits took longer than the time given; ask for fewer, or for fewer shots")


class QuantumDriver(Protocol):
    """One device or emulator. The quantum runtime calls all but `interrupt`, from one thread, one call at a time."""

    def capabilities(self) -> Capabilities:
        """What the backend can do; called once, after the driver was made.

        The runtime refuses whatever is beyond it, so `execute` sees only circuits within.
        """

    def execute(self, batch: Batch) -> Iterable[ResultItem]:
        """Run the rows of `batch` and give one result for each, in order; a generator will do.

        Called for every `CircuitCall`. The results are taken one by one and encoded at once, so a driver that
        yields them needs memory for one row only. The same seed gives the same counts, in a batch or alone,
        with `raw` or without, where the backend can be seeded at all. A driver that computes many rows at once may
        give a `ResultTable` for them.

        Raises:
            CircuitRejected: the circuit cannot be run here as it is; sending it again cannot help.
            BackendTimeout: the deadline passed.
            BackendFailed: the backend broke; sending the circuit again may help.
        """

    def interrupt(self) -> None:
        """Make the running `execute` end early with `BackendFailed`; without one it does nothing.

        The only method called from other threads and from signal handlers: it must not take a lock that
        `execute` holds.
        """

    def close(self) -> None:
        """Let go of the backend; called once, last, also after `execute` failed."""


@runtime_checkable
class Estimates(Protocol):
    """A driver that knows beforehand how long it takes; a further method, for those that compute by themselves."""

    def estimate_s(self, program: Program) -> float:
        """About how long one row of this program takes, in seconds, whatever its shots; infinite where that is open."""


@runtime_checkable
class TellsState(Protocol):
    """A driver that knows when its backend is neither idle nor executing; a further method, for those that can."""

    def watch(self, tell: Callable[[BackendState], None]) -> None:
        """Call `tell`, from within `execute`, whenever the backend begins to do something else.

        Called at most once, before the first `execute`.
        """
