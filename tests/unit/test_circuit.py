"""Circuits and results as users make and read them."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime import Circuit, QuantumResult
from hybrid_runtime.errors import CircuitRejected

TEXT = "version 3.0\nqubit q\nbit b\nRx({theta}) q\nb = measure q"


def test_binding_gives_a_new_circuit_and_leaves_the_old_one():
    circuit = Circuit(TEXT, parameters=["theta"], shots=7, name="probe")
    bound = circuit.bind(theta=0.5)
    assert circuit.parameters == {"theta": None}
    assert bound.parameters == {"theta": 0.5}
    assert (bound.source, bound.shots, bound.name) == (TEXT, 7, "probe")


def test_bound_circuits_share_their_template():
    circuit = Circuit(TEXT, parameters=["theta"])
    assert circuit.bind(theta=1).template is circuit.bind(theta=2).with_shots(3).template


def test_parameters_that_are_not_bound_keep_their_values():
    circuit = Circuit("{a} {b}", parameters={"a": 1.0, "b": None})
    assert circuit.bind(b=2).parameters == {"a": 1.0, "b": 2.0}


def test_a_single_name_is_not_taken_for_its_letters():
    assert Circuit(TEXT, parameters="theta").parameters == {"theta": None}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (1, 1.0),
        (True, 1.0),
        (Fraction(1, 4), 0.25),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int8(3), 3.0),
        (np.array(0.5), 0.5),
        (np.array([1, 2]), (1.0, 2.0)),
        (np.array([]), ()),
        ([np.float64(1), 2], (1.0, 2.0)),
        ((0.1, 0.2), (0.1, 0.2)),
        (None, None),
    ],
    ids=repr,
)
def test_numbers_of_any_kind_become_floats(given, kept):
    value = Circuit(TEXT, parameters={"theta": given}).parameters["theta"]
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    "value",
    ["0.3", b"0.3", 1j, np.complex128(1), [1, None], [[1.0]], np.ones((2, 2)), {}, object(), 10**400, [10**400]],
)
def test_what_is_no_real_number_is_refused(value):
    with pytest.raises(CircuitRejected, match="parameter 'theta' is"):
        Circuit(TEXT, parameters={"theta": value})
    with pytest.raises(CircuitRejected, match="parameter 'theta' is"):
        Circuit(TEXT, parameters=["theta"]).bind(theta=value)


def test_a_name_that_the_circuit_does_not_have_is_refused_with_those_it_has():
    with pytest.raises(CircuitRejected, match="no parameter 'teta'; its parameters: phi, theta"):
        Circuit("", parameters=["theta", "phi"]).bind(teta=1)


@pytest.mark.parametrize("name", ["a b", "", "1a", 3, None])
def test_a_parameter_has_an_identifier_for_a_name(name):
    with pytest.raises(CircuitRejected, match="identifier"):
        Circuit("", parameters=[name])


@pytest.mark.parametrize("source", [None, 3, b"version 3.0", ["version 3.0"]])
def test_a_source_is_text(source):
    with pytest.raises(CircuitRejected, match="source is text"):
        Circuit(source)


def test_an_unknown_language_is_refused_with_the_known_ones():
    with pytest.raises(CircuitRejected, match="'qasm'; choose cqasm3 or cqasm1"):
        Circuit("", language="qasm")


def test_a_circuit_cannot_be_changed():
    circuit = Circuit(TEXT, parameters=["theta"])
    with pytest.raises(AttributeError, match="bind"):
        circuit.shots = 3
    with pytest.raises(AttributeError):
        del circuit.source


def test_equal_circuits_are_equal_and_hash_alike():
    one, other = (Circuit(TEXT, parameters=["theta"]).bind(theta=[1, 2]) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != other.with_shots(3)
    assert one != other.bind(theta=[1, 3])
    assert one != TEXT


def test_a_circuit_knows_where_it_was_made():
    circuit = Circuit(TEXT)
    assert circuit.template.origin == (__file__, test_a_circuit_knows_where_it_was_made.__code__.co_firstlineno + 1)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_is_the_same_circuit(again):
    circuit = Circuit(TEXT, parameters={"theta": 0.25}, shots=5, name="x", language="cqasm3")
    assert again(circuit) == circuit
    assert again(circuit).bind(theta=1).parameters == {"theta": 1.0}


def test_circuits_pickled_together_still_share_their_template():
    circuit = Circuit(TEXT, parameters=["theta"])
    one, other = pickle.loads(pickle.dumps([circuit.bind(theta=1), circuit.bind(theta=2)]))
    assert one.template is other.template


def test_what_a_circuit_is_shown_as():
    assert repr(Circuit(TEXT, parameters={"theta": 0.5})) == "<Circuit version 3.0 … 5 lines: theta=0.5>"
    assert repr(Circuit(TEXT, name="probe")) == "<Circuit probe>"
    assert repr(Circuit("")) == "<Circuit empty>"


# ------------------------------------------------------------------ results


def test_probabilities_are_relative_frequencies():
    assert QuantumResult(counts={"0": 1, "1": 3}, shots_requested=4).probabilities == {"0": 0.25, "1": 0.75}
    assert QuantumResult(counts={}, shots_requested=4).probabilities == {}


def test_all_shots_were_done_unless_it_is_said_otherwise():
    assert QuantumResult(counts={}, shots_requested=4).shots_done == 4
    assert QuantumResult(counts={}, shots_requested=4, shots_done=3).shots_done == 3


@pytest.mark.parametrize(
    ("counts", "letters", "expected"),
    [
        ({"0": 10}, "Z", 1.0),
        ({"1": 10}, "Z", -1.0),
        ({"01": 5, "10": 5}, "ZZ", -1.0),
        ({"01": 5, "10": 5}, "II", 1.0),
        ({"10": 1}, "ZI", -1.0),
        ({"10": 1}, "IZ", 1.0),
        ({"00": 3, "01": 1}, "iz", 0.5),
    ],
)
def test_an_expectation_reads_the_letters_as_the_bits_are_read(counts, letters, expected):
    assert QuantumResult(counts=counts, shots_requested=1).expectation(letters) == expected


@pytest.mark.parametrize(
    ("counts", "letters", "why"),
    [({"0": 1}, "X", "letters Z and I"), ({"0": 1}, "ZZ", "2 letters"), ({}, "Z", "no counts")],
)
def test_an_expectation_that_cannot_be_is_refused(counts, letters, why):
    with pytest.raises(ValueError, match=why):
        QuantumResult(counts=counts, shots_requested=1).expectation(letters)


@given(st.dictionaries(st.text("01", min_size=4, max_size=4), st.integers(1, 1000), min_size=1))
def test_an_expectation_is_the_mean_of_the_signs(counts):
    result = QuantumResult(counts=counts, shots_requested=1)
    signs = [(-1) ** (bits[0] + bits[2]).count("1") for bits, count in counts.items() for _ in range(count)]
    assert result.expectation("ZIZI") == pytest.approx(sum(signs) / len(signs))


def test_a_result_can_be_copied_and_compared():
    result = QuantumResult(counts={"0": 1}, shots_requested=1, raw=["0"], duration_s=0.5, seed=3, backend="x")
    assert pickle.loads(pickle.dumps(result)) == result
    assert copy.deepcopy(result) == result
    assert result != QuantumResult(counts={"0": 1}, shots_requested=1)


def test_what_a_result_is_shown_as():
    counts = {format(value, "03b"): value + 1 for value in range(6)}
    result = QuantumResult(counts=counts, shots_requested=21, backend="qulacs")
    assert repr(result) == ("<QuantumResult {'101': 6, '100': 5, '011': 4, '010': 3} … 6 values, 21 shots on qulacs>")
