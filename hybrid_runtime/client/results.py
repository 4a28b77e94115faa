"""A job's result as local runs have it, from what the server says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.client import calls
from hybrid_runtime.client.exchange import Flow, Pause, Request, ask
from hybrid_runtime.client.follow import PATIENCE_S
from hybrid_runtime.errors import Conflict, ErrorData, ServerError, Unavailable, error_classes
from hybrid_runtime.job import JobResult
from hybrid_runtime.limits import StopReason
from hybrid_runtime.resources.records import Result
from hybrid_runtime.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.resources.jobs import Failure, Job

# As long as the server holds a request at most, and a proxy before it usually.
LONG_POLL_S = 30.0
_LOOK_AGAIN_S = 1.0


def job_result(result: Result) -> JobResult:
    """The server's result as a `JobResult`. Its value is what JSON can say: arrays are lists, complex numbers
    are `{"re": …, "im": …}`, and what is not finite is None.

    Raises:
        ServerError: it is not understood.
    """
    try:
        timing = msgspec.convert(result.timing or {}, Timing)
    except msgspec.ValidationError as error:
        raise ServerError(f"the result's timing is not understood: {error}") from None
    return JobResult(
        value=result.result,
        state=result.state,
        stop_reason=result.stop_reason or StopReason.ERROR,
        steps=result.steps,
        shots=result.shots,
        metrics=result.metrics,
        timing=timing,
        error=error_data(result.error),
        job_id=result.job_id,
        backend=result.backend,
        seed=result.seed,
        isolation=result.isolation,
    )


def error_data(failure: Failure | None) -> ErrorData | None:
    """A failure in the form that decides the exit code: one of our own kinds, else the user's exception."""
    if failure is None:
        return None
    family = failure.kind if failure.kind in error_classes() else "UserCodeError"
    return ErrorData(kind=failure.kind, text=failure.text, traceback=failure.traceback, family=family)


def awaited(job_id: str, timeout_s: float | None, clock: Callable[[], float] = time.monotonic) -> Flow[Result]:
    """The result of a job, once there is one; servers that go away meanwhile are waited for, too.

    Raises:
        TimeoutError: there is none after `timeout_s`; None waits for ever.
        Unavailable: the server has been away for minutes.
    """
    end = None if timeout_s is None else clock() + timeout_s
    heard = clock()
    while True:
        left = LONG_POLL_S if end is None else max(0.0, min(LONG_POLL_S, end - clock()))
        asked = clock()
        try:
            return (yield from _long_poll(job_id, left))
        except Conflict:
            heard = clock()
        except Unavailable:
            if clock() - heard > PATIENCE_S:
                raise
        if end is not None and clock() >= end:
            raise TimeoutError(f"job {job_id} has not ended after {timeout_s:g} s; it goes on")
        # A server that does not hold the request is not asked without pause.
        if clock() - asked < _LOOK_AGAIN_S:
            rest = _LOOK_AGAIN_S if end is None else max(0.0, min(_LOOK_AGAIN_S, end - clock()))
            yield Pause(rest)


def _long_poll(job_id: str, wait_s: float) -> Flow[Result]:
    path = f"/v1/jobs/{job_id}/result"
    query = {"wait": f"{wait_s:.3f}"} if wait_s > 0 else {}
    return ask(Request(method="GET", path=path, query=query, wait_s=wait_s), Result)


def ended(job_id: str, timeout_s: float | None) -> Flow[Job]:
    """A job once it has ended."""
    yield from awaited(job_id, timeout_s)
    return (yield from calls.job(job_id))
