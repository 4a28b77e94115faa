"""Results as users read them."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime import QuantumResult
from hybrid_runtime.result import Rows


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


# ------------------------------------------------------------------ exact results


def test_exact_probabilities_are_given_as_they_are_and_have_expectations():
    result = QuantumResult(counts={}, shots_requested=0, probabilities={"00": 0.25, "11": 0.75})
    assert result.probabilities == {"00": 0.25, "11": 0.75}
    assert (result.counts, result.shots_done, result.expectation("ZI")) == ({}, 0, -0.5)
    assert repr(result) == "<QuantumResult {'11': 0.75, '00': 0.25}, exact on unknown>"


def test_a_value_stands_alone():
    result = QuantumResult(counts={}, shots_requested=0, value=-1.25, backend="qulacs")
    assert (result.value, result.counts, result.probabilities) == (-1.25, {}, {})
    assert repr(result) == "<QuantumResult -1.25, exact on qulacs>"
    with pytest.raises(ValueError, match="no counts; it has a value"):
        result.expectation("Z")


def test_rows_of_many_results_are_read_when_they_are_wanted():
    counts = Rows(["00", "11"], [3, 0, 1, 2])
    exact = Rows(["0", "1"], [0.5, 0.5])
    first, second = (QuantumResult(counts=(counts, row), shots_requested=3) for row in range(2))
    assert (first.counts, second.counts) == ({"00": 3}, {"00": 1, "11": 2})
    assert first.counts is first.counts
    assert second.expectation("ZZ") == 1.0
    assert second == QuantumResult(counts={"00": 1, "11": 2}, shots_requested=3)
    unread = QuantumResult(counts={}, probabilities=(exact, 0), shots_requested=0)
    assert pickle.loads(pickle.dumps(unread)).probabilities == {"0": 0.5, "1": 0.5}
