"""Programs written as cQASM and read back by our own readers do the same."""

from __future__ import annotations

import struct
from math import pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.program import GATES, Operation, Program, check_program
from hybrid_runtime.quantum.cqasm_writer import by_qubit, number, write_cqasm1, write_cqasm3

AXIS = (0.48, -0.6, 0.64)
OPEN = {"Rx": (0,), "Ry": (1,), "Rz": (2,), "CR": (0,), "U": (0, 1, 2), "Rn": (*AXIS, 0, 1), "CRn": (*AXIS, 0, 1)}
VALUES = [0.3, -1.7, 1e-7]
WRITERS = {"cqasm1": write_cqasm1, "cqasm3": write_cqasm3}


def read(text):
    """The program that a text stands for, and its values."""
    compiled = Compiler().compile(Circuit(text))
    return compiled.program, struct.unpack(f"<{compiled.program.slots}d", compiled.values)


def state(reference, program, values):
    found = reference.zero(program.qubits)
    # Any state will do that tells all gates apart.
    for qubit in range(program.qubits):
        found = reference.apply(Operation("U", (qubit,), (0.4 + qubit, 0.9, 0.2 * qubit)), found)
    for operation in program.operations:
        if operation.name in GATES:
            found = reference.apply(operation, found, values)
    return found


def measured(program):
    ends = tuple(Operation("measure", (qubit,), (), qubit) for qubit in range(program.qubits))
    return Program(program.qubits, program.qubits, program.slots, program.operations + ends)


@pytest.mark.parametrize("language", WRITERS)
@pytest.mark.parametrize("name", GATES)
def test_every_gate_is_written_as_what_it_does(reference, name, language):
    operation = Operation(name, tuple(range(GATES[name][0]))[::-1], OPEN.get(name, ()))
    program = measured(Program(3, 0, 3, (operation,)))
    check_program(program)
    again, values = read(WRITERS[language](program, VALUES))
    expected, found = state(reference, program, VALUES), state(reference, again, values)
    assert abs(np.vdot(expected, found)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    "axis", [(0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.6, 0.0, -0.8)]
)
@pytest.mark.parametrize("name", ["Rn", "CRn"])
def test_turns_about_special_axes_are_written_right(reference, name, axis):
    program = measured(Program(2, 0, 0, (Operation(name, (1, 0)[-GATES[name][0] :], (*axis, 0.7, 0.3)),)))
    again, values = read(write_cqasm1(program, []))
    found = state(reference, again, values)
    assert abs(np.vdot(state(reference, program, []), found)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("language", WRITERS)
def test_a_whole_circuit_keeps_its_distribution(reference, ladder, language):
    program = ladder(4)
    angles = [0.1, 1e-9, -2.5, 1e5]
    again, values = read(WRITERS[language](program, angles))
    expected, found = reference.distribution(program, angles), reference.distribution(again, values)
    for bits in expected.keys() | found.keys():
        assert found.get(bits, 0.0) == pytest.approx(expected.get(bits, 0.0), abs=1e-9)


def test_what_orders_and_times_operations_is_written_unless_it_is_not_wanted():
    operations = (
        Operation("reset", (0,)),
        Operation("barrier", (0, 1)),
        Operation("wait", (1,), (3.0,)),
        Operation("barrier", ()),
        Operation("measure", (1,), (), 1),
    )
    program = Program(2, 2, 0, operations)
    assert write_cqasm3(program, []).splitlines()[3:] == [
        "reset q[0]",
        "barrier q[0, 1]",
        "wait(3) q[1]",
        "b[1] = measure q[1]",
    ]
    assert write_cqasm1(program, []).splitlines()[2:] == [
        "prep_z q[0]",
        "barrier q[0,1]",
        "wait q[1], 3",
        "measure_z q[1]",
    ]
    for write in WRITERS.values():
        assert not {"barrier", "wait"} & set(write(program, [], timing=False).replace("(", " ").split())


@pytest.mark.parametrize("write", WRITERS.values())
def test_barriers_and_waits_are_read_back(write):
    operations = (Operation("barrier", (0, 1)), Operation("wait", (1,), (3.0,)))
    program, _ = read(write(measured(Program(2, 0, 0, operations)), []))
    assert {operation.name for operation in program.operations} >= {"barrier", "wait"}


def test_cqasm_3_measures_into_the_bits_that_the_program_names(reference):
    operations = (Operation("X", (0,)), Operation("measure", (0,), (), 2), Operation("measure", (1,), (), 0))
    again, values = read(write_cqasm3(Program(2, 3, 0, operations), []))
    assert reference.distribution(again, values) == {"100": 1.0}


def test_a_program_without_bits_declares_none():
    assert "bit[" not in write_cqasm3(Program(1, 0, 0, (Operation("X", (0,)),)), []).replace("qubit[", "")


# ------------------------------------------------------------------ numbers


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_exact_and_have_a_point(value):
    text = number(value)
    assert float(text) == value
    assert "." in text.partition("e")[0]


@settings(max_examples=25)
@given(st.floats(-1e6, 1e6))
def test_any_angle_can_be_read_back(value):
    program = Program(1, 1, 1, (Operation("Rx", (0,), (0,)), Operation("measure", (0,), (), 0)))
    for write in WRITERS.values():
        again, values = read(write(program, [value]))
        angle = again.operations[0].params[0]
        assert (values[angle] if isinstance(angle, int) else angle) == value


# ------------------------------------------------------------------ bits by qubit


def test_bits_are_found_again_after_measuring_by_qubit():
    operations = (
        Operation("measure", (2,), (), 0),
        Operation("measure", (0,), (), 3),
        Operation("measure", (1,), (), 3),  # the last one counts
    )
    register = by_qubit(Program(3, 5, 0, operations))
    check_program(register.program)
    assert register.program.bits == 3
    assert register.sources == (2, -1, -1, 1, -1)
    assert register.bits("110") == "01001"
    assert register.bits("001") == "00000"


def test_a_register_that_follows_the_qubits_stays_as_it_is(bell):
    register = by_qubit(bell)
    assert register.program == bell
    assert [register.bits(bits) for bits in ("00", "01", "10", "11")] == ["00", "01", "10", "11"]


def test_rewriting_keeps_the_distribution(reference):
    operations = (
        Operation("Ry", (0,), (pi / 3,)),
        Operation("CNOT", (0, 2)),
        Operation("H", (1,)),
        Operation("measure", (2,), (), 0),
        Operation("measure", (1,), (), 1),
    )
    program = Program(3, 2, 0, operations)
    register = by_qubit(program)
    mapped: dict[str, float] = {}
    for bits, probability in reference.distribution(register.program).items():
        mapped[register.bits(bits)] = mapped.get(register.bits(bits), 0.0) + probability
    for bits, probability in reference.distribution(program).items():
        assert mapped[bits] == pytest.approx(probability)
    assert sqrt(mapped["01"] * 2) == pytest.approx(0.5)
