"""Gates and modifiers against matrices computed from their definitions, global phase included."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

FIXED = ["I", "X", "Y", "Z", "H", "S", "Sdag", "T", "Tdag", "X90", "mX90", "Y90", "mY90", "Z90", "mZ90"]
TURNS = {
    "Rx(0.3)": ("Rx", (0.3,)),
    "Ry(-2.5)": ("Ry", (-2.5,)),
    "Rz(11.0)": ("Rz", (11.0,)),
    "Rn(0.6, 0.8, 0.0, 1.7, -0.4)": ("Rn", (0.6, 0.8, 0.0, 1.7, -0.4)),
    "U(0.4, -1.2, 2.9)": ("U", (0.4, -1.2, 2.9)),
    "U(5.0, 4.0, 3.0)": ("U", (5.0, 4.0, 3.0)),
}
GATES = {name: (name, ()) for name in FIXED} | TURNS


def same(a, b):
    return np.allclose(a, b, atol=1e-9)


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_has_the_matrix_of_its_definition(unitary, matrix, gate):
    assert same(unitary(f"{gate} q[0]"), matrix(*GATES[gate]))


@pytest.mark.parametrize("gate", GATES)
def test_inv_is_the_adjoint(unitary, matrix, gate):
    assert same(unitary(f"inv.{gate} q[0]"), matrix(*GATES[gate]).conj().T)


@pytest.mark.parametrize("gate", GATES)
def test_ctrl_applies_the_gate_with_its_phase_where_the_control_is_one(unitary, matrix, gate):
    expected = np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), matrix(*GATES[gate])]])
    assert same(unitary(f"ctrl.{gate} q[0], q[1]"), expected)


@pytest.mark.parametrize("exponent", [0.5, 2, -1, 0.25, 3.7, 0, -0.3])
@pytest.mark.parametrize("gate", GATES)
def test_pow_raises_the_eigenvalues(unitary, matrix, power, gate, exponent):
    expected = power(matrix(*GATES[gate]), exponent)
    controlled = np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), expected]])
    assert same(unitary(f"ctrl.pow({exponent}).{gate} q[0], q[1]"), controlled)
    # Without a control the phase of a gate does not show, and need not be kept.
    alone = unitary(f"pow({exponent}).{gate} q[0]")
    assert math.isclose(abs(np.trace(alone.conj().T @ expected)), 2.0, abs_tol=1e-9)


@pytest.mark.parametrize("gate", GATES)
def test_a_placeholder_for_an_exponent_gives_the_same_gate_as_a_numeral(unitary, gate):
    by_numeral = unitary(f"ctrl.pow(0.7).{gate} q[0], q[1]")
    by_placeholder = unitary(f"ctrl.pow({{p}}).{gate} q[0], q[1]", p=0.7)
    assert same(by_numeral, by_placeholder)


def test_modifiers_nest_in_any_order(unitary, matrix, power):
    chance = random.Random(20)
    for gate, count in itertools.product(GATES, (2, 3, 4)):
        expected, text = matrix(*GATES[gate]), gate
        for _ in range(count):
            exponent = chance.choice([None, 0.5, 2, -1, 1.5, 0.3])
            text = f"inv.{text}" if exponent is None else f"pow({exponent}).{text}"
            expected = expected.conj().T if exponent is None else power(expected, exponent)
        expected = np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), expected]])
        assert same(unitary(f"ctrl.{text} q[0], q[1]"), expected), text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("inv.S", "Sdag"),
        ("inv.Tdag", "T"),
        ("inv.X90", "mX90"),
        ("inv.H", "H"),
        ("pow(0.5).X", "X90"),
        ("pow(2).T", "S"),
        ("pow(2).X", "I"),
        ("pow(-1).Y90", "mY90"),
        ("pow(0.25).Z", "T"),
        ("Z90", "S"),
        ("mZ90", "Sdag"),
    ],
)
def test_what_has_a_name_gets_it(operations, text, name):
    assert operations(f"{text} q[0]") == [(name, (0,), ())]


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("ctrl.X", "CNOT", ()),
        ("ctrl.inv.X", "CNOT", ()),
        ("ctrl.Z", "CZ", ()),
        ("ctrl.S", "CR", (math.pi / 2,)),
        ("ctrl.inv.T", "CR", (-math.pi / 4,)),
        ("ctrl.pow(2).S", "CZ", ()),
        ("ctrl.Rz(0.5)", "CRn", (0.0, 0.0, 1.0, 0.5, 0.0)),
    ],
)
def test_controlled_gates_become_the_gates_that_backends_know(operations, text, name, parameters):
    assert operations(f"{text} q[0], q[1]") == [(name, (0, 1), parameters)]


def test_angles_pass_through_inv_and_pow_without_a_new_gate(operations):
    assert operations("inv.Rx({t}) q[0]", t=0.3) == [("Rx", (0,), (-0.3,))]
    assert operations("pow(3).Ry({t}) q[0]", t=0.5) == [("Ry", (0,), (1.5,))]
    assert operations("inv.U({t}, 0.2, 0.3) q[0]", t=0.1) == [("U", (0,), (-0.1, -0.3, -0.2))]


def test_a_full_turn_controlled_keeps_its_sign(unitary):
    # Rx(2 pi) is -1, whose square root is i.
    root = unitary("ctrl.pow(0.5).Rx({t}) q[0], q[1]", t=2 * math.pi)
    assert same(root, np.diag([1, 1, 1j, 1j]))


@pytest.mark.parametrize(
    ("k", "angle"), [(0, 2 * math.pi), (1, math.pi), (2, math.pi / 2), (-1, 4 * math.pi), (5000, 0)]
)
def test_crk_turns_by_two_pi_over_two_to_the_k(operations, k, angle):
    assert operations(f"CRk({k}) q[0], q[1]") == [("CR", (0, 1), (pytest.approx(angle),))]


def test_the_axis_of_rn_is_brought_to_length_one(operations):
    ((_, _, parameters),) = operations("Rn(3.0, 0, 4, 0.5, 0.1) q[0]")
    assert parameters == pytest.approx((0.6, 0.0, 0.8, 0.5, 0.1))
    ((_, _, parameters),) = operations("Rn({x}, 0, 4, 0.5, 0.1) q[0]", x=3.0)
    assert parameters == pytest.approx((0.6, 0.0, 0.8, 0.5, 0.1))


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, -1), (1, 1, 1), (-0.3, 0.5, -2.0)])
def test_a_measurement_along_an_axis_turns_that_axis_to_z(operations, matrix, axis):
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    rows = operations(f"b[0] = measure({axis[0]}, {axis[1]}, {axis[2]}) q[0]")
    product = np.eye(2)
    for name, _, parameters in itertools.takewhile(lambda row: row[0] != "measure", rows):
        product = matrix(name, parameters) @ product
    along = (np.eye(2) + x * matrix("X") + y * matrix("Y") + z * matrix("Z")) / 2
    assert same(product @ along @ product.conj().T, np.diag([1, 0]))
