"""What `qi-run bench` shows of a report, as plain tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hybrid_runtime.bench.report import PAPER
from hybrid_runtime.cli.report import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hybrid_runtime.bench.loops import Comparison
    from hybrid_runtime.bench.quantiles import Quantiles
    from hybrid_runtime.bench.report import Report


class Table(NamedTuple):
    """A table: its first column names the row; `notes` stand below it."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()


_QUANTILES = ("p50", "p99", "p99.9", "max", "samples")
_NOTHING = ""


def tables(report: Report) -> list[Table]:
    """The tables that have anything in them."""
    made = [
        _table_one(report),
        _steps(report),
        _ratios(report),
        _quantile_table("A step by the numbers it sends", "numbers", report.payload.items()),
        _quantile_table("A step by what is kept of it", "journal", report.journal.items()),
        *_batches(report),
        _workers(report),
        _quantile_table("The emulator alone: dense circuits, 1024 shots", "qubits", report.emulator.items()),
        _loops(report),
        _peers(report),
        _machine(report),
    ]
    return [table for table in made if table.rows]


def _figures(found: Quantiles) -> tuple[str, ...]:
    return (*map(duration, (found.p50, found.p99, found.p999, found.max)), str(found.samples))


def _table_one(report: Report) -> Table:
    steps = report.step_s.get("seqpacket", {})
    placement = min(steps, key=lambda one: steps[one].p50) if steps else ""
    rows = [
        ("initialization, warm", PAPER["initialization"], report.initialize_warm_s),
        ("initialization, cold", PAPER["initialization"], report.initialize_cold_s),
        (f"execution ({placement})", PAPER["execution"], steps.get(placement)),
        ("termination", PAPER["termination"], report.terminate_s),
    ]
    return Table(
        "The paper's Table I, and here",
        ("phase", "paper", *_QUANTILES),
        [(name, paper, *_figures(found)) for name, paper, found in rows if found is not None],
        ("The paper's figures are of another machine and are quoted as printed.",),
    )


def _steps(report: Report) -> Table:
    ours = _placed_rows("runtime", report.step_s)
    return Table(
        "One step by channel and placement",
        ("what", "placement", *_QUANTILES),
        [*_placed_rows("C floor", report.floor_c_s), *ours],
        ("A step is four messages: worker, dispatcher, quantum runtime and back. The floor is the messages alone.",),
    )


def _placed_rows(what: str, found: Mapping[str, Mapping[str, Quantiles]]) -> list[tuple[str, ...]]:
    return [
        (f"{what}, {kind}", placement, *_figures(figures))
        for kind, placed in found.items()
        for placement, figures in placed.items()
    ]


def _ratios(report: Report) -> Table:
    return Table(
        "Ratios of medians in this run",
        ("ratio", "value"),
        [(name, f"{value:.2f}" if value < 100 else f"{value:.0f}") for name, value in report.ratios.items()],
    )


def _quantile_table(title: str, first: str, found: Iterable[tuple[str, Quantiles]]) -> Table:
    return Table(title, (first, *_QUANTILES), [(name, *_figures(figures)) for name, figures in found])


def _batches(report: Report) -> list[Table]:
    made = []
    for backend, batch in report.batch.items():
        table = _quantile_table(f"A step by its parameter sets, {backend}", "sets", batch.step_s.items())
        most = max(batch.step_s, key=int)
        note = f"{most} sets in one step are {batch.speedup:.1f} times quicker than {most} steps of one, by medians."
        made.append(table._replace(notes=(note,)))
    return made


def _workers(report: Report) -> Table:
    rows = [("from request to ready", *_figures(report.refill.ready_s))] if report.refill else []
    notes = (f"{report.refill.workers_per_s:.0f} workers a second, one after the other.",) if report.refill else ()
    return Table("Making a worker", ("", *_QUANTILES), rows, notes)


def _loops(report: Report) -> Table:
    found = (("VQE of H2", report.vqe), ("QAOA, six vertices", report.qaoa))
    return Table(
        "Whole algorithms beside scipy and the emulator in one process",
        ("algorithm", "evaluations", "runtime", "alone", "overhead", "same result"),
        [_loop(name, comparison) for name, comparison in found if comparison is not None],
    )


def _loop(name: str, found: Comparison) -> tuple[str, ...]:
    return (
        name,
        str(found.evaluations),
        duration(found.runtime_s),
        duration(found.alone_s),
        f"{found.overhead:+.1%}",
        "yes" if found.same_result else "no",
    )


def _peers(report: Report) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, peer in report.peers.items():
        if not peer.step_s:
            rows.append((name, peer.reason or peer.status, *[_NOTHING] * len(_QUANTILES)))
        rows += [(name, placement, *_figures(found)) for placement, found in peer.step_s.items()]
    return Table("The same step by other means", ("peer", "placement", *_QUANTILES), rows)


def _machine(report: Report) -> Table:
    machine = report.machine
    virtual = {True: ", virtual", False: "", None: ""}[machine.virtual]
    load = [" ".join(f"{one:.2f}" for one in loads) for loads in (machine.load_before, machine.load_after) if loads]
    rows: list[tuple[str, ...]] = [
        ("processor", f"{machine.cpu}, {machine.cores} cores{virtual}"),
        ("frequency governor", machine.governor or "not readable"),
        ("kernel", machine.kernel),
        ("python", machine.python),
        ("packages", ", ".join(f"{name} {version}" for name, version in machine.versions.items())),
        ("isolation of workers", machine.isolation or "not recorded"),
        ("load average before, after", " / ".join(load)),
        ("taken", f"{report.taken_at}, in {duration(report.duration_s)}"),
    ]
    missing = tuple(f"{name}: {reason}" for name, reason in report.absent.items())
    return Table("Machine", ("", ""), rows, missing)


def markdown(report: Report) -> str:
    """The report as a Markdown document."""
    parts = ["# Latency report", *(f"**{warning}**" for warning in report.warnings)]
    for table in tables(report):
        parts.append(f"## {table.title}")
        parts.append("\n".join(_markdown_lines(table)))
        parts += table.notes
    return "\n\n".join(parts) + "\n"


def _markdown_lines(table: Table) -> list[str]:
    head = [_markdown_row(table.columns), _markdown_row(["---"] * len(table.columns))]
    return [*head, *(_markdown_row(row) for row in table.rows)]


def _markdown_row(cells: Iterable[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
