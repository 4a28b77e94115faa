from __future__ import annotations

import pytest

from hybrid_runtime.program import Operation, Program
from hybrid_runtime.quantum.measurement import Collapse, plan


def gate(name, *qubits):
    return Operation(name, qubits)


def measure(qubit, bit):
    return Operation("measure", (qubit,), (), bit)


def reset(qubit):
    return Operation("reset", (qubit,))


def planned(*operations, qubits=3, bits=3):
    return plan(Program(qubits, bits, 0, operations))


def test_measurements_at_the_end_need_no_collapse():
    made = planned(gate("H", 0), gate("CNOT", 0, 1), measure(0, 0), measure(1, 1))
    assert made.stages == ((gate("H", 0), gate("CNOT", 0, 1)),)
    assert made.sources == ((0, 0), (1, 1))
    assert made.collapses == 0


def test_a_measurement_before_gates_on_other_qubits_can_wait():
    made = planned(gate("H", 0), measure(0, 0), gate("H", 1), measure(1, 1))
    assert made.stages == ((gate("H", 0), gate("H", 1)),)
    assert made.sources == ((0, 0), (1, 1))


def test_a_measurement_before_a_gate_on_its_qubit_collapses():
    made = planned(gate("H", 0), measure(0, 2), gate("H", 0), measure(0, 1))
    assert made.stages == ((gate("H", 0),), Collapse(0, 2, False), (gate("H", 0),))
    assert made.sources == ((1, 0),)


def test_one_qubit_measured_into_two_bits_gives_both_at_the_end():
    assert planned(gate("H", 1), measure(1, 0), measure(1, 2)).sources == ((0, 1), (2, 1))


def test_a_bit_measured_twice_keeps_the_last():
    made = planned(gate("H", 0), gate("H", 1), measure(0, 0), measure(1, 0))
    assert made.sources == ((0, 1),)


def test_a_bit_overwritten_after_a_collapse_is_not_written_by_it():
    made = planned(gate("H", 0), measure(0, 0), gate("H", 0), gate("X", 1), measure(1, 0))
    assert made.stages[1] == Collapse(0, -1, False)
    assert made.sources == ((0, 1),)


def test_a_bit_overwritten_by_a_qubit_in_zero_stays_0():
    assert planned(gate("X", 0), measure(0, 0), measure(1, 0)).sources == ()


@pytest.mark.parametrize("name", ["barrier", "wait"])
def test_ordering_operations_do_not_make_a_measurement_collapse(name):
    order = Operation(name, (0,), (5.0,) if name == "wait" else ())
    assert planned(gate("H", 0), measure(0, 0), order, measure(0, 1)).collapses == 0


def test_a_reset_before_any_gate_does_nothing():
    assert planned(reset(0), gate("H", 0), measure(0, 0)).collapses == 0


def test_a_reset_with_nothing_after_it_does_nothing():
    made = planned(gate("H", 0), measure(0, 0), reset(0))
    assert made.collapses == 0
    assert made.sources == ((0, 0),)


def test_a_reset_between_gates_collapses_and_so_does_the_measurement_before_it():
    made = planned(gate("H", 0), measure(0, 0), reset(0), gate("H", 0), measure(0, 1))
    assert made.stages == ((gate("H", 0),), Collapse(0, 0, False), Collapse(0, -1, True), (gate("H", 0),))


def test_a_measurement_right_after_a_reset_reads_0():
    made = planned(gate("X", 0), reset(0), measure(0, 0))
    assert made.sources == ()
    assert made.collapses == 0


def test_qubits_without_gates_are_not_simulated():
    made = planned(gate("X", 2), gate("I", 1), measure(0, 0), measure(1, 1), measure(2, 2))
    assert made.qubits == (2,)
    assert made.sources == ((2, 2),)


def test_a_program_that_measures_nothing_needs_no_simulation():
    made = planned(gate("H", 0), gate("CNOT", 0, 1))
    assert made.stages == ()
    assert made.qubits == ()
