"""The exit codes of `qi-run`: one meaning each, whatever the subcommand."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process exits with. The errors of `hybrid_runtime.errors` name the same numbers."""

    COMPLETED = 0
    USER_CODE_FAILED = 1
    REFUSED = 2
    BACKEND_FAILED = 3
    CANCELLED = 4
    INTERNAL = 70


MEANINGS: dict[ExitCode, str] = {
    ExitCode.COMPLETED: "completed, also when a limit or Ctrl-C stopped the job and it could finalize",
    ExitCode.USER_CODE_FAILED: "the algorithm failed",
    ExitCode.REFUSED: "wrong usage, or an input that was refused",
    ExitCode.BACKEND_FAILED: "the backend failed",
    ExitCode.CANCELLED: "cancelled before the algorithm could finalize",
    ExitCode.INTERNAL: "a fault of Hybrid Runtime: please report it",
}


def epilog() -> str:
    """The table of exit codes, as `--help` shows it."""
    lines = [f"{code.value}: {meaning}" for code, meaning in MEANINGS.items()]
    # typer sets each paragraph on a line of its own.
    return "\n\n".join(["Exit codes", *lines])
