"""What a job leaves: its result, steps, log lines, metrics and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.resources.jobs import Failure


@dataclass(frozen=True, kw_only=True)
class Result:
    """A job's final result: the fields of `JobResult.to_dict`."""

    job_id: str
    state: JobState
    stop_reason: StopReason | None
    result: Any
    error: Failure | None
    steps: int
    shots: int
    metrics: dict[str, list[float]]
    backend: str
    seed: int
    isolation: str
    timing: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a job: what was asked, and what came back, one entry a circuit."""

    number: int
    requests: list[dict[str, Any]]
    results: list[dict[str, Any]]
    shots: int
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line that a job printed (`stdout`, `stderr`), logged (`log`) or was told (`system`)."""

    sequence: int
    at: float
    stream: str
    text: str


@dataclass(frozen=True, kw_only=True)
class MetricPoint:
    """One value of a metric; `sequence` counts the points of a job."""

    sequence: int
    at: float
    name: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a job; `id` counts within the job and is the id of the SSE event.

    `type` is `state` (`data`: state, reason), `progress` (steps, shots), `metrics` (points: [name, value]),
    `log` (stream, lines), `restarted` (what was told of metrics and logs comes again) or `ended` (the job).
    """

    id: int
    at: float
    type: str
    data: dict[str, Any]
