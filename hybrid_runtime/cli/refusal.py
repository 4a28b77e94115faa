"""How a command that could not do its work says so: one line on stderr, one object on stdout with `--json`."""

from __future__ import annotations

import traceback
from difflib import get_close_matches
from typing import Any

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.streams import say, write_json
from hybrid_runtime.errors import HybridRuntimeError, JobCancelled
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason


def refuse(
    error: HybridRuntimeError, *, json: bool, debug: bool, backend: str | None = None, seed: int | None = None
) -> int:
    """Report an error that left no result; the exit code for it.

    Args:
        error: What happened.
        json: Whether stdout gets the object that stands in for the job's.
        debug: Whether our own traceback is shown.
        backend: The backend asked for, where it is known.
        seed: The seed asked for, likewise.
    """
    if json:
        write_json(failure_object(error, backend=backend, seed=seed))
    if debug:
        say("".join(traceback.format_exception(error)).rstrip())
    say(message(error, debug=debug))
    return error.exit_code


def message(error: HybridRuntimeError, *, debug: bool = False) -> str:
    """The one line (more where a line of the user's is shown) that names the cause and the next action."""
    if error.exit_code != ExitCode.INTERNAL:
        return f"{type(error).__name__}: {error}"
    more = "" if debug else " with what --debug shows"
    return f"{type(error).__name__}: {error}\nThis is a fault of Hybrid Runtime: please report it{more}."


def failure_object(error: HybridRuntimeError, *, backend: str | None = None, seed: int | None = None) -> dict[str, Any]:
    """The object that `--json` prints where there is no job to tell of: the same fields as with one."""
    cancelled = isinstance(error, JobCancelled)
    return {
        "job_id": None,
        "state": (JobState.CANCELLED if cancelled else JobState.FAILED).value,
        "stop_reason": (StopReason.CANCELLED if cancelled else StopReason.ERROR).value,
        "result": None,
        "error": {"kind": type(error).__name__, "text": str(error), "traceback": error.traceback},
        "steps": 0,
        "shots": 0,
        "metrics": {},
        "backend": backend,
        "seed": seed,
        "isolation": None,
        "timing": None,
    }


def usage_text(error: Any, arguments: list[str]) -> str:
    """What is wrong with the command line, and where help is."""
    text = error.format_message().strip()
    first = next((argument for argument in arguments if not argument.startswith("-")), "")
    if first.split(":")[0].endswith(".py"):
        return f"{first!r} is not a command; to run a file, write: qi-run run {first}"
    possibilities = getattr(error, "possibilities", None)
    if possibilities:
        near = get_close_matches(error.option_name, possibilities, n=1) or possibilities[:1]
        text = f"{error.message}; did you mean {near[0]}?"
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "qi-run"
    return f"{text.rstrip('.')}{'' if text.endswith('?') else ';'} see {command} --help"
