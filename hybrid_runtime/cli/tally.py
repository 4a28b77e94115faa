"""The figures that progress shows, kept up to date from a job's events."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Protocol

from hybrid_runtime.job import JobState
from hybrid_runtime.protocol.control import Progress

# Steps per second are those of the last so many seconds.
_RATE_WINDOW_S = 3.0
_BARS = "▁▂▃▄▅▆▇█"


class Watched(Protocol):
    """What is shown of a job: one of this machine, or one of a server."""

    @property
    def job_id(self) -> str:
        """Its name."""

    @property
    def state(self) -> JobState:
        """Its state."""

    @property
    def metrics(self) -> dict[str, list[float]]:
        """Every value it reported, by name."""


class Tally:
    """Steps, shots, rate and the first metric of one job.

    Args:
        job: The job.
        age_s: How long it has been running.
    """

    def __init__(self, job: Watched, age_s: float = 0.0) -> None:
        self._job = job
        self._started = time.monotonic() - age_s
        self._recent: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._seen = 0
        self.lowest: float | None = None
        self.steps = 0
        self.shots = 0

    def take(self, event: Progress) -> None:
        """Take in one report."""
        self.steps, self.shots = event.steps, event.shots
        now = time.monotonic()
        self._recent.append((now, event.steps))
        while len(self._recent) > 2 and now - self._recent[1][0] > _RATE_WINDOW_S:
            self._recent.popleft()
        values = self._values()
        self._seen = min(self._seen, len(values))  # there may be fewer again: after a restart all come anew
        fresh = [value for value in values[self._seen :] if math.isfinite(value)]
        self._seen = len(values)
        if fresh:
            self.lowest = min(fresh) if self.lowest is None else min(self.lowest, *fresh)

    @property
    def state(self) -> JobState:
        """The job's state."""
        return self._job.state

    @property
    def elapsed_s(self) -> float:
        """Seconds since the job was given to the runtime."""
        return time.monotonic() - self._started

    @property
    def rate(self) -> float:
        """Steps per second."""
        (then, before), (_, now_steps) = self._recent[0], self._recent[-1]
        elapsed = time.monotonic() - then
        return (now_steps - before) / elapsed if elapsed > 0 else 0.0

    @property
    def metric(self) -> str | None:
        """The name of the first metric reported."""
        return next(iter(self._job.metrics), None)

    @property
    def newest(self) -> float | None:
        """The first metric's newest value."""
        values = self._values()
        return values[-1] if values else None

    def sparkline(self, width: int) -> str:
        """The first metric's history in `width` characters."""
        return sparkline(self._values(), width)

    def _values(self) -> list[float]:
        name = self.metric
        return self._job.metrics[name] if name is not None else []


def sparkline(values: list[float], width: int) -> str:
    """A series drawn in at most `width` characters, each the last value of its share; blank where not finite."""
    count = min(width, len(values))
    sample = [values[(index + 1) * len(values) // count - 1] for index in range(count)]
    finite = [value for value in sample if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    return "".join(_BARS[_height(value, low, high)] if math.isfinite(value) else " " for value in sample)


def _height(value: float, low: float, high: float) -> int:
    # Halves: the difference of two floats may be larger than a float.
    span = high / 2 - low / 2
    return round((len(_BARS) - 1) * ((value / 2 - low / 2) / span)) if span > 0 else 0
