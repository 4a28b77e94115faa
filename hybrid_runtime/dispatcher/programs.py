"""The programs that one job has defined, checked, and numbered for the quantum runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.errors import CircuitRejected, ProtocolError
from hybrid_runtime.program import Program, all_finite, check_program
from hybrid_runtime.protocol.exactness import check_exact
from hybrid_runtime.protocol.messages import MAX_CIRCUITS_PER_STEP, Capabilities, CircuitCall, Define, Step, encode
from hybrid_runtime.protocol.sessions import RawDefine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_PROGRAMS = 10_000
# The quantum runtime keeps each in about 130 bytes, for every job that it serves.
MAX_OPERATIONS_HELD = 1_000_000
_VALUE_BYTES = 8
_MOST_CHECKED = 4096
decode_program = msgspec.msgpack.Decoder(Program).decode


class Programs:
    """Translates a job's own program numbers to those of the quantum runtime, trusting nothing it is sent."""

    def __init__(self, backend: Capabilities, number: Callable[[], int]) -> None:
        self.backend = backend
        self._operations = frozenset(backend.operations)
        self._new_number = number
        self._numbers: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._observed: set[int] = set()
        self._refused: dict[int, str] = {}
        # What a quantum runtime that is started again, or another backend, has to be told: each program as it travels.
        self._bodies: dict[int, msgspec.Raw] = {}
        self._leaving: dict[int, msgspec.Raw] = {}
        self._held = 0
        # What has been found right of calls but for their numbers; most calls are like one before.
        self._checked: dict[tuple[int, int, int, bool, int], int] = {}
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
            self._bodies[number] = msgspec.Raw(encode(program))
            self._slots[own] = program.slots
            if program.observable:
                self._observed.add(own)
            self._sizes[own] = len(program.operations) + len(program.observable)
            self._held += self._sizes[own]
            self._define.append(Define(number, program))

    def _check_fits(self, program: Program) -> None:
        backend = self.backend
        if program.qubits > backend.qubits:
            raise CircuitRejected(f"the circuit has {program.qubits} qubits, backend {backend.name} {backend.qubits}")
        for operation in program.operations:
            if operation.name not in self._operations:
                raise CircuitRejected(f"backend {backend.name} cannot execute {operation.name}")

    def forget(self, own: list[int]) -> None:
        """Drop these programs: the worker will not call them again."""
        self._leaving = {}
        self._checked.clear()
        for key in own:
            self._refused.pop(key, None)
            if key in self._numbers:
                number = self._numbers.pop(key)
                self._forget.append(number)
                self._leaving[number] = self._bodies.pop(number)
                self._slots.pop(key)
                self._held -= self._sizes.pop(key)
                self._observed.discard(key)

    def take_changes(self) -> tuple[list[Define], list[int]]:
        """What the quantum runtime must be told before and after the next request; it counts as told."""
        define, forget = self._define, self._forget
        if define:
            self._define = []
        if forget:
            self._forget = []
        return define, forget

    def all_defined(self, leaving: Iterable[int] = ()) -> list[RawDefine]:
        """What a quantum runtime has to be told that does not know this job.

        `leaving` are those that are forgotten as soon as the step under way is run.
        """
        known = self._bodies | {number: self._leaving[number] for number in leaving if number in self._leaving}
        return [RawDefine(number, body) for number, body in known.items()]

    def move(self, backend: Capabilities, calls: Iterable[CircuitCall]) -> None:
        """Another backend runs the job from now on, beginning with these calls, which are in its numbers.

        Programs that it cannot run are refused from now on.

        Raises:
            CircuitRejected: it cannot run these calls.
        """
        self.backend = backend
        self._checked.clear()
        self._operations = frozenset(backend.operations)
        unfit: dict[int, str] = {}
        observing = set()
        for number, body in [*self._bodies.items(), *self._leaving.items()]:
            program = decode_program(body)
            if program.observable:
                observing.add(number)
            try:
                self._check_fits(program)
            except CircuitRejected as error:
                unfit[number] = str(error)
        for own, number in list(self._numbers.items()):
            if number in unfit:
                self._refused[own] = unfit[number]
                del self._numbers[own], self._bodies[number], self._slots[own]
                self._observed.discard(own)
                self._held -= self._sizes.pop(own)
        for call in calls:
            if call.program in unfit:
                raise CircuitRejected(unfit[call.program])
            observed = call.program in observing
            if call.shots == 0 or observed:
                check_exact(call, observed=observed, backend=backend)
            elif call.shots > backend.max_shots:
                raise CircuitRejected(f"{call.shots} shots: backend {backend.name} takes 1 to {backend.max_shots}")
            if call.raw and not backend.raw:
                raise CircuitRejected(f"backend {backend.name} does not return raw shots")

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
            number = self._checked.get((call.program, call.shots, call.rows, call.raw, len(call.values)))
            if number is None:
                number = self._check(call)
            rows += call.rows
            if rows > MAX_CIRCUITS_PER_STEP:
                raise CircuitRejected(f"a step has 1 to {MAX_CIRCUITS_PER_STEP} circuits: split it")
            if not all_finite(call.values):
                raise CircuitRejected("a circuit's parameter is not a finite number")
            shots += call.shots * call.rows
            calls.append(CircuitCall(number, call.shots, call.rows, call.values, call.raw))
        return calls, shots

    def _check(self, call: CircuitCall) -> int:
        """The quantum runtime's number of a call's program, once all is known to be right but its numbers."""
        own = call.program
        number = self._numbers.get(own)
        if number is None:
            if own in self._refused:
                raise CircuitRejected(self._refused[own])
            raise ProtocolError(f"program {own} was never defined")
        if not 1 <= call.rows <= MAX_CIRCUITS_PER_STEP:
            raise CircuitRejected(f"a step has 1 to {MAX_CIRCUITS_PER_STEP} circuits: split it")
        backend = self.backend
        if call.shots == 0 or own in self._observed:
            check_exact(call, observed=own in self._observed, backend=backend)
        elif not 1 <= call.shots <= backend.max_shots:
            raise CircuitRejected(f"{call.shots} shots: backend {backend.name} takes 1 to {backend.max_shots}")
        elif call.raw and not backend.raw:
            raise CircuitRejected(f"backend {backend.name} does not return raw shots")
        if len(call.values) != _VALUE_BYTES * self._slots[own] * call.rows:
            raise ProtocolError("a circuit's parameters do not fit its program")
        if len(self._checked) >= _MOST_CHECKED:
            self._checked.clear()
        self._checked[own, call.shots, call.rows, call.raw, len(call.values)] = number
        return number
