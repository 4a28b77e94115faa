"""`qi-run bench`: what the runtime costs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.refusal import refuse
from hybrid_runtime.cli.streams import on_terminal, say, write, write_json
from hybrid_runtime.errors import HybridRuntimeError, InvalidInput

Quick = Annotated[bool, typer.Option("--quick", help="A first impression in less than 20 seconds.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write the tables to FILE, too.")]
Chart = Annotated[
    Path | None, typer.Option("--chart", metavar="FILE", help="Draw a PNG (needs hybrid-runtime[bench]).")
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME",
        help="Measure this, once for each or with commas: floor, step, warm, cold, refill, payload, journal, "
        "batch, emulator, vqe, qaoa, peers.",
    ),
]

# Of the tables where no terminal says how wide it is.
_WIDTH = 140


def bench(
    *,
    quick: Quick = False,
    only: Only = None,
    markdown: Markdown = None,
    chart: Chart = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Measure what the runtime costs on this machine, beside a floor in C and beside peers.

    A full run takes up to three minutes. Let nothing else run meanwhile: a report says what it saw running.
    """
    try:
        return _bench(_names(only), quick=quick, json=json, markdown=markdown, chart=chart)
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug)


def _bench(only: list[str], *, quick: bool, json: bool, markdown: Path | None, chart: Path | None) -> int:
    # Not needed by the other commands, which load this module too.
    from hybrid_runtime.bench import suite
    from hybrid_runtime.bench.plan import FULL, QUICK

    if chart is not None:
        _check_drawable()
    for path in (markdown, chart):
        if path is not None:
            _check_writable(path)
    report = suite.run(QUICK if quick else FULL, only, lambda what: say(f"measuring: {what}"))
    if json:
        write_json(report.to_dict())
    else:
        _print(report)
    if markdown is not None:
        from hybrid_runtime.cli import bench_tables

        markdown.write_text(bench_tables.markdown(report), encoding="utf-8")
    if chart is not None:
        from hybrid_runtime.bench.chart import draw

        draw(report, chart)
    return ExitCode.COMPLETED


def _names(only: list[str] | None) -> list[str]:
    from hybrid_runtime.bench.suite import MEASUREMENTS

    names = [name.strip() for text in only or [] for name in text.split(",")]
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        raise InvalidInput(f"--only does not know {unknown[0]!r}; there are: {', '.join(MEASUREMENTS)}")
    return names


def _check_drawable() -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise InvalidInput("--chart needs matplotlib; install it with: pip install 'hybrid-runtime[bench]'")


def _check_writable(path: Path) -> None:
    """Find out before minutes of measuring."""
    try:
        with path.open("a"):
            return
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}; name another file") from error


def _print(report: Any) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from hybrid_runtime.cli.bench_tables import tables

    console = Console(highlight=False, emoji=False, markup=False, width=None if on_terminal() else _WIDTH)
    with console.capture() as captured:
        for warning in report.warnings:
            console.print(warning, style="bold yellow")
        for table in tables(report):
            drawn = Table(title=table.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
            for place, column in enumerate(table.columns):
                number = place > 0 and column not in ("", "placement", "paper")
                drawn.add_column(column, justify="right" if number else "left", overflow="fold")
            for row in table.rows:
                drawn.add_row(*row)
            console.print(drawn)
            for note in table.notes:
                console.print(f"  {note}")
    write(captured.get().rstrip())
