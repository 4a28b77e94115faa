from __future__ import annotations

import pytest
from msgspec.structs import replace

from hybrid_runtime.cli.report import duration, failure, summary
from hybrid_runtime.errors import ErrorData
from hybrid_runtime.job import JobResult, JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.timing import StepTimes, Timing

RESULT = JobResult(
    value={"energy": -1.5},
    state=JobState.COMPLETED,
    stop_reason=StopReason.DONE,
    steps=3,
    shots=3072,
    metrics={},
    timing=Timing(total_s=1.5, step_s=StepTimes(p50=0.001, p99=0.002, mean=0.0015)),
    error=None,
    job_id="job",
    backend="qulacs",
    seed=7,
    isolation="strict",
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 us"),
        (2.5e-6, "2.50 us"),
        (1.26e-5, "12.6 us"),
        (0.00999, "9.99 ms"),
        (0.01, "10.0 ms"),
        (0.0995, "99.5 ms"),
        (0.099999, "100 ms"),
        (1.5, "1.50 s"),
        (119.6, "120 s"),
        (185.0, "3 min 5 s"),
    ],
)
def test_a_duration_has_a_unit_that_fits(seconds, text):
    assert duration(seconds) == text


def test_the_summary_tells_everything_about_a_job():
    text = summary(RESULT)
    for part in ("completed", "energy  -1.5", "3, with 3072 shots", "qulacs, seed 7", "1.00 ms (p50)", "1.50 s"):
        assert part in text
    assert "stopped" not in text


def test_the_summary_names_the_limit_that_stopped_a_job():
    assert "completed (stopped by steps)" in summary(replace(RESULT, stop_reason=StopReason.STEPS))


def test_a_job_without_a_step_has_no_step_times():
    assert "p50" not in summary(replace(RESULT, timing=Timing()))


FRAMES = 'Traceback (most recent call last):\n  File "a.py", line 3, in execute\n    return 1 / 0\n           ~~^~~\n'


def test_a_failure_is_the_users_traceback_and_one_line():
    error = ErrorData(
        kind="ZeroDivisionError",
        text="division by zero (a.py, line 3, in execute)",
        traceback=FRAMES + "ZeroDivisionError: division by zero\n",
    )
    assert failure(error) == FRAMES + "ZeroDivisionError: division by zero (a.py, line 3, in execute)"


def test_what_the_last_line_does_not_repeat_is_kept_of_a_traceback():
    error = ErrorData(kind="SystemExit", text="the algorithm called sys.exit(3)", traceback=FRAMES + "SystemExit: 3\n")
    assert failure(error).endswith("SystemExit: 3\nSystemExit: the algorithm called sys.exit(3)")


def test_a_failure_without_a_traceback_is_one_line():
    assert failure(ErrorData(kind="WorkerLost", text="it died")) == "WorkerLost: it died"


def test_control_characters_of_a_failure_do_not_reach_the_terminal():
    error = ErrorData(kind="ValueError", text="\x1b[2Jgone", traceback=FRAMES + "ValueError: \x1b[2Jgone\n")
    assert "\x1b" not in failure(error)
