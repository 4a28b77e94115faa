"""Circuits and results as users make and read them."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest

from hybrid_runtime import Circuit
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
        circuit.template = circuit.template
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


# ------------------------------------------------------------------ exact results and raw shots


def test_settings_are_kept_when_parameters_are_bound():
    circuit = Circuit(TEXT, parameters=["theta"], observable={"Z": 0.5}, name="probe").bind(theta=1)
    assert (circuit.observable, circuit.name, circuit.exact, circuit.raw) == (((0.5, "Z"),), "probe", False, False)
    assert Circuit(TEXT, parameters=["theta"], exact=True).bind(theta=1).exact
    assert Circuit(TEXT, parameters=["theta"], raw=True).bind(theta=1).raw


def test_a_number_of_shots_ends_exactness_and_no_number_asks_for_it():
    exact = Circuit(TEXT, parameters=["theta"], shots=5).with_shots(None)
    assert (exact.exact, exact.shots) == (True, None)
    assert (exact.with_shots(7).exact, exact.with_shots(7).shots) == (False, 7)
    assert Circuit(TEXT).exact is Circuit(TEXT, shots=None).exact is False


def test_circuits_that_ask_for_other_things_are_not_equal():
    circuit = Circuit(TEXT)
    others = [circuit.with_shots(None), circuit.with_raw(), circuit.with_observable("Z")]
    assert len({circuit, *others}) == 4
    assert circuit.with_raw().with_raw(False) == circuit


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"exact": True, "shots": 3}, "take no shots"),
        ({"exact": True, "raw": True}, "no shots that could be given raw"),
        ({"observable": "Z", "raw": True}, "no shots that could be given raw"),
        ({"observable": "A"}, "letters I, X, Y and Z"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, why):
    with pytest.raises(CircuitRejected, match=why):
        Circuit(TEXT, **settings)


def test_a_copy_keeps_what_was_asked_for():
    circuit = Circuit(TEXT, observable={"Z": 1}, name="x")
    assert pickle.loads(pickle.dumps(circuit)) == circuit
    assert pickle.loads(pickle.dumps(circuit)).observable == ((1.0, "Z"),)
