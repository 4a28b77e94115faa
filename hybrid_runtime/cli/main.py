"""The entry point of `qi-run`: runs the command line, and turns whatever goes wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from hybrid_runtime.cli.codes import ExitCode

if TYPE_CHECKING:
    from hybrid_runtime.cli.headstart import HeadStart

# What typer returns for a KeyboardInterrupt in a command.
_INTERRUPTED = 130


def main() -> int:
    """Run the command in `sys.argv`; its exit code."""
    arguments = sys.argv[1:]
    try:
        return _command_line(arguments)
    except KeyboardInterrupt as error:
        return _report(error, arguments)
    except Exception as error:  # noqa: BLE001 - the outermost frame: the user is told, never shown our frames
        return _report(error, arguments)


def _command_line(arguments: list[str]) -> int:
    _fill_closed_streams()
    _tolerate_any_text()
    with closing(_head_start(arguments)) as head_start:
        from hybrid_runtime.cli.app import command

        code = command().main(arguments, prog_name="qi-run", standalone_mode=False, obj=head_start)
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    return int(code or ExitCode.COMPLETED)


def _head_start(arguments: list[str]) -> HeadStart:
    from hybrid_runtime.cli.headstart import HeadStart

    return HeadStart(arguments[1:] if arguments[:1] == ["run"] else [])


def _fill_closed_streams() -> None:
    """Let no channel of the runtime get the number of a standard stream that this process was started without."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(fd, True)


def _tolerate_any_text() -> None:
    """Print what the terminal's encoding lacks as `?`, rather than fail over it."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _report(error: BaseException, arguments: list[str]) -> int:
    from hybrid_runtime.cli import refusal
    from hybrid_runtime.errors import HybridRuntimeError, InternalError, InvalidInput, JobCancelled

    ours: HybridRuntimeError
    if isinstance(error, HybridRuntimeError):
        ours = error
    elif isinstance(error, KeyboardInterrupt):
        ours = JobCancelled("cancelled before anything was run")
    elif _is_usage_error(error):
        ours = InvalidInput(refusal.usage_text(error, arguments))
    else:
        ours = InternalError(f"{type(error).__name__}: {error}")
        ours.__cause__ = error
    # What follows `--` is not an option.
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return refusal.refuse(ours, json="--json" in options, debug="--debug" in options)


def _is_usage_error(error: Any) -> bool:
    # typer brings its own copy of click from 0.26 on: the class has no public name that is in every release.
    return any(cls.__name__ == "ClickException" for cls in type(error).__mro__)
