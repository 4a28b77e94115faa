"""Job states and results."""

from __future__ import annotations

from typing import Any

import pytest

from hybrid_runtime.errors import ErrorData, UserCodeError
from hybrid_runtime.job import NEXT, JobResult, JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.timing import Timing


def result(**changes) -> JobResult:
    fields: dict[str, Any] = {
        "value": None,
        "state": JobState.COMPLETED,
        "stop_reason": StopReason.DONE,
        "steps": 0,
        "shots": 0,
        "metrics": {},
        "timing": Timing(),
        "error": None,
        "job_id": "j",
        "backend": "b",
        "seed": 1,
        "isolation": "process",
    }
    return JobResult(**fields | changes)


def test_a_job_ends_in_one_of_three_states():
    assert {state for state in JobState if state.final} == {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}


def test_every_state_can_be_reached_and_can_end():
    assert set(NEXT) == set(JobState)
    assert set().union(*NEXT.values()) == set(JobState) - {JobState.PLANNED}
    for state in JobState:
        assert state.final or JobState.FAILED in NEXT[state]


def test_a_result_without_an_error_is_itself():
    good = result()
    assert good.raise_for_error() is good


def test_a_result_with_an_error_raises_it_as_its_class():
    error = ErrorData(kind="KeyError", text="'x'", traceback="line 3", family="UserCodeError")
    with pytest.raises(UserCodeError, match="KeyError: 'x'") as caught:
        result(error=error, state=JobState.FAILED).raise_for_error()
    assert caught.value.traceback == "line 3"


def test_the_error_in_json_has_kind_text_and_traceback():
    error = ErrorData(kind="KeyError", text="'x'", family="UserCodeError")
    assert result(error=error).to_dict()["error"] == {"kind": "KeyError", "text": "'x'", "traceback": None}
