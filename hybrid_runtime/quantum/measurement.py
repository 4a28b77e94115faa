"""When the measurements of a program have to happen: at the end by sampling, or in the middle by collapse.

A measurement whose qubit is only measured afterwards commutes with all that follows, so one simulation and
a sampling at the end are exact. Only the others, and resets of qubits in use, split the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hybrid_runtime.program import BARRIER, MEASURE, RESET, WAIT, Operation, Program


@dataclass(frozen=True, slots=True)
class Collapse:
    """A qubit has to be observed here.

    Attributes:
        qubit: The qubit.
        bit: The bit that takes the outcome; -1 where a later measurement overwrites it or none was asked for.
        reset: Whether the qubit continues in |0>.
    """

    qubit: int
    bit: int
    reset: bool


Stage: TypeAlias = tuple[Operation, ...] | Collapse


@dataclass(frozen=True, slots=True)
class Plan:
    """A program arranged for simulation.

    Attributes:
        qubits: The program's qubits that a gate touches; the others stay in |0> and need no simulation.
        stages: Runs of gates, and the collapses between them.
        sources: `(bit, qubit)` of the measurements at the end; bits not named here or by a collapse are 0.
    """

    qubits: tuple[int, ...]
    stages: tuple[Stage, ...]
    sources: tuple[tuple[int, int], ...]

    @property
    def collapses(self) -> int:
        """How often the state may split."""
        return sum(isinstance(stage, Collapse) for stage in self.stages)


def plan(program: Program) -> Plan:
    """Arrange a checked program: drop what cannot be seen, and put measurements at the end where possible."""
    operations = _seen(program)
    needed = _kept_until_end(operations)
    stages: list[Stage] = []
    gates: list[Operation] = []
    sources: list[tuple[int, int]] = []
    for index, operation in operations:
        if operation.name not in (MEASURE, RESET):
            gates.append(operation)
        elif index in needed:
            if gates:
                stages.append(tuple(gates))
                gates = []
            stages.append(Collapse(operation.qubits[0], operation.bit, operation.name == RESET))
        elif operation.name == MEASURE and operation.bit >= 0:
            sources.append((operation.bit, operation.qubits[0]))
    if gates and (sources or program.observable):
        stages.append(tuple(gates))
    qubits = {qubit for stage in stages if isinstance(stage, tuple) for gate in stage for qubit in gate.qubits}
    return Plan(tuple(sorted(qubits)), tuple(stages), tuple(sorted(sources)))


def _seen(program: Program) -> list[tuple[int, Operation]]:
    """The operations that can matter, numbered; a measurement that a later one overwrites loses its bit.

    Left out: barriers, waits, identities, and measurements and resets of qubits that are still in |0>.
    """
    writer = {op.bit: index for index, op in enumerate(program.operations) if op.name == MEASURE}
    touched: set[int] = set()
    seen: list[tuple[int, Operation]] = []
    for index, operation in enumerate(program.operations):
        name = operation.name
        if name in (BARRIER, WAIT, "I"):
            continue
        if name not in (MEASURE, RESET):
            touched.update(operation.qubits)
        elif operation.qubits[0] not in touched:
            continue
        elif name == RESET:
            touched.discard(operation.qubits[0])
        elif writer[operation.bit] != index:
            operation = Operation(MEASURE, operation.qubits)
        seen.append((index, operation))
    return seen


def _kept_until_end(operations: list[tuple[int, Operation]]) -> set[int]:
    """The numbers of the measurements and resets that cannot be put off to the end, found from the back."""
    needed: set[int] = set()
    changed: set[int] = set()  # qubits with a gate or a needed reset later on
    used: set[int] = set()  # qubits on which something later depends
    for index, operation in reversed(operations):
        qubit = operation.qubits[0]
        if operation.name == MEASURE:
            if qubit in changed:
                needed.add(index)
            used.add(qubit)
        elif operation.name == RESET:
            if qubit in used:
                needed.add(index)
                changed.add(qubit)
                used.discard(qubit)
        else:
            changed.update(operation.qubits)
            used.update(operation.qubits)
    return needed
