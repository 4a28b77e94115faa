"""The text that tells how a job ended: its result to stdout, its error to stderr."""

from __future__ import annotations

from hybrid_runtime.cli.pretty import lines_of
from hybrid_runtime.dispatcher.output import clean
from hybrid_runtime.errors import ErrorData
from hybrid_runtime.job import JobResult
from hybrid_runtime.timing import Timing

# Wide enough for the longest label.
_LABEL = 11


def summary(result: JobResult) -> str:
    """State, reason, value, figures and timing of a job."""
    reason = f" (stopped by {result.stop_reason.value})" if result.stop_reason.value not in ("done", "error") else ""
    lines = [
        *_section("state", [f"{result.state.value}{reason}"]),
        *_section("result", lines_of(result.value)),
        *_section("steps", [f"{result.steps}, with {result.shots} shots"]),
        *_section("backend", [f"{result.backend}, seed {result.seed}"]),
        *_section("isolation", [result.isolation or "none: no worker was started"]),
        *_section("timing", timing_lines(result.timing)),
    ]
    return "\n".join(lines)


def _section(label: str, lines: list[str]) -> list[str]:
    first, *others = lines or ["none"]
    return [f"{label:{_LABEL}}{first}".rstrip(), *(f"{'':{_LABEL}}{line}".rstrip() for line in others)]


def timing_lines(timing: Timing) -> list[str]:
    """The timing as a small table, each figure in a unit that fits it."""
    step = timing.step_s
    steps = []
    if step.p50 is not None and step.p99 is not None and step.mean is not None:
        steps = [("step", f"{duration(step.p50)} (p50), {duration(step.p99)} (p99), {duration(step.mean)} (mean)")]
    rows = [
        ("total", duration(timing.total_s)),
        ("initialize", duration(timing.initialize_s)),
        *steps,
        ("terminate", duration(timing.terminate_s)),
        ("classical", duration(timing.classical_s)),
        ("quantum", duration(timing.quantum_s)),
        ("overhead", duration(timing.overhead_s)),
    ]
    return [f"{name:11}{figure}" for name, figure in rows]


def duration(seconds: float) -> str:
    """Seconds in us, ms, s or minutes, with three figures that count."""
    if seconds >= 120:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size or unit == "us":
            figure = seconds / size
            places = 0 if figure >= 99.95 else 1 if figure >= 9.995 else 2
            return f"{figure:.{places}f} {unit}"
    raise AssertionError("the last unit takes every figure")


def failure(error: ErrorData) -> str:
    """The user's own traceback, and one line that says what went wrong."""
    first, *others = error.text.split("\n")
    said = [f"{error.kind}: {first}", *others]
    return "\n".join(map(clean, [*_frames(error), *said]))


def _frames(error: ErrorData) -> list[str]:
    """The lines of the traceback, without the exception's own at its end where the error's text repeats them."""
    lines = (error.traceback or "").rstrip("\n").split("\n") if error.traceback else []
    frames = [index for index, line in enumerate(lines) if line.startswith('  File "')]
    if not frames:
        return lines
    end = frames[-1] + 1
    while end < len(lines) and lines[end].startswith("    "):
        end += 1
    _, _, said = "\n".join(lines[end:]).partition(": ")
    return lines[:end] if said and error.text.startswith(said) else lines
