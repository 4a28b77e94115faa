"""`qi-run replay`: a recorded run gone through again in the foreground, where a debugger can look at it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.refusal import refuse
from hybrid_runtime.cli.streams import say, write, write_json
from hybrid_runtime.errors import HybridRuntimeError, exit_code
from hybrid_runtime.values import to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.testing.recorded import Replayed

Job = Annotated[
    Path, typer.Argument(metavar="JOB", help="Folder DIR/JOB_ID of a run with --out DIR.", show_default=False)
]
File = Annotated[
    str | None,
    typer.Option("--file", "-f", metavar="FILE[:NAME]", help="The algorithm's file; as it was then without it."),
]
UsePdb = Annotated[
    bool, typer.Option("--pdb", help="Open Python's debugger at --until STEP, and where the algorithm fails.")
]
Until = Annotated[int | None, typer.Option("--until", metavar="STEP", help="Go no further than this step.")]

# What a person who debugs an algorithm does not want to step through.
_NOT_THEIRS = ["hybrid_runtime", "hybrid_runtime.*", "numpy.*", "scipy.*", "contextlib", "importlib.*", "threading"]


def replay(
    job: Job,
    *,
    file: File = None,
    pdb: UsePdb = False,
    until: Until = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Run a recorded job's algorithm here, in the foreground, against its recorded results.

    No backend is used and nothing is recorded. The algorithm runs in this process, with your rights and without a
    sandbox: replay only what you would run yourself.
    """
    from hybrid_runtime.testing.recorded import replay as go_through

    on_step = _debugger_at(until) if pdb and until is not None else None
    try:
        run = go_through(
            job, file, until=None if pdb else until, on_step=on_step, on_error=_post_mortem if pdb else None
        )
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug)
    if json:
        write_json(_to_dict(run))
    else:
        write(_to_text(run))
    if run.error is not None:
        from hybrid_runtime.cli.report import failure

        say(failure(run.error))
        return exit_code(run.error)
    return ExitCode.COMPLETED


def _debugger_at(step: int | None) -> Callable[[int], None]:
    """Opens the debugger at the algorithm's own next line after this step."""

    def reached(number: int) -> None:
        if number == step:
            from pdb import Pdb

            say(f"step {number} has its results; the algorithm goes on below")
            Pdb(skip=_NOT_THEIRS).set_trace(sys._getframe(1))

    return reached


def _post_mortem(error: BaseException) -> None:
    from pdb import post_mortem

    say(f"the algorithm raised {type(error).__name__}: {error}")
    post_mortem(error.__traceback__)


def _to_dict(run: Replayed) -> dict[str, Any]:
    error = run.error and {"kind": run.error.kind, "text": run.error.text, "traceback": run.error.traceback}
    return {
        "steps": run.steps,
        "stop_reason": run.stop_reason.value,
        "result": to_json(run.value),
        "recorded": to_json(run.recorded),
        "same": run.same,
        "error": error,
        "logs": run.logs,
    }


def _to_text(run: Replayed) -> str:
    from hybrid_runtime.cli.pretty import lines_of

    first, *others = lines_of(run.value) or ["none"]
    lines = [f"replayed   {run.steps} steps, without a backend", f"result     {first}"]
    lines += [f"{'':11}{line}" for line in others]
    return "\n".join([*lines, f"recorded   {_compared(run)}"])


def _compared(run: Replayed) -> str:
    if run.same:
        return "the same result"
    if run.stop_reason.value == "cancelled":
        return "the run did not come further, or was replayed in part"
    if run.error is not None:
        return "see the error"
    from hybrid_runtime.cli.pretty import lines_of

    return f"another result: {' '.join(lines_of(run.recorded))}"
