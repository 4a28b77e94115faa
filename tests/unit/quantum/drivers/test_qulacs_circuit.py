from __future__ import annotations

from array import array
from itertools import permutations

import numpy as np
import pytest
from qulacs import QuantumState

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.program import GATES, Operation, Program
from hybrid_runtime.quantum.drivers.qulacs_circuit import QulacsCircuit
from hybrid_runtime.quantum.measurement import plan

QUBITS = 3
ANGLES = (0.3, -1.1, 2.9, 0.7, -2.2)

# Each gate at each place, its parameters known, all open, or the first one open.
CASES = [
    pytest.param(name, places, open_count, id=f"{name}-{''.join(map(str, places))}-{open_count}open")
    for name, (width, parameters) in GATES.items()
    for places in permutations(range(QUBITS), width)
    for open_count in sorted({0, 1, parameters} if parameters else {0})
]


def spans(circuit):
    """The steps of a circuit without measurements in the middle."""
    assert not circuit.collapses
    return list(circuit.steps)


def evolved(program, values, start):
    """What Qulacs makes of a state, as an array with qubit 0 on the first axis."""
    circuit = QulacsCircuit(program, plan(program))
    circuit.bind(array("d", values), 0)
    state = QuantumState(program.qubits)
    state.load(start.transpose().reshape(-1))
    for span in spans(circuit):
        circuit.apply(state, span)
    return state.get_vector().reshape(start.shape).transpose()


def random_state():
    numbers = np.random.default_rng(5).normal(size=(2, *(2,) * QUBITS))
    state = numbers[0] + 1j * numbers[1]
    return state / np.linalg.norm(state)


def program_of(*gates, slots):
    # Hadamards keep all qubits in the simulation, the measurements keep the gates.
    around = [Operation("H", (qubit,)) for qubit in range(QUBITS)]
    measures = [Operation("measure", (qubit,), (), qubit) for qubit in range(QUBITS)]
    return Program(QUBITS, QUBITS, slots, (*around, *gates, *around, *measures))


def assert_same_state(found, expected):
    """Equal up to a global phase."""
    assert abs(np.vdot(found, expected)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("name", "places", "open_count"), CASES)
def test_gates_do_what_their_definition_says(reference, name, places, open_count):
    parameters = GATES[name][1]
    params = tuple(index if index < open_count else ANGLES[index] for index in range(parameters))
    program = program_of(Operation(name, places, params), slots=open_count)

    expected = random_state()
    for operation in program.operations[:-QUBITS]:
        expected = reference.apply(operation, expected, ANGLES)

    assert_same_state(evolved(program, ANGLES[:open_count], random_state()), expected)


def test_open_parameters_after_a_rebuilt_gate_keep_their_place(reference):
    gates = (
        Operation("Rx", (0,), (0,)),
        Operation("Rn", (1,), (0, 1, 2, 3, 0.0)),
        Operation("CRn", (0, 2), (1, 0, 2, 4, 0.4)),
        Operation("Ry", (2,), (4,)),
        Operation("Rz", (2,), (0,)),
    )
    program = program_of(*gates, slots=5)
    circuit = QulacsCircuit(program, plan(program))

    for values in (ANGLES, ANGLES[::-1]):
        circuit.bind(array("d", (9.0, *values)), 1)
        state = QuantumState(QUBITS)
        expected = reference.zero(QUBITS)
        for span in spans(circuit):
            circuit.apply(state, span)
        for operation in program.operations[:-QUBITS]:
            expected = reference.apply(operation, expected, values)
        assert_same_state(state.get_vector().reshape((2,) * QUBITS).transpose(), expected)


@pytest.mark.parametrize("params", [(0.0, 0.0, 0.0, 1.0, 0.0), (1.7e308, 1.7e308, 1.7e308, 1.0, 0.0)])
def test_an_axis_without_direction_is_refused(params):
    program = program_of(Operation("Rn", (0,), params), slots=0)
    with pytest.raises(CircuitRejected, match="axis"):
        QulacsCircuit(program, plan(program))


def test_an_open_axis_without_direction_is_refused_when_it_is_bound():
    program = program_of(Operation("Rn", (0,), (0, 0, 0, 1.0, 0.0)), slots=1)
    circuit = QulacsCircuit(program, plan(program))
    with pytest.raises(CircuitRejected, match="axis"):
        circuit.bind(array("d", [0.0]), 0)


def test_large_circuits_are_cut_into_spans_between_which_they_can_be_interrupted():
    turns = [Operation("H", (qubit,)) for qubit in range(20)] * 20
    measures = [Operation("measure", (qubit,), (), qubit) for qubit in range(20)]
    program = Program(20, 20, 0, (*turns, *measures))
    found = spans(QulacsCircuit(program, plan(program)))
    assert len(found) > 1
    assert [index for first, end in found for index in range(first, end)] == list(range(400))
