"""The errors of jobs that were stopped, lost or killed, in words for their user. Pure."""

from __future__ import annotations

import msgspec

from hybrid_runtime.dispatcher.output import how_it_died
from hybrid_runtime.errors import ErrorData
from hybrid_runtime.limits import Limits, StopReason


def limit_text(stopping: StopReason | None, limits: Limits) -> str:
    """The limit that stopped a job."""
    shown = {
        StopReason.WALL: f"its wall limit of {limits.wall_s} s",
        StopReason.THINK: f"its think limit of {limits.think_s} s a step",
    }
    return shown.get(stopping or StopReason.ERROR, f"a limit ({stopping})")


def stopped_early(error: ErrorData, stopping: StopReason | None, limits: Limits) -> ErrorData:
    """The algorithm was stopped before its first step: say by what, keeping the line it was at."""
    where = error.text[error.text.rfind(" (") :] if error.text.endswith(")") else ""
    if stopping is StopReason.CANCELLED:
        text, family = f"cancelled before its first step{where}", "JobCancelled"
    else:
        family = "AlgorithmTimeout"
        text = f"{limit_text(stopping, limits)} was reached before the algorithm's first step{where}"
    return ErrorData(kind=family, text=text, traceback=error.traceback, family=family)


def did_not_stop(stopping: StopReason | None, limits: Limits) -> ErrorData:
    """The algorithm had its time for ending, and has not ended."""
    seconds = f"{limits.finalize_s:g} s"
    if stopping is None:
        text = f"finalize did not return within {seconds}"
    elif stopping is StopReason.CANCELLED:
        text = f"the algorithm did not stop within {seconds} of being cancelled, and was killed"
    else:
        text = f"{limit_text(stopping, limits)} was reached, and the algorithm did not stop within {seconds}: "
        text += "it was killed"
    family = "JobCancelled" if stopping is StopReason.CANCELLED else "AlgorithmTimeout"
    return ErrorData(kind=family, text=text, family=family)


def lost(status: int, fault: tuple[str, str] | None) -> ErrorData:
    """The worker ended with this status; `fault` is the user's line and the traceback where they are known."""
    where, trace = (f" ({fault[0]})", fault[1]) if fault else ("", None)
    text = f"the algorithm's process {how_it_died(status)}{where}"
    return ErrorData(kind="WorkerLost", text=text, traceback=trace, family="WorkerLost")


def located(error: ErrorData, fault: tuple[str, str] | None) -> ErrorData:
    """The error with the line that the algorithm was at, where that is known and not in it yet."""
    if fault is None or error.traceback is not None:
        return error
    return msgspec.structs.replace(error, text=f"{error.text} ({fault[0]})", traceback=fault[1])


def tried(error: ErrorData, times: int) -> ErrorData:
    """The error of a backend that failed so many times."""
    return error if times < 2 else msgspec.structs.replace(error, text=f"{error.text} (tried {times} times)")
