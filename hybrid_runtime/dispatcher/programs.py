"""The programs that one job has defined, checked, and numbered for the quantum runtime."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from hybrid_runtime.errors import CircuitRejected, ProtocolError
from hybrid_runtime.program import Program, check_program
from hybrid_runtime.protocol.exactness import check_exact
from hybrid_runtime.protocol.messages import MAX_CIRCUITS_PER_STEP, Capabilities, CircuitCall, Define, Step

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PROGRAMS = 10_000
# The quantum runtime keeps each in about 130 bytes, for every job that it serves.
MAX_OPERATIONS_HELD = 1_000_000


class Programs:
    """Translates a job's own program numbers to those of the quantum runtime, trusting nothing it is sent."""

    def __init__(self, backend: Capabilities, number: Callable[[], int]) -> None:
        self._backend = backend
        self._operations = frozenset(backend.operations)
        self._new_number = number
        self._numbers: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._observed: set[int] = set()
        self._refused: dict[int, str] = {}
        self._held = 0
        self._define: list[Define] = []
        self._forget: list[int] = []

    def define(self, step: Step) -> None:
        """Check and number the programs that come with a step.

        One that this backend cannot run is kept as such, and refused each time it is called.

        Raises:
            ProtocolError: a number is used again, or there are too many.
        """
        for own, program in step.programs:
            if own in self._numbers or own in self._refused:
                raise ProtocolError(f"program {own} is defined twice")
            if len(self._numbers) + len(self._refused) >= MAX_PROGRAMS or self._held > MAX_OPERATIONS_HELD:
                raise ProtocolError(f"more than {MAX_PROGRAMS} programs, or too large ones, are held at once")
            try:
                check_program(program)
                self._check_fits(program)
            except CircuitRejected as error:
                self._refused[own] = str(error)
                continue
            number = self._new_number()
            self._numbers[own] = number
            self._slots[own] = program.slots
            if program.observable:
                self._observed.add(own)
            self._sizes[own] = len(program.operations) + len(program.observable)
            self._held += self._sizes[own]
            self._define.append(Define(number, program))

    def _check_fits(self, program: Program) -> None:
        backend = self._backend
        if program.qubits > backend.qubits:
            raise CircuitRejected(f"the circuit has {program.qubits} qubits, backend {backend.name} {backend.qubits}")
        for operation in program.operations:
            if operation.name not in self._operations:
                raise CircuitRejected(f"backend {backend.name} cannot execute {operation.name}")

    def forget(self, own: list[int]) -> None:
        """Drop these programs: the worker will not call them again."""
        for number in own:
            self._refused.pop(number, None)
            if number in self._numbers:
                self._forget.append(self._numbers.pop(number))
                self._slots.pop(number)
                self._held -= self._sizes.pop(number)
                self._observed.discard(number)

    def take_changes(self) -> tuple[list[Define], list[int]]:
        """What the quantum runtime must be told before and after the next request; it counts as told."""
        define, forget = self._define, self._forget
        if define:
            self._define = []
        if forget:
            self._forget = []
        return define, forget

    def all_numbers(self) -> list[int]:
        """The numbers of all programs held."""
        return list(self._numbers.values())

    def calls(self, step: Step) -> tuple[list[CircuitCall], int]:
        """The step's calls in the quantum runtime's numbers, and how many shots they take.

        Raises:
            CircuitRejected: shots or parameters that cannot be run.
            ProtocolError: what no honest worker sends.
        """
        if not step.calls:
            raise ProtocolError("a step without circuits")
        calls = []
        shots = rows = 0
        for call in step.calls:
            number = self._numbers.get(call.program)
            if number is None:
                if call.program in self._refused:
                    raise CircuitRejected(self._refused[call.program])
                raise ProtocolError(f"program {call.program} was never defined")
            rows += call.rows
            if call.rows < 1 or rows > MAX_CIRCUITS_PER_STEP:
                raise CircuitRejected(f"a step has 1 to {MAX_CIRCUITS_PER_STEP} circuits: split it")
            if call.shots == 0 or call.program in self._observed:
                check_exact(call, observed=call.program in self._observed, backend=self._backend)
            elif not 1 <= call.shots <= self._backend.max_shots:
                raise CircuitRejected(
                    f"{call.shots} shots: backend {self._backend.name} takes 1 to {self._backend.max_shots}"
                )
            elif call.raw and not self._backend.raw:
                raise CircuitRejected(f"backend {self._backend.name} does not return raw shots")
            if len(call.values) != 8 * self._slots[call.program] * call.rows:
                raise ProtocolError("a circuit's parameters do not fit its program")
            if call.values and not _finite(call.values):
                raise CircuitRejected("a circuit's parameter is not a finite number")
            shots += call.shots * call.rows
            calls.append(CircuitCall(number, call.shots, call.rows, call.values, call.raw))
        return calls, shots


def _finite(values: bytes) -> bool:
    numbers = struct.unpack(f"<{len(values) // 8}d", values)
    # A quick test first: the sum can only be finite when all terms are.
    return math.isfinite(sum(numbers)) or all(map(math.isfinite, numbers))
