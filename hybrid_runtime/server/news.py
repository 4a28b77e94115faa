"""What is to be written about a running job: gathered as it comes, taken out in batches. Pure."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.reports import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hybrid_runtime.protocol.control import Log, Progress
    from hybrid_runtime.server.results import Metrics

# Of what a job says in one batch, this much goes into one event for those who watch; all of it is kept.
MOST_POINTS = 200
MOST_LINES = 200
_TOLD = (JobState.STARTING, JobState.RUNNING, JobState.FINALIZING)


class News:
    """What one job's dispatcher said since the last batch, and of all that it said what the result needs.

    Attributes:
        metrics: Every value that the job reported, by name.
        qpu_s: Seconds of the backend, which are known at the end.
    """

    def __init__(self) -> None:
        self.metrics: Metrics = {}
        self.qpu_s: float | None = None
        # A claimed job is `starting`, and its runner has not said so.
        self._state = JobState.STARTING
        self._states: list[tuple[JobState, str]] = []
        self._steps = self._shots = self._told_steps = 0
        self._anew = False
        self._points: list[tuple[str, float]] = []
        self._lines: list[tuple[str, str]] = []

    def on_progress(self, progress: Progress) -> None:
        """How the job is doing."""
        self._enter(progress.state)
        self._steps, self._shots = progress.steps, progress.shots
        for name, value in progress.metrics:
            self.metrics.setdefault(name, []).append(value)
        self._points += progress.metrics

    def on_log(self, log: Log) -> None:
        """What the job printed or logged."""
        self._lines += [(log.stream, line) for line in log.lines]

    def begin_anew(self, reason: str) -> None:
        """The job begins again from its journal: all that was told of it is told again."""
        self._enter(JobState.STARTING, reason)
        self._anew = True
        self._steps = self._shots = self._told_steps = 0
        self.metrics.clear()
        self._points, self._lines = [], []

    def _enter(self, state: JobState, reason: str = "") -> None:
        # That a job pauses or has ended is the store's to say, when it is asked to or given the result.
        if state is not self._state and state in _TOLD:
            self._state = state
            self._states.append((state, reason))

    def take(self, job_id: str, fence: int) -> list[Report]:
        """What is new, for the store: one report for each change of state, the last of them with all the rest."""
        events = self._events()
        if not (self._states or events or self.qpu_s):
            return []
        *before, (state, reason) = self._states or [(self._state, "")]
        reports = [Report(job_id=job_id, fence=fence, state=one, reason=why) for one, why in before]
        last = Report(
            job_id=job_id,
            fence=fence,
            state=state,
            reason=reason,
            steps=self._steps,
            shots=self._shots,
            qpu_s=self.qpu_s,
            events=events,
            logs=self._lines,
            metrics=self._points,
        )
        self._states, self._points, self._lines = [], [], []
        self._told_steps, self._anew, self.qpu_s = self._steps, False, None
        return [*reports, last]

    def _events(self) -> list[tuple[str, dict[str, Any]]]:
        events: list[tuple[str, dict[str, Any]]] = []
        if self._anew:
            events.append(("restarted", {}))
        if self._steps != self._told_steps:
            events.append(("progress", {"steps": self._steps, "shots": self._shots}))
        if self._points:
            events.append(("metrics", {"points": _thinned(self._points)}))
        events += [("log", {"stream": stream, "lines": _cut(lines)}) for stream, lines in _by_stream(self._lines)]
        return events


def _thinned(points: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """So many of them at most, evenly spaced, with the last."""
    if len(points) <= MOST_POINTS:
        return points
    stride = -(-len(points) // MOST_POINTS)
    return points[::-1][::stride][::-1]


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], f"… {len(lines) - MOST_LINES} more in the log"]


def _by_stream(lines: list[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    for stream, group in groupby(lines, key=lambda line: line[0]):
        yield stream, [text for _, text in group]
