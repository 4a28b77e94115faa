"""One job as the loop keeps it: its machine, its worker, and what the client has not been told yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher.books import NEVER, NIL
from hybrid_runtime.dispatcher.machine import Machine
from hybrid_runtime.dispatcher.output import Output
from hybrid_runtime.dispatcher.programs import Programs
from hybrid_runtime.dispatcher.recorder import Recorder
from hybrid_runtime.errors import ErrorData, JournalError
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.control import Ended, Log, Progress, Submit
from hybrid_runtime.protocol.messages import Capabilities, Load
from hybrid_runtime.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.dispatcher.actions import Run
    from hybrid_runtime.dispatcher.backend import Backend
    from hybrid_runtime.dispatcher.link import Link
    from hybrid_runtime.dispatcher.ports import WorkerPort
    from hybrid_runtime.dispatcher.spares import Spares

REPORT_EVERY_S = 0.1


class Job:
    """A job that has a worker."""

    def __init__(
        self,
        submit: Submit,
        worker: WorkerPort,
        link: Link,
        backend: Backend,
        recorder: Recorder | None,
        program_number: Callable[[], int],
        now: float,
    ) -> None:
        self.submit = submit
        self.job_id = submit.job_id
        self.seed = submit.seed
        self.worker = worker
        self.link = link
        assert backend.capabilities is not None
        self.backend = backend
        # The step that failed on a backend and is to be run again.
        self.failed: Run | None = None
        self.recorder = recorder
        programs = Programs(backend.capabilities, program_number)
        self.machine = Machine(submit.job_id, submit.limits, programs, now, recorder=self.recorder)
        self.outputs = (Output("stdout", worker.stdout), Output("stderr", worker.stderr))
        self.timer = float("inf")
        self.report_at = now + REPORT_EVERY_S
        self.report_timed = False
        self.told_state = JobState.STARTING
        self.unheard_of = True

    def again(self, why: str, now: float) -> Submit:
        """What begins this job anew in another worker."""
        limits = msgspec.structs.replace(self.submit.limits, wall_s=self.wall_left_s(now))
        return msgspec.structs.replace(self.submit, limits=limits, resume=why)

    def wall_left_s(self, now: float) -> float | None:
        """What is left of its wall limit; None where it has none. A limit cannot be 0."""
        deadline = self.machine.usage.wall_deadline
        return None if deadline == NEVER else max(deadline - now, 1e-3)

    def close(self) -> None:
        """Let go of the worker, which is dead or about to be, and of the journal."""
        self.worker.close()
        if self.recorder is not None:
            self.recorder.close()

    @staticmethod
    def never_started(submit: Submit, why: str | ErrorData) -> Ended:
        """The end of a job that never had a worker: cancelled, or with an error."""
        if isinstance(why, ErrorData):
            state, reason, error = JobState.FAILED, StopReason.ERROR, why
        else:
            state, reason = JobState.CANCELLED, StopReason.CANCELLED
            error = ErrorData(kind="JobCancelled", text=why, family="JobCancelled")
        return Ended(submit.job_id, state, reason, NIL, 0, 0, Timing(), error, "")

    def news(self, now: float) -> list[Progress | Log]:
        """What has happened since the last report."""
        self.report_at = now + REPORT_EVERY_S
        machine = self.machine
        self.told_state = machine.state
        self.unheard_of = False
        news: list[Progress | Log] = []
        metrics, lines = machine.notes.fresh()
        if lines:
            news.append(Log(self.job_id, "log", lines))
        usage = machine.usage
        news.append(Progress(self.job_id, machine.state, usage.steps, usage.shots, metrics))
        return news


def load_of(submit: Submit, backend: Capabilities, recorder: Recorder | None = None) -> Load:
    """The message that gives a job to its worker. One with a past, which its recorder knows, sees the backend that it
    began on.
    """
    replay, optimizers = False, []
    if recorder is not None:
        backend, replay, optimizers = recorder.began_on, recorder.past > 0, recorder.optimizers
    return Load(
        submit.job_id,
        submit.bundle,
        submit.parameters,
        submit.seed,
        submit.shots,
        submit.limits,
        backend,
        replay,
        optimizers,
    )


def recorder_of(submit: Submit, backend: Capabilities, spares: Spares) -> Recorder | None:
    """What keeps a job's journal; None for a job without.

    Raises:
        JournalError: its journal cannot be used; see `Recorder`.
    """
    if not submit.journal:
        return None
    try:
        return Recorder(submit, backend, spares)
    except JournalError:
        if submit.private and not submit.resume:
            return None  # nobody asked for it, and the job can do without
        raise
