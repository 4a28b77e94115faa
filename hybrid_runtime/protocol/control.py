"""Messages between a dispatcher and whoever gives it jobs.

::

    client ──Submit, Cancel, Pause──────────────────────▶ dispatcher
    client ◀─Progress, Log, Restarted, Paused, Ended───── dispatcher
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from hybrid_runtime.errors import ErrorData
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import Limits, StopReason
from hybrid_runtime.protocol.messages import Capabilities
from hybrid_runtime.timing import Timing


class _Message(msgspec.Struct, frozen=True, array_like=True):
    pass


class Submit(_Message, tag="submit"):
    """Run this bundle. `parameters` is in the encoding of `values`.

    Attributes:
        journal: File that keeps the job's steps; empty for none.
        fsync: When it is forced to the disk: `step`, `group` or `never`.
        resume: Why the job is taken up again from its journal; empty for a new job.
        on_divergence: What to do when the algorithm, taken up, asks for something else than is recorded: `fail`, or
            `live`: let it go its own way from there, and count what is recorded beyond no more.
        keep_requests: Whether the journal holds what was asked for, or only a hash of it.
        private: Whether nobody but the runtime needs the journal: without space for it the job goes on all the same.
    """

    job_id: str
    bundle: bytes
    parameters: bytes
    seed: int
    shots: int
    limits: Limits
    journal: str = ""
    fsync: str = "group"
    resume: str = ""
    on_divergence: str = "fail"
    keep_requests: bool = True
    private: bool = False


class Cancel(_Message, tag="cancel"):
    """Stop the job: gracefully, with `finalize`; or at once when `kill` is set."""

    job_id: str
    kill: bool = False


class Pause(_Message, tag="pause"):
    """Take the job from its worker once the step under way is answered; `Paused` follows, or `Ended` where it was about
    to end. A job without a journal is not paused: its log says so.
    """

    job_id: str


class Open(_Message, tag="open"):
    """The dispatcher serves this backend from now on."""

    backend: Capabilities


class Unavailable(_Message, tag="unavailable"):
    """The dispatcher cannot serve: its backend or its classical runtime did not start."""

    error: ErrorData


class Progress(_Message, tag="progress"):
    """How a job is doing: sent when its state changes, and at most every tenth of a second between.

    `metrics` holds those reported since the last `Progress`.
    """

    job_id: str
    state: JobState
    steps: int
    shots: int
    metrics: list[tuple[str, float]]


class Log(_Message, tag="log"):
    """Lines that the job printed (`stdout`, `stderr`) or logged (`log`)."""

    job_id: str
    stream: str
    lines: list[str]


class Restarted(_Message, tag="restarted"):
    """The job begins anew, from its journal: what was told of it so far is going to be told again."""

    job_id: str


class Paused(_Message, tag="paused"):
    """The job has left its worker and the dispatcher; a `Submit` with its journal and `resume` takes it up again.

    Attributes:
        steps: Steps in its journal.
        wall_left_s: What is left of its wall limit, for that `Submit`; None where it has none.
    """

    job_id: str
    steps: int
    wall_left_s: float | None


class Ended(_Message, tag="ended"):
    """The job is over. `value` is in the encoding of `values`; `backends` have run its steps, in this order."""

    job_id: str
    state: JobState
    stop_reason: StopReason
    value: bytes
    steps: int
    shots: int
    timing: Timing
    error: ErrorData | None
    isolation: str
    backends: list[str] = []


ToDispatcher: TypeAlias = Submit | Cancel | Pause
FromDispatcher: TypeAlias = Open | Unavailable | Progress | Log | Restarted | Paused | Ended
