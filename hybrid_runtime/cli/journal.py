"""`qi-run journal`: what the journal of a job holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hybrid_runtime.cli import codes
from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.refusal import refuse
from hybrid_runtime.cli.streams import say, write, write_json
from hybrid_runtime.errors import HybridRuntimeError, InvalidInput
from hybrid_runtime.submission import journal_of

JournalPath = Annotated[
    Path, typer.Argument(metavar="PATH", help="A journal, or the folder DIR/JOB_ID that holds one.", show_default=False)
]

journal = typer.Typer(
    help="Show, verify or export the journal of a job.", epilog=codes.epilog(), pretty_exceptions_enable=False
)


@journal.command(epilog=codes.epilog())
def show(path: JournalPath, *, json: Json = False, debug: Debug = False) -> int:
    """Say what the job is, how far it has come and how it ended."""
    from hybrid_runtime.cli.journal_text import Summary  # not needed by the other commands, which load this module too

    try:
        summary = Summary(journal_of(path))
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
        summary = Summary(journal_of(path))
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug)
    found: dict[str, Any] = {"path": str(summary.path), "records": summary.records, "steps": summary.steps}
    if json:
        write_json(found)
    else:
        write(f"{summary.path}: {summary.records} records with {summary.steps} steps, all whole")
    return ExitCode.COMPLETED


@journal.command(epilog=codes.epilog())
def export(
    path: JournalPath,
    *,
    file_format: Annotated[str, typer.Option("--format", metavar="FORMAT", help="json or parquet.")] = "json",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE; Parquet needs one.")
    ] = None,
    debug: Debug = False,
) -> int:
    """Write every record as a line of JSON, or every executed circuit as a row of a Parquet table."""
    try:
        if file_format == "parquet":
            return _export_parquet(journal_of(path), output)
        if file_format != "json":
            raise InvalidInput(f"--format is json or parquet, not {file_format!r:.40}")
        _export_lines(journal_of(path), output)
    except HybridRuntimeError as error:
        return refuse(error, json=False, debug=debug)
    return ExitCode.COMPLETED


def _export_lines(path: Path, output: Path | None) -> None:
    from hybrid_runtime.cli.journal_text import lines

    if output is None:
        for line in lines(path):
            write(line)
        return
    try:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines(path))
    except OSError as error:
        raise InvalidInput(f"{output} cannot be written: {error.strerror}; name another file") from error


def _export_parquet(path: Path, output: Path | None) -> int:
    from hybrid_runtime.cli.journal_parquet import write_parquet

    if output is None:
        raise InvalidInput("--format parquet needs --output FILE")
    rows = write_parquet(path, output)
    say(f"{output}: {rows} rows")
    return ExitCode.COMPLETED
