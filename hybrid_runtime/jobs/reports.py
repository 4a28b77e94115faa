"""What runners and the job manager's store tell each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.job import JobState
    from hybrid_runtime.resources.jobs import JobKind


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A job that a runner has from now on.

    Attributes:
        fence: Goes with everything that the runner says of the job. A later claim makes it void.
        resume: Whether it has run before, so that it goes on from its journal if there is one.
        fork_of: The job, and how many of its steps, that it begins with.
    """

    job_id: str
    fence: int
    kind: JobKind
    name: str
    project: str
    user: str
    backend: str
    environment: str | None
    bundle: str | None
    circuit: str | None
    language: str | None
    parameters: dict[str, Any]
    limits: dict[str, Any]
    seed: int
    shots: int | None
    keep_requests: bool
    attempts: int
    resume: bool
    fork_of: tuple[str, int] | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What has become of a job since the last report; None where nothing has.

    Attributes:
        steps: Steps so far, not since the last report; `shots` and `qpu_s` likewise.
        events: Type and data of each; those of a change of state and of the end are made by the store. `restarted`
            says that logs and metrics come again, and removes those that are kept.
        logs: Stream and text of each line.
        metrics: Name and value of each.
        at: When; the time of writing when None.
    """

    job_id: str
    fence: int
    state: JobState | None = None
    reason: str = ""
    steps: int | None = None
    shots: int | None = None
    qpu_s: float | None = None
    events: Sequence[tuple[str, dict[str, Any]]] = field(default_factory=tuple)
    logs: Sequence[tuple[str, str]] = field(default_factory=tuple)
    metrics: Sequence[tuple[str, float]] = field(default_factory=tuple)
    at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Command:
    """What somebody asked a runner to do with a job: `cancel`, `kill` or `pause`."""

    id: int
    job_id: str
    kind: str
    by: str
    at: float
