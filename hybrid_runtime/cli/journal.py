"""`qi-run journal`: what the journal of a job holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hybrid_runtime.cli import codes
from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.refusal import refuse
from hybrid_runtime.cli.streams import write, write_json
from hybrid_runtime.errors import HybridRuntimeError

JournalPath = Annotated[
    Path, typer.Argument(metavar="PATH", help="A journal, or the folder DIR/JOB_ID that holds one.", show_default=False)
]

journal = typer.Typer(
    help="Show, verify or export the journal of a job.", epilog=codes.epilog(), pretty_exceptions_enable=False
)


def _file(path: Path) -> Path:
    return path / "journal.bin" if path.is_dir() else path


@journal.command(epilog=codes.epilog())
def show(path: JournalPath, *, json: Json = False, debug: Debug = False) -> int:
    """Say what the job is, how far it has come and how it ended."""
    from hybrid_runtime.cli.journal_text import Summary  # not needed by the other commands, which load this module too

    try:
        summary = Summary(_file(path))
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug)
    if json:
        write_json(summary.to_dict())
    else:
        write(summary.to_text())
    return ExitCode.COMPLETED


@journal.command(epilog=codes.epilog())
def verify(path: JournalPath, *, json: Json = False, debug: Debug = False) -> int:
    """Check every record. The exit code is 2 when the journal is corrupt; the text names the offset."""
    from hybrid_runtime.cli.journal_text import Summary

    try:
        summary = Summary(_file(path))
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug)
    found: dict[str, Any] = {"path": str(summary.path), "records": summary.records, "steps": summary.steps}
    if json:
        write_json(found)
    else:
        write(f"{summary.path}: {summary.records} records with {summary.steps} steps, all whole")
    return ExitCode.COMPLETED


@journal.command(epilog=codes.epilog())
def export(path: JournalPath, *, debug: Debug = False) -> int:
    """Print every record as a line of JSON."""
    from hybrid_runtime.cli.journal_text import lines

    try:
        for line in lines(_file(path)):
            write(line)
    except HybridRuntimeError as error:
        return refuse(error, json=False, debug=debug)
    return ExitCode.COMPLETED
