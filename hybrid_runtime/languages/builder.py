"""Collects the operations of a circuit, one by one, into a `Program`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.gates import Axis, Gate, to_z
from hybrid_runtime.observable import problem_of
from hybrid_runtime.program import (
    BARRIER,
    MAX_BITS,
    MAX_OPERATIONS,
    MAX_QUBITS,
    MEASURE,
    RESET,
    WAIT,
    Operation,
    Program,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.languages.expressions import Expression
    from hybrid_runtime.languages.inputs import Inputs
    from hybrid_runtime.languages.source import Source


_AT_THE_END = "with an observable, measurements are at the end and qubits are reset before they are used"


class Compilation(NamedTuple):
    """A parsed circuit: the program, and for each of its slots the expression that fills it."""

    program: Program
    slots: tuple[Expression, ...]


class Builder:
    """The program that is being built. Offsets say which part of the source an operation comes from."""

    def __init__(self, source: Source, inputs: Inputs) -> None:
        self._source = source
        self._inputs = inputs
        self._operations: list[Operation] = []
        self._slots: list[Expression] = []
        # By index for a lone open number, else by the expression itself: a loop comes to it again.
        self._slot_of: dict[int | Expression, int] = {}
        self._measured = False
        # Qubits that something has happened to: on others, a reset changes nothing.
        self._touched: set[int] = set()
        # For a qubit measured along another axis than z: what turns it back, once that can matter.
        self._turned: dict[int, Gate] = {}
        # For an observable, nothing is measured: these qubits would have been, so nothing may follow on them.
        self._over: set[int] | None = set() if inputs.observable else None

    @property
    def count(self) -> int:
        """How many operations there are."""
        return len(self._operations)

    def gate(self, gate: Gate, qubits: tuple[int, ...], offset: int) -> None:
        """Apply a gate.

        Raises:
            CircuitRejected: it uses a qubit twice, or a parameter is no finite number.
        """
        self.check_distinct(qubits, offset)
        if self._over and not self._over.isdisjoint(qubits):
            raise self._source.rejected(offset, f"the gate follows a measurement; {_AT_THE_END}")
        for qubit in qubits:
            self._turn_back(qubit)
        self._touched.update(qubits)
        self._add(Operation(gate.name, qubits, tuple(map(self._parameter, gate.parameters))), offset)

    def check_distinct(self, qubits: tuple[int, ...], offset: int) -> None:
        """Refuse a gate on these qubits if they are not all different."""
        if len(set(qubits)) != len(qubits):
            raise self._source.rejected(offset, "the gate is applied to the same qubit twice")

    def measure(self, qubit: int, bit: int, offset: int, *, axis: Axis = (0.0, 0.0, 1.0)) -> None:
        """Measure a qubit along a unit axis into a bit."""
        if self._over is not None:
            self._over.add(qubit)
            return
        turn = to_z(axis)
        if turn is not None:
            self.gate(turn, (qubit,), offset)
        else:
            self._turn_back(qubit)
        self._touched.add(qubit)
        self._measured = True
        self._add(Operation(MEASURE, (qubit,), (), bit), offset)
        if turn is not None:
            self._turned[qubit] = turn

    def reset(self, qubit: int, offset: int) -> None:
        """Put a qubit into |0>. At the start of a program it is there already."""
        self._turned.pop(qubit, None)
        if self._over is not None and (qubit in self._touched or qubit in self._over):
            raise self._source.rejected(offset, f"the qubit has been in use before; {_AT_THE_END}")
        if qubit in self._touched:
            self._add(Operation(RESET, (qubit,)), offset)

    def barrier(self, qubits: Sequence[int], offset: int) -> None:
        """Keep the operations before and after it apart on these qubits."""
        self._add(Operation(BARRIER, tuple(dict.fromkeys(qubits))), offset)

    def wait(self, cycles: int, qubits: Sequence[int], offset: int) -> None:
        """Let some cycles pass on each of these qubits."""
        if cycles < 0:
            raise self._source.rejected(offset, f"wait takes a number of cycles from 0, not {cycles}")
        for qubit in qubits:
            self._add(Operation(WAIT, (qubit,), (float(cycles),)), offset)

    def finish(self, qubits: int, bits: int, example: str) -> Compilation:
        """The program.

        Args:
            qubits: How many qubits it has.
            bits: How many bits its result has.
            example: A statement that measures, for who has forgotten it.

        Raises:
            CircuitRejected: it measures nothing and has no observable, or one that is not for its qubits.
        """
        observable = self._inputs.observable
        problem = problem_of(observable, qubits) if observable else ""
        if not self._measured and not observable:
            problem = f"the circuit measures nothing, so it has no result; add `{example}`"
        if problem:
            raise CircuitRejected(problem)
        program = Program(qubits, bits, len(self._slots), tuple(self._operations), observable)
        return Compilation(program, tuple(self._slots))

    def _turn_back(self, qubit: int) -> None:
        turn = self._turned.pop(qubit, None)
        if turn is not None:
            self._add(_reversed(turn, qubit), 0)

    def _add(self, operation: Operation, offset: int) -> None:
        if len(self._operations) >= MAX_OPERATIONS:
            raise self._source.rejected(offset, f"a circuit has at most {MAX_OPERATIONS} operations")
        self._operations.append(operation)

    def _parameter(self, expression: Expression) -> int | float:
        """A constant as a float, anything else as the index of the slot that will hold it."""
        number = float(self._inputs.value(expression))
        if expression.evaluate is None:
            return number
        key = expression.index if expression.index >= 0 else expression
        slot = self._slot_of.setdefault(key, len(self._slots))
        if slot == len(self._slots):
            self._slots.append(expression)
        return slot


def _reversed(turn: Gate, qubit: int) -> Operation:
    if not turn.parameters:
        return Operation(turn.name, (qubit,))
    x, y, z, angle, phase = (float(parameter.value) for parameter in turn.parameters)
    return Operation(turn.name, (qubit,), (x, y, z, -angle, -phase))


def check_sizes(source: Source, *, qubits: int, bits: int, offset: int) -> None:
    """Refuse more qubits or bits than a program may have.

    Args:
        source: The circuit's text.
        qubits: Qubits declared so far.
        bits: Bits declared so far.
        offset: The declaration that brought them to this number.
    """
    if qubits > MAX_QUBITS:
        raise source.rejected(offset, f"a circuit has at most {MAX_QUBITS} qubits, not {qubits}")
    if bits > MAX_BITS:
        raise source.rejected(offset, f"a circuit has at most {MAX_BITS} bits, not {bits}")
