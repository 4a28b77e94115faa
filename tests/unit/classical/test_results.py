"""Results as an algorithm gets them: those of a job's past are as those that came for real."""

from __future__ import annotations

import copy
import pickle
import struct
from typing import Any

import msgspec
import pytest

from hybrid_runtime import QuantumResult
from hybrid_runtime.classical.results import RecordedResult, answered
from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.protocol.messages import CircuitCall, ResultData, ResultItem, ResultTable

CALL = CircuitCall(0, 20)
COUNTED = ResultData({"0": 5, "1": 7}, 12, 0.25, 99, ["0", "1"])
EXACT = ResultData({}, 0, 0.5, 3, probabilities={"0": 0.25, "1": 0.75}, value=-0.5)
TABLE = ResultTable(struct.pack("<I", 8), 12, 0.25, ["0", "1"], struct.pack("<II", 12, 0))
ATTRIBUTES = [
    "counts",
    "probabilities",
    "raw",
    "seed",
    "shots_done",
    "shots_requested",
    "duration_s",
    "backend",
    "value",
]


def recorded(*items: ResultItem) -> RecordedResult:
    used = sum(item.shots_done for item in items), sum(item.duration_s for item in items)
    return RecordedResult(msgspec.Raw(msgspec.msgpack.encode(items)), 20, used, "twin")


@pytest.mark.parametrize("item", [COUNTED, EXACT, TABLE], ids=["counted", "exact", "table"])
@pytest.mark.parametrize("first", ATTRIBUTES)
def test_a_recorded_result_is_the_one_that_came_whatever_is_looked_at_first(item, first):
    (live,), *_ = answered([item], [CALL], "twin")
    result = recorded(item)
    assert getattr(result, first) == getattr(live, first)
    assert {name: getattr(result, name) for name in ATTRIBUTES} == {name: getattr(live, name) for name in ATTRIBUTES}
    assert (result, repr(result)) == (live, repr(live))


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result))])
def test_it_is_copied_and_pickled_as_any_other(made: Any):
    (live,), *_ = answered([COUNTED], [CALL], "twin")
    assert made(recorded(COUNTED)) == live
    assert isinstance(made(recorded(COUNTED)), QuantumResult)


def test_what_a_step_used_is_known_before_it_is_looked_at():
    result = RecordedResult(msgspec.Raw(b"nothing that can be read"), 20, (12, 0.25), "twin")
    assert (result.shots_done, result.duration_s, result.shots_requested, result.backend) == (12, 0.25, 20, "twin")


def test_it_has_no_more_attributes_than_any_other():
    result = recorded(COUNTED)
    for _ in range(2):
        with pytest.raises(AttributeError, match="'QuantumResult' object has no attribute 'energy'"):
            _ = result.energy
        assert result.expectation("Z") == pytest.approx(-2 / 12)


def test_the_results_of_a_step_follow_its_calls_whether_they_came_alone_or_in_tables():
    counts = struct.pack("<4I", 12, 0, 5, 7)
    two = ResultTable(struct.pack("<2I", 8, 9), 12, 0.25, ["0", "1"], counts)
    results, shots, seconds, again = answered([two, COUNTED, EXACT], [CircuitCall(4, 20, 3), CircuitCall(5, 0)], "twin")
    assert [result.counts for result in results] == [{"0": 12}, {"0": 5, "1": 7}, COUNTED.counts, {}]
    assert [result.seed for result in results] == [8, 9, 99, 3]
    assert [result.shots_requested for result in results] == [20, 20, 20, 0]
    assert (shots, seconds) == (36, 1.25)
    assert again is not None
    assert again() == results
    assert again()[0] is not results[0]


def test_results_that_came_alone_are_not_made_again():
    assert answered([COUNTED], [CALL], "twin")[3] is answered([COUNTED, COUNTED], [CALL, CALL], "twin")[3] is None


@pytest.mark.parametrize(
    ("items", "calls"),
    [
        ([], [CALL]),
        ([COUNTED], []),
        ([COUNTED], [CALL, CALL]),
        ([COUNTED, COUNTED], [CALL]),
        ([TABLE], [CircuitCall(0, 20, 2)]),
        ([ResultTable(bytes(8), 12, 0.25)], [CALL, CALL]),
        ([ResultTable(b"", 12, 0.25), COUNTED], [CALL]),
    ],
    ids=["none", "no calls", "too few", "too many", "a short table", "a table of two calls", "an empty table"],
)
def test_results_that_do_not_fit_the_calls_are_refused(items, calls):
    with pytest.raises(ProtocolError, match="circuits were answered by"):
        answered(items, calls, "twin")


@pytest.mark.parametrize("items", [[], [COUNTED, COUNTED]])
def test_one_circuit_has_one_result(items):
    with pytest.raises(ProtocolError, match="1 circuits were answered by"):
        _ = recorded(*items).counts
