"""What is seen of a job while it runs: a live view on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Protocol

from hybrid_runtime.cli.streams import on_terminal, say
from hybrid_runtime.cli.tally import Tally, Watched
from hybrid_runtime.local import Event
from hybrid_runtime.protocol.control import Log, Progress

if TYPE_CHECKING:
    from rich.text import Text

# A plain line at most so often: enough to see that it goes on, few enough for a log file.
_LINE_EVERY_S = 2.0
_DRAW_EVERY_S = 0.1
_SPARKLINE_WIDTH = 40


class View(Protocol):
    """Shows one job. All of it goes to stderr."""

    def event(self, event: Event) -> None:
        """Something happened to the job."""

    def tick(self) -> None:
        """Some time has passed."""

    def note(self, text: str) -> None:
        """Something that the user has to know now."""

    def close(self) -> None:
        """The job is over."""


def view_of(job: Watched, *, quiet: bool, age_s: float = 0.0) -> View:
    """The view that fits where stdout and stderr go."""
    if quiet:
        return SilentView()
    tally = Tally(job, age_s)
    return LiveView(job.job_id, tally) if on_terminal() else PlainView(job.job_id, tally)


class SilentView:
    """Shows nothing but what the user has to know."""

    def event(self, event: Event) -> None:
        """Show nothing."""

    def tick(self) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Say it."""
        say(text)

    def close(self) -> None:
        """Nothing is on the screen."""


class PlainView:
    """One line when the job starts, one every two seconds, and log lines as they come."""

    def __init__(self, job_id: str, tally: Tally) -> None:
        self._tally = tally
        self._title = f"job {job_id} started"
        self._next_line = math.inf

    def event(self, event: Event) -> None:
        """Take in progress; print log lines."""
        if self._next_line == math.inf:  # the first event: the runtime is up, and the job has a worker
            self._next_line = time.monotonic() + _LINE_EVERY_S
            say(self._title)
        if isinstance(event, Progress):
            self._tally.take(event)
            self.tick()
        elif isinstance(event, Log) and event.lines:
            say("\n".join(event.lines))

    def tick(self) -> None:
        """Print the line that is due."""
        if time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            say(progress_line(self._tally))

    def note(self, text: str) -> None:
        """Say it."""
        say(text)

    def close(self) -> None:
        """Nothing is on the screen."""


def progress_line(tally: Tally) -> str:
    """State, figures and the first metric, on one line."""
    return "  ".join([f"[{tally.elapsed_s:6.1f} s] {tally.state.value}", *figures(tally), *metric_figures(tally)])


def figures(tally: Tally) -> list[str]:
    """Step, shots and rate."""
    return [f"step {tally.steps}", f"{tally.rate:.1f} steps/s", f"{tally.shots} shots"]


def metric_figures(tally: Tally) -> list[str]:
    """The first metric's newest value and its best one, which is the lowest: optimizers minimize."""
    if tally.metric is None or tally.newest is None:
        return []
    best = "" if tally.lowest is None else f" (best {tally.lowest:.8g})"
    return [f"{tally.metric} {tally.newest:.8g}{best}"]


class LiveView:
    """Two lines that are drawn anew, with the job's log scrolling above them."""

    def __init__(self, job_id: str, tally: Tally) -> None:
        from rich.console import Console
        from rich.live import Live

        self._tally = tally
        self._title = f"job {job_id}"
        self._console = Console(stderr=True)
        # No refresh thread: the waiting loop draws, so that nothing else writes to the terminal meanwhile.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._next_drawing = 0.0
        self._live.start()
        self.tick()

    def event(self, event: Event) -> None:
        """Take in progress; print log lines above."""
        from rich.text import Text

        if isinstance(event, Progress):
            self._tally.take(event)
        elif isinstance(event, Log) and event.lines:
            self._live.console.print(Text("\n".join(event.lines)), soft_wrap=True)

    def tick(self) -> None:
        """Draw, unless it was drawn a moment ago."""
        now = time.monotonic()
        if now < self._next_drawing:
            return
        self._next_drawing = now + _DRAW_EVERY_S
        self._live.update(self._drawing(), refresh=True)

    def note(self, text: str) -> None:
        """Print it above."""
        self._live.console.print(text, style="bold yellow", markup=False, highlight=False)

    def close(self) -> None:
        """Take the two lines away."""
        self._live.stop()

    def _drawing(self) -> Text:
        from rich.text import Text

        tally = self._tally
        text = Text(f"{self._title}  {tally.elapsed_s:.1f} s\n", style="dim", no_wrap=True, overflow="ellipsis")
        text.append(tally.state.value, style="not dim bold cyan")
        text.append("  " + "  ".join(figures(tally)), style="not dim")
        for figure in metric_figures(tally):
            text.append("\n" + figure + "  ", style="not dim")
            text.append(tally.sparkline(_SPARKLINE_WIDTH), style="not dim green")
        return text
