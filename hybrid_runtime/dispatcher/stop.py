"""When does a job end by rule: limits held against usage. Pure."""

from __future__ import annotations

from collections import deque
from math import inf, isfinite

from hybrid_runtime.limits import Limits, StopReason


class Usage:
    """What a job has used so far, and its limits' verdict on going on.

    Attributes:
        steps: Steps that were executed.
        shots: Shots in them.
        qpu_s: Seconds of the backend that they took.
        wall_deadline: When the wall limit ends it; infinite without one.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.steps = 0
        self.shots = 0
        self.qpu_s = 0.0
        # Without a limit, what nothing can reach: so a step is compared with each of them, and asks about none.
        self.wall_deadline = now + _never(limits.wall_s)
        self._most_steps, self._most_shots, self._most_qpu_s = map(_never, (limits.steps, limits.shots, limits.qpu_s))
        self._recent: deque[float] | None = None
        if limits.plateau is not None:
            self._recent = deque(maxlen=limits.plateau[2])

    def metrics(self, reported: list[tuple[str, float]]) -> None:
        """Take note of metrics, for a plateau."""
        if self._recent is None or self.limits.plateau is None:
            return
        watched = self.limits.plateau[0]
        self._recent.extend(value for name, value in reported if name == watched)

    def answered(self, shots: int, qpu_s: float) -> None:
        """A step was executed."""
        self.steps += 1
        self.shots += shots
        self.qpu_s += qpu_s

    def verdict(self, shots_wanted: int, now: float) -> StopReason | None:
        """Why the next step, of this many shots, must not run; None when it may."""
        if now >= self.wall_deadline:
            return StopReason.WALL
        if self.steps >= self._most_steps:
            return StopReason.STEPS
        if self.shots + shots_wanted > self._most_shots:
            return StopReason.SHOTS
        if self.qpu_s >= self._most_qpu_s:
            return StopReason.QPU
        if self._recent is not None and self._settled():
            return StopReason.PLATEAU
        return None

    def _settled(self) -> bool:
        recent = self._recent
        if recent is None or self.limits.plateau is None or len(recent) < self.limits.plateau[2]:
            return False
        # What is not a number, or without bounds, has not settled; max and min would pass over it.
        return all(map(isfinite, recent)) and max(recent) - min(recent) <= self.limits.plateau[1]


def _never(limit: float | None) -> float:
    return inf if limit is None else limit
