"""A report as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybrid_runtime.bench.report import PAPER_EXECUTION_S, PAPER_TERMINATION_S
from hybrid_runtime.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from hybrid_runtime.bench.quantiles import Quantiles
    from hybrid_runtime.bench.report import Report

_OURS, _FLOOR, _OTHERS = "#2a6fbb", "#8a8a8a", "#d98032"
# As printed, "3 s 792 us": read as seconds and microseconds.
_PAPER_INITIALIZATION_S = 3.000792


class Bar:
    """One bar: a median, with a line to the 99th percentile where there is one."""

    def __init__(self, label: str, color: str, p50: float, p99: float | None = None) -> None:
        self.label = label
        self.color = color
        self.p50 = p50
        self.p99 = p99


def bars(report: Report) -> dict[str, list[Bar]]:
    """The bars of each panel, by its title; panels without figures are left out."""
    panels = {
        "One job, beside the paper's Table I": _job_bars(report),
        "One step: worker, dispatcher, quantum runtime and back": _step_bars(report),
    }
    return {title: found for title, found in panels.items() if any(bar.color == _OURS for bar in found)}


def _job_bars(report: Report) -> list[Bar]:
    steps = report.step_s.get("seqpacket", {})
    best = min(steps.values(), key=lambda step: step.p50) if steps else None
    initialization = [(report.initialize_warm_s, "warm"), (report.initialize_cold_s, "cold")]
    rows = [
        ("initialization", _PAPER_INITIALIZATION_S, initialization),
        ("execution", PAPER_EXECUTION_S, [(best, "step")]),
        ("termination", PAPER_TERMINATION_S, [(report.terminate_s, "")]),
    ]
    found = []
    for name, paper_s, ours in rows:
        found.append(Bar(f"{name}, paper", _OTHERS, paper_s))
        found += [_bar(f"{name}, here {kind}".rstrip(), _OURS, figure) for figure, kind in ours if figure is not None]
    return found


def _step_bars(report: Report) -> list[Bar]:
    found = [
        _bar(f"C floor, {mode}, {placement}", _FLOOR, figure)
        for mode, placed in report.floor_c_s.items()
        for placement, figure in placed.items()
    ]
    found += [
        _bar(f"{channel}, {placement}", _OURS, figure)
        for channel, placed in report.step_s.items()
        for placement, figure in placed.items()
    ]
    for name, peer in report.peers.items():
        if peer.step_s:
            found.append(_bar(name, _OTHERS, min(peer.step_s.values(), key=lambda step: step.p50)))
    return found


def _bar(label: str, color: str, figure: Quantiles) -> Bar:
    return Bar(label, color, figure.p50, figure.p99)


def draw(report: Report, path: Path) -> None:
    """Write a PNG.

    Raises:
        InvalidInput: matplotlib is not installed, the file cannot be written, or there is nothing to draw.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InvalidInput(
            f"--chart needs matplotlib ({error}); install it with: pip install 'hybrid-runtime[bench]'"
        ) from error
    panels = bars(report)
    if not panels:
        raise InvalidInput("there is nothing to draw: measure steps or initialization (see --only)")
    heights = [len(found) for found in panels.values()]
    figure = Figure(figsize=(10, 1.5 + 0.32 * sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axes, (title, found) in zip(grid[:, 0], panels.items(), strict=True):
        _panel(axes, title, found)
    figure.supxlabel(_caption(report), fontsize="small")
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}; name another file") from error


def _panel(axes: Any, title: str, found: list[Bar]) -> None:
    places = range(len(found))
    axes.barh(places, [bar.p50 for bar in found], color=[bar.color for bar in found])
    for place, bar in zip(places, found, strict=True):
        if bar.p99 is not None:
            axes.plot([bar.p50, bar.p99], [place, place], color="black", linewidth=0.8, marker="|")
    axes.set_yticks(list(places), [bar.label for bar in found], fontsize="small")
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("seconds, logarithmic; bar: median, line: 99th percentile", fontsize="small")
    axes.set_title(title, loc="left")
    axes.grid(axis="x", alpha=0.3)


def _caption(report: Report) -> str:
    machine = report.machine
    lines = [f"{machine.cpu}, {machine.cores} cores, Linux {machine.kernel}, {machine.python}; {report.taken_at}"]
    return "\n".join([*lines, *report.warnings])
