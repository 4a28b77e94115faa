"""One queued run of an algorithm: its states and its result."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from hybrid_runtime.errors import ErrorData, rebuild
from hybrid_runtime.limits import StopReason
from hybrid_runtime.timing import Timing
from hybrid_runtime.values import to_json


class JobState(StrEnum):
    """Where a job is in its life."""

    PLANNED = "planned"  # not to be started before a time given
    QUEUED = "queued"
    STARTING = "starting"  # waiting for a worker, loading, in `initialize`
    RUNNING = "running"  # stepping
    PAUSING = "pausing"  # the step under way is awaited
    PAUSED = "paused"  # holds no worker; its journal has everything
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether a job in this state has ended."""
        return not NEXT[self]


_ENDS = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
# A job whose worker or dispatcher was lost begins anew from its journal: every active state leads back to `starting`.
NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.PLANNED: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.QUEUED: frozenset({JobState.STARTING, JobState.PAUSED, JobState.FAILED, JobState.CANCELLED}),
    JobState.STARTING: _ENDS
    | {JobState.QUEUED, JobState.RUNNING, JobState.FINALIZING, JobState.PAUSING, JobState.PAUSED},
    JobState.RUNNING: _ENDS | {JobState.STARTING, JobState.FINALIZING, JobState.PAUSING, JobState.PAUSED},
    JobState.PAUSING: _ENDS | {JobState.STARTING, JobState.FINALIZING, JobState.PAUSED},
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.STARTING, JobState.FAILED, JobState.CANCELLED}),
    JobState.FINALIZING: _ENDS | {JobState.STARTING},
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class JobResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a job. Partial results are kept whatever the state.

    Attributes:
        value: What `finalize`, `Done`, or the function returned; the last value of each metric when there is
            nothing else. Arrays are numpy arrays.
        state: `completed`, `failed` or `cancelled`.
        stop_reason: Why it ended.
        steps: Steps answered.
        shots: Shots done.
        metrics: Every value reported, by name.
        timing: Where the time went.
        error: What went wrong, when it failed.
        job_id: The job's name.
        backend: The backend's name; the last one's, where the job went on at another.
        backends: Names of those that have run its steps, in order.
        seed: The seed, which repeats the run.
        isolation: The isolation level its worker ran at.
        logs: What the algorithm printed and logged, possibly shortened.
    """

    value: Any
    state: JobState
    stop_reason: StopReason
    steps: int
    shots: int
    metrics: dict[str, list[float]]
    timing: Timing
    error: ErrorData | None
    job_id: str
    backend: str
    seed: int
    isolation: str
    backends: list[str] = []
    logs: list[str] = []

    def raise_for_error(self) -> JobResult:
        """Raise the job's error if it failed or was cancelled; else return the result itself."""
        if self.error is not None:
            raise rebuild(self.error)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The object that `--json` prints: `value` is under the key `result`."""
        error = self.error and {
            "kind": self.error.kind,
            "text": self.error.text,
            "traceback": self.error.traceback,
        }
        return {
            "job_id": self.job_id,
            "state": self.state.value,
            "stop_reason": self.stop_reason.value,
            "result": to_json(self.value),
            "error": error,
            "steps": self.steps,
            "shots": self.shots,
            "metrics": to_json(self.metrics),
            "backend": self.backend,
            "seed": self.seed,
            "isolation": self.isolation,
            "timing": to_json(msgspec.to_builtins(self.timing)),
        }
