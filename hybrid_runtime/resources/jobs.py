"""Jobs: what is asked for, how they stand, and what can be done with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason


class Priority(StrEnum):
    """Classes of jobs: a higher one is served first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class JobKind(StrEnum):
    """A hybrid job runs an algorithm; a quantum job runs one circuit, straight on the quantum runtime."""

    HYBRID = "hybrid"
    QUANTUM = "quantum"


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """A job to queue. Exactly one of `bundle`, `algorithm` and `circuit` says what it runs.

    Attributes:
        bundle: SHA-256 of an uploaded bundle.
        algorithm: `NAME` or `NAME@VERSION` of the project.
        circuit: Text of a circuit: a pure quantum job.
        language: Language of the circuit; told from its text when None.
        shots: Shots of circuits that name none; None for exact results.
        seed: Drawn at random when None.
        limits: As `Limits` has them, by name: `{"steps": 200, "wall_s": 60.0}`.
        start_after: The job is `planned` until then.
    """

    backend: str
    bundle: str | None = None
    algorithm: str | None = None
    circuit: str | None = None
    language: str | None = None
    project: str | None = None
    name: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    shots: int | None = 1024
    seed: int | None = None
    limits: dict[str, Any] = field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    environment: str | None = None
    start_after: float | None = None
    keep_requests: bool = True


@dataclass(frozen=True, kw_only=True)
class ForkRequest:
    """A new job that begins with the first `step` steps of another one.

    `parameters` and `limits` are laid over those of that one; of the rest, None keeps what it had.
    """

    step: int
    parameters: dict[str, Any] | None = None
    backend: str | None = None
    limits: dict[str, Any] | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class CancelRequest:
    """Stop a job: gracefully, so that it finalizes, or at once with `kill`."""

    kill: bool = False


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What went wrong in a job."""

    kind: str
    text: str
    traceback: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as it stands.

    Attributes:
        shots: Shots of circuits that name none; None for exact results.
        position: Its place among the queued jobs of its backend, from 1; None unless it is queued.
        waiting_for: Why it is not running, when it is planned, queued or paused.
        attempts: How often it was handed to a dispatcher; more than 1 after something was restarted.
    """

    id: str
    kind: JobKind
    name: str
    project: str
    user: str
    backend: str
    state: JobState
    priority: Priority
    seed: int
    shots: int | None
    limits: dict[str, Any]
    environment: str | None
    bundle: str | None
    algorithm: str | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    steps: int
    shots_done: int
    qpu_s: float
    position: int | None
    waiting_for: str | None
    stop_reason: StopReason | None
    error: Failure | None
    attempts: int
    forked_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobChange:
    """One entry of a job's history: it entered a state."""

    state: JobState
    at: float
    by: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class QueueEntry:
    """A job in a backend's queue, in the order of being served; another tenant's shows no name."""

    position: int
    job_id: str | None
    user: str | None
    priority: Priority
    queued_at: float
    waiting_for: str
