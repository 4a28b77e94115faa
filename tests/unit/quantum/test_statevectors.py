"""Many rows simulated together, beside gates by their definition."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from hybrid_runtime.errors import BackendFailed
from hybrid_runtime.program import GATES, Operation
from hybrid_runtime.quantum.pauli import Observer, reduced
from hybrid_runtime.quantum.statevectors import StateVectors, fits

VALUES = np.array([[0.4, -1.3, 2.2], [0.0, np.pi, 0.7], [5.0, 0.1, -0.2]])


def never() -> None:
    """Nothing interrupts."""


def column(state: np.ndarray) -> np.ndarray:
    """A state with one axis a qubit, qubit 0 first, as a column whose highest digit is the highest qubit."""
    return state.transpose(tuple(reversed(range(state.ndim)))).reshape(-1)


def by_definition(reference, gates, values, qubits=3):
    state = reference.zero(qubits)
    for gate in gates:
        state = reference.apply(gate, state, values)
    return column(state)


def same_up_to_phase(one, other) -> bool:
    return abs(abs(np.vdot(one, other)) - 1) < 1e-12


# Different amplitudes everywhere, so that no mistake of a gate goes unseen.
MIXED = [Operation("U", (qubit,), (0.3 + qubit, 0.7, 1.1 - qubit)) for qubit in range(3)]


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("places", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_gates_with_known_parameters_do_what_their_definition_says(reference, name, places):
    qubits, params = GATES[name]
    gates = [*MIXED, Operation(name, places[:qubits], (0.9, 0.2, -0.4, 1.7, 0.6)[:params])]
    if name == "I":
        return
    states = StateVectors(3, gates, {0: 0, 1: 1, 2: 2}).run(np.empty((2, 0)), never)
    expected = by_definition(reference, gates, ())
    assert same_up_to_phase(states[:, 0], expected)
    assert same_up_to_phase(states[:, 1], expected)


@pytest.mark.parametrize("name", [name for name, (_, params) in GATES.items() if 0 < params < 5])
def test_each_row_has_its_own_parameters(reference, name):
    qubits, params = GATES[name]
    gates = [*MIXED, Operation(name, (2, 0)[:qubits], (2, 0, 1)[:params]), Operation("Ry", (1,), (1,))]
    states = StateVectors(3, gates, {0: 0, 1: 1, 2: 2}).run(VALUES, never)
    for row, values in enumerate(VALUES):
        assert same_up_to_phase(states[:, row], by_definition(reference, gates, values))


@pytest.mark.parametrize("seed", range(40))
def test_gates_that_are_fused_do_what_they_do_one_by_one(reference, seed):
    rng = np.random.default_rng(seed)
    names = [name for name, (_, params) in GATES.items() if params < 5]
    gates = []
    for name in rng.choice(names, size=rng.integers(1, 25)):
        qubits, params = GATES[name]
        places = tuple(rng.permutation(3)[:qubits].tolist())
        angles = [int(rng.integers(3)) if rng.random() < 0.3 else float(rng.normal()) for _ in range(params)]
        gates.append(Operation(str(name), places, tuple(angles)))
    states = StateVectors(3, gates, {0: 0, 1: 1, 2: 2}).run(VALUES, never)
    assert states.shape == (8, 3)
    for row, values in enumerate(VALUES):
        assert same_up_to_phase(states[:, row], by_definition(reference, gates, values))


def test_a_simulation_leaves_nothing_behind_for_the_next():
    gates = [Operation("H", (0,)), Operation("CNOT", (0, 1)), Operation("Rx", (1,), (0,)), Operation("CZ", (0, 1))]
    states = StateVectors(2, gates, {0: 0, 1: 1})
    first = states.run(VALUES, never)
    kept = first.copy()
    states.run(VALUES[::-1], never)
    assert np.array_equal(first, kept)
    assert np.array_equal(states.run(VALUES, never), kept)


@pytest.mark.parametrize("angle", [0.0, np.pi, -np.pi, 2 * np.pi, 1e-9, 1e6, 1e15, 1e300])
def test_angles_of_any_size_are_turned_by(angle):
    gates = [Operation("Ry", (0,), (0,)), Operation("Rz", (0,), (0,))]
    (state,) = StateVectors(1, gates, {0: 0}).run(np.array([[angle]]), never).T
    turned = [math.cos(angle / 2), math.sin(angle / 2) * cmath.exp(1j * angle)]
    assert state == pytest.approx(np.array(turned), abs=1e-15)


def test_states_are_real_until_a_gate_makes_them_complex():
    real = [Operation("H", (0,)), Operation("Ry", (1,), (0,)), Operation("CNOT", (0, 1)), Operation("Ry", (0,), (1,))]
    for gates, kind in ((real, "f"), ([*real, Operation("CR", (0, 1), (0,))], "c")):
        assert StateVectors(2, gates, {0: 0, 1: 1}).run(VALUES, never).dtype.kind == kind


def test_turns_about_an_open_axis_do_not_fit():
    assert not fits([Operation("Rn", (0,), (0, 1.0, 0.0, 0.5, 0.0))])
    assert not fits([Operation("CRn", (0, 1), (1.0, 0.0, 0.0, 0, 0.0))])
    assert fits([Operation("Rn", (0,), (1.0, 0.0, 0.0, 0.5, 0.0)), Operation("Rx", (0,), (0,))])


def test_what_the_check_raises_ends_the_simulation():
    def interrupted() -> None:
        raise BackendFailed("the execution was interrupted")

    states = StateVectors(1, [Operation("Rx", (0,), (0,))], {0: 0})
    with pytest.raises(BackendFailed, match="interrupted"):
        states.run(VALUES, interrupted)


# ------------------------------------------------------------------ observables

PAULI = {"I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1])}


def mean(terms, state) -> float:
    """By matrices; the first letter is the highest qubit, the highest digit of the index."""
    total = 0.0
    for coefficient, letters in terms:
        matrix = np.eye(1)
        for letter in letters:
            matrix = np.kron(matrix, PAULI[letter])
        total += coefficient * float(np.vdot(state, matrix @ state).real)
    return total


TERMS = ((0.5, "ZIX"), (-0.25, "YYZ"), (1.5, "III"), (0.75, "XIX"), (0.75, "XIX"), (2.0, "ZZZ"), (0.1, "IYI"))


def test_means_are_those_of_the_matrices():
    states = StateVectors(3, [*MIXED, Operation("Ry", (1,), (1,))], {0: 0, 1: 1, 2: 2}).run(VALUES, never)
    means = Observer(reduced(TERMS, {0: 0, 1: 1, 2: 2}), 3)(states)
    assert means == pytest.approx([mean(TERMS, states[:, row]) for row in range(3)])


def test_qubits_that_are_not_simulated_are_in_zero():
    terms = ((1.0, "ZIX"), (2.0, "XIX"), (3.0, "YZI"), (4.0, "IZI"), (5.0, "ZZZ"))
    found = reduced(terms, {0: 0})
    assert found == [(1.0, ((0, "X"),)), (4.0, ()), (5.0, ((0, "Z"),))]
