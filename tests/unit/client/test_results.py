from __future__ import annotations

import pytest

from hybrid_runtime.client.exchange import Lost
from hybrid_runtime.client.results import LONG_POLL_S, awaited, error_data, job_result
from hybrid_runtime.errors import ServerError, UserCodeError, exit_code, rebuild
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.resources.jobs import Failure
from hybrid_runtime.resources.records import Result

RESULT = {
    "job_id": "j",
    "state": "completed",
    "stop_reason": "done",
    "result": {"x": [1.0, 2.0], "nothing": None},
    "error": None,
    "steps": 3,
    "shots": 30,
    "metrics": {"energy": [1.0]},
    "backend": "qulacs",
    "seed": 7,
    "isolation": "strict",
    "timing": {"total_s": 1.5, "step_s": {"p50": 0.1}},
}
NOT_YET = {"kind": "Conflict", "detail": "it has not ended"}


class Clock:
    """A clock that goes on by `step` whenever it is looked at."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def resource(**changes) -> Result:
    return Result(**{**RESULT, "state": JobState.COMPLETED, "stop_reason": StopReason.DONE, **changes})


def test_a_result_is_what_a_local_run_gives():
    result = job_result(resource())
    assert result.value == {"x": [1.0, 2.0], "nothing": None}
    assert (result.state, result.stop_reason, result.steps, result.seed) == ("completed", "done", 3, 7)
    assert result.timing.total_s == 1.5
    assert result.timing.step_s.p50 == 0.1
    assert result.to_dict()["result"] == RESULT["result"]


def test_a_result_without_timing_has_none():
    assert job_result(resource(timing={})).timing.total_s == 0.0


def test_a_timing_that_is_none_is_told():
    with pytest.raises(ServerError, match="timing"):
        job_result(resource(timing={"total_s": "long"}))


@pytest.mark.parametrize(
    ("kind", "code"), [("ZeroDivisionError", 1), ("CircuitRejected", 1), ("BackendFailed", 3), ("JobCancelled", 4)]
)
def test_an_error_decides_the_exit_code_as_it_does_locally(kind, code):
    assert exit_code(error_data(Failure(kind=kind, text="so"))) == code


def test_a_users_own_exception_is_raised_as_one_of_user_code():
    data = error_data(Failure(kind="KeyError", text="'x'", traceback="line 3"))
    assert data is not None
    error = rebuild(data)
    assert isinstance(error, UserCodeError)
    assert (str(error), error.traceback) == ("KeyError: 'x'", "line 3")


def test_a_result_is_waited_for_by_requests_that_the_server_holds(script, answer):
    result = script.run(awaited("j", None, Clock(10.0)), answer(NOT_YET, 409), answer(NOT_YET, 409), answer(RESULT))
    assert result.steps == 3
    assert script.lines == ["GET /v1/jobs/j/result"] * 3
    assert [request.wait_s for request in script.asked] == [LONG_POLL_S] * 3
    assert script.slept == []


def test_a_server_that_does_not_hold_requests_is_not_asked_without_pause(script, answer):
    script.run(awaited("j", None, Clock(0.001)), answer(NOT_YET, 409), answer(RESULT))
    assert script.slept == [1.0]


def test_waiting_ends_when_the_time_is_up_and_says_that_the_job_goes_on(script, answer):
    with pytest.raises(TimeoutError, match="job j has not ended after 25 s; it goes on"):
        script.run(awaited("j", 25, Clock(10.0)), *[answer(NOT_YET, 409)] * 9)
    assert script.asked[-1].query == {} or float(script.asked[-1].query["wait"]) <= 25


def test_a_server_that_is_restarted_meanwhile_is_waited_for(script, answer):
    gone = Lost(why="cannot connect", sent=False)
    assert script.run(awaited("j", None, Clock(1.0)), *[gone] * 12, answer(RESULT)).steps == 3
