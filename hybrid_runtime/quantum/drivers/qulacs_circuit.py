"""From a `Program` to a Qulacs circuit that is built once and given new parameters for each row."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from qulacs import Observable, ParametricQuantumCircuit, QuantumGateBase, QuantumGateMatrix, gate

from hybrid_runtime.quantum import matrices
from hybrid_runtime.quantum.measurement import Collapse, Plan
from hybrid_runtime.quantum.pauli import Observer, Term, reduced
from hybrid_runtime.quantum.sampling import Marginal, labels
from hybrid_runtime.quantum.statevectors import StateVectors, fits

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Sequence

    from hybrid_runtime.program import Operation, Program

# Qulacs turns the other way: its RX(a) is exp(+i a/2 X), ours exp(-i a/2 X). The half turns sqrtX and sqrtY
# are ours up to a global phase, which no measurement shows.
_TURN = -1.0

# What one call into Qulacs may do before interrupts and deadlines are looked at: amplitudes times gates.
_WORK_PER_CALL = 1 << 27
# Up to here many rows are quicker together than one by one: measured, with 10 to 60 gates.
_MANY_QUBITS = 6
# What is prepared for that takes about a kilobyte a gate.
_MANY_GATES = 10_000

_FIXED: dict[str, Callable[..., QuantumGateBase]] = {
    "H": gate.H,
    "X": gate.X,
    "Y": gate.Y,
    "Z": gate.Z,
    "S": gate.S,
    "Sdag": gate.Sdag,
    "T": gate.T,
    "Tdag": gate.Tdag,
    "X90": gate.sqrtX,
    "mX90": gate.sqrtXdag,
    "Y90": gate.sqrtY,
    "mY90": gate.sqrtYdag,
    "CNOT": gate.CNOT,
    "CZ": gate.CZ,
    "SWAP": gate.SWAP,
    "TOFFOLI": gate.TOFFOLI,
}
_AXES: dict[str, tuple[Callable[[int, float], QuantumGateBase], str]] = {
    "Rx": (gate.RX, "add_parametric_RX_gate"),
    "Ry": (gate.RY, "add_parametric_RY_gate"),
    "Rz": (gate.RZ, "add_parametric_RZ_gate"),
}
_PAULI_Z = 3

Span: TypeAlias = "tuple[int, int]"  # gates from the first index up to before the second


class QulacsCircuit:
    """A compiled program. Its qubits are those that the plan simulates, numbered from 0.

    Attributes:
        qubits: How many are simulated.
        steps: Spans of gates, and collapses between them, in order.
        marginal: Reduces all qubits to the measured ones.
        labels: The text of their outcomes.
        measures: Whether anything is measured at the end.
        collapses: How often the state may split.
        bits: Width of the register.
        program: What was compiled.
    """

    def __init__(self, program: Program, plan: Plan) -> None:
        self.program = program
        self.qubits = len(plan.qubits)
        self.bits = program.bits
        self.collapses = plan.collapses
        self.steps: list[Span | Collapse] = []
        self._index = {qubit: index for index, qubit in enumerate(plan.qubits)}
        self._circuit = ParametricQuantumCircuit(max(self.qubits, 1))
        self._parameters: list[tuple[int, int, float]] = []  # parameter, slot, factor
        self._rebuilt: list[tuple[int, Operation]] = []  # gates for which Qulacs has no parameter
        for stage in plan.stages:
            if isinstance(stage, Collapse):
                self.steps.append(Collapse(self._index[stage.qubit], stage.bit, stage.reset))
            else:
                self._add_stage(stage)
        self._read_out(plan)
        self._terms = reduced(program.observable, self._index)
        self._observables = _observables([term for term in self._terms if term.letters], self.qubits)
        self._constant = sum(term.coefficient for term in self._terms if not term.letters)
        gates = [gate for stage in plan.stages if isinstance(stage, tuple) for gate in stage]
        small = self.qubits <= _MANY_QUBITS and len(gates) <= _MANY_GATES
        self._gates = gates if small and not self.collapses and fits(gates) else None

    @cached_property
    def many(self) -> StateVectors | None:
        """What simulates many rows together; None where it cannot or would not be quicker."""
        return None if self._gates is None else StateVectors(self.qubits, self._gates, self._index)

    @cached_property
    def observer(self) -> Observer:
        """What takes the means of the observable in many states."""
        return Observer(self._terms, self.qubits)

    def mean(self, state: Any, check: Callable[[], None]) -> float:
        """The mean of the observable in a state; `check` is called now and then."""
        total = self._constant
        for observable in self._observables:
            check()
            total += observable.get_expectation_value(state)
        return total

    def bind(self, values: array[float], start: int) -> None:
        """Take the row's parameters, which begin at `values[start]`."""
        set_parameter = self._circuit.set_parameter
        for parameter, slot, factor in self._parameters:
            set_parameter(parameter, factor * values[start + slot])
        for position, operation in self._rebuilt:
            params = [values[start + value] if isinstance(value, int) else value for value in operation.params]
            self._circuit.remove_gate(position)
            self._circuit.add_gate(_matrix_gate(operation.name, self._places(operation), params), position)

    def apply(self, state: Any, span: Span) -> None:
        """Apply a span of gates to a state."""
        self._circuit.update_quantum_state(state, span[0], span[1])

    def _read_out(self, plan: Plan) -> None:
        measured = sorted({self._index[qubit] for _, qubit in plan.sources})
        self.measures = bool(measured)
        self.marginal = Marginal(self.qubits, measured)
        position = {qubit: number for number, qubit in enumerate(measured)}
        self.labels = labels(self.bits, tuple((bit, position[self._index[qubit]]) for bit, qubit in plan.sources))

    def _add_stage(self, operations: tuple[Operation, ...]) -> None:
        start = self._circuit.get_gate_count()
        for operation in operations:
            self._add(operation)
        end = self._circuit.get_gate_count()
        most = max(_WORK_PER_CALL >> self.qubits, 1)
        self.steps.extend((first, min(first + most, end)) for first in range(start, end, most))

    def _add(self, operation: Operation) -> None:
        name, params = operation.name, operation.params
        places = self._places(operation)
        if name in _FIXED:
            self._circuit.add_gate(_FIXED[name](*places))
        elif name in _AXES:
            self._add_turn(name, places[0], params[0])
        elif not any(isinstance(value, int) for value in params):
            self._circuit.add_gate(_matrix_gate(name, places, params))
        elif name == "U":
            # U(theta, phi, lambda) = Rz(phi) Ry(theta) Rz(lambda) up to a global phase.
            self._add_turn("Rz", places[0], params[2])
            self._add_turn("Ry", places[0], params[0])
            self._add_turn("Rz", places[0], params[1])
        elif name == "CR":
            self._add_controlled_phase(places, int(params[0]))
        else:
            self._rebuilt.append((self._circuit.get_gate_count(), operation))
            self._circuit.add_gate(gate.Identity(places[0]))

    def _add_turn(self, name: str, place: int, angle: float | int) -> None:
        make, add_open = _AXES[name]
        if isinstance(angle, int):
            self._parameters.append((self._circuit.get_parameter_count(), angle, _TURN))
            getattr(self._circuit, add_open)(place, 0.0)
        else:
            self._circuit.add_gate(make(place, _TURN * angle))

    def _add_controlled_phase(self, places: list[int], slot: int) -> None:
        # CR(t) = Rz(t/2) x Rz(t/2) . exp(i t/4 ZZ) up to a global phase; Qulacs writes exp(+i a/2 ZZ).
        for place in places:
            self._parameters.append((self._circuit.get_parameter_count(), slot, _TURN / 2))
            self._circuit.add_parametric_RZ_gate(place, 0.0)
        self._parameters.append((self._circuit.get_parameter_count(), slot, -_TURN / 2))
        self._circuit.add_parametric_multi_Pauli_rotation_gate(places, [_PAULI_Z, _PAULI_Z], 0.0)

    def _places(self, operation: Operation) -> list[int]:
        return [self._index[qubit] for qubit in operation.qubits]


def _observables(terms: list[Term], qubits: int) -> list[Observable]:
    """The terms in pieces, each as much work as one call may be."""
    most = max(_WORK_PER_CALL >> qubits, 1)
    pieces = []
    for start in range(0, len(terms), most):
        piece = Observable(max(qubits, 1))
        for coefficient, letters in terms[start : start + most]:
            piece.add_operator(coefficient, " ".join(f"{letter} {qubit}" for qubit, letter in letters))
        pieces.append(piece)
    return pieces


def _matrix_gate(name: str, places: list[int], params: Sequence[float]) -> QuantumGateBase:
    """U, Rn, CR or CRn with known parameters."""
    if name == "U":
        matrix = matrices.u(params[0], params[1], params[2])
    elif name == "CR":
        matrix = matrices.phase(params[0])
    else:
        matrix = matrices.rn((params[0], params[1], params[2]), params[3], params[4])
    made: QuantumGateMatrix = gate.DenseMatrix(places[-1], matrix)
    for control in places[:-1]:
        made.add_control_qubit(control, 1)
    return made
