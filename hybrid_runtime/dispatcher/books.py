"""A job's own books: its state, what it has used, what it reported, how long it is waited for, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher.actions import Action, End, Tell
from hybrid_runtime.dispatcher.notes import Notes
from hybrid_runtime.dispatcher.recall import Recall
from hybrid_runtime.dispatcher.recovery import Trouble
from hybrid_runtime.dispatcher.stop import Usage
from hybrid_runtime.errors import ErrorData, JournalError, as_data
from hybrid_runtime.job import NEXT, JobState
from hybrid_runtime.limits import Limits, StopReason
from hybrid_runtime.protocol.control import Ended
from hybrid_runtime.protocol.messages import Stop
from hybrid_runtime.timing import Stopwatch

if TYPE_CHECKING:
    from hybrid_runtime.dispatcher.programs import Programs
    from hybrid_runtime.dispatcher.recorder import Recorder

NIL = b"\xc0"
NEVER = float("inf")


class Books:
    """What is known of one job from the moment its bundle is handed to a worker.

    Attributes:
        number: The newest step that was sent to the quantum runtime or is in the journal.
        stopping: Why every further step is answered by `Stop`; None while none is.
        pausing: Whether the job leaves its worker as soon as the step under way is answered.
        backends: Names of those that have run its steps, in order.
        deadline: When patience with the job ends.
    """

    def __init__(
        self, job_id: str, limits: Limits, programs: Programs, now: float, *, recorder: Recorder | None = None
    ) -> None:
        self.job_id = job_id
        self.limits = limits
        self.programs = programs
        self.state = JobState.STARTING
        self.usage = Usage(limits, now)
        self.watch = Stopwatch(now)
        self.stopping: StopReason | None = None
        self.pausing = False
        self.backends = [programs.backend.name]
        self._trouble = Trouble(0)
        # When the step that failed is tried again.
        self._again_at = NEVER
        self.isolation = ""
        self.notes = Notes()
        self.number = 0
        self._recorder = recorder
        self._recall: Recall | None = None
        if recorder is not None and recorder.past:
            kept, moved_to = recorder.kept, recorder.moved_to
            past = recorder.path, recorder.past
            self._recall = Recall(*past, self.usage, self._remember, kept=kept, moved_to=moved_to)
        # Steps that the worker was given from the journal.
        self._recalled = 0
        self._waiting = False
        self._stop_sent = False
        self._finalize_begun = False
        self._error: ErrorData | None = None
        self._killed_for: ErrorData | None = None
        self.deadline = now
        self._think_from(now)

    @property
    def waiting(self) -> bool:
        """Whether a step is with the quantum runtime, or to be given to it again."""
        return self._waiting

    @property
    def _replays(self) -> bool:
        """Whether the algorithm may still be on its way through its past."""
        return self._recall is not None or 0 < self._recalled == self.number

    def _think_from(self, now: float) -> None:
        """The algorithm's turn begins."""
        if self.stopping is not None:
            # The results of the last step came after the stop: the algorithm has its time for ending from now.
            self.deadline = now + self.limits.finalize_s
            return
        think = self.limits.finalize_s if self._finalize_begun else self.limits.think_s
        deadline = NEVER if think is None else now + think
        wall = self.usage.wall_deadline
        self.deadline = deadline if deadline < wall else wall

    def _take_notes(self, metrics: list[tuple[str, float]], logs: list[str]) -> None:
        if self._recorder is not None:
            self._recorder.noted(metrics, logs)
        self._remember(metrics, logs)

    def _take_last_notes(self, metrics: list[tuple[str, float]], logs: list[str]) -> None:
        if self._recorder is not None:
            self._recorder.noted_last(metrics, logs)
        self._remember(metrics, logs)

    def _remember(self, metrics: list[tuple[str, float]], logs: list[str]) -> None:
        self.notes.take(metrics, logs)
        if metrics:
            self.usage.metrics(metrics)

    def _move(self, state: JobState) -> None:
        if state is not self.state:
            assert state in NEXT[self.state], f"{self.state} cannot become {state}"
            self.state = state

    def _end(self, state: JobState, value: bytes, error: ErrorData | None, now: float) -> list[Action]:
        self._move(state)
        self._waiting = False
        last_metrics = self.notes.last
        reason = self.stopping or (StopReason.ERROR if error else StopReason.DONE)
        if value == NIL and error is not None and last_metrics:
            value = msgspec.msgpack.encode(last_metrics)
        used, timing = self.usage, self.watch.finished(now)
        report = Ended(
            self.job_id, state, reason, value, used.steps, used.shots, timing, error, self.isolation, self.backends
        )
        if self._recorder is not None:
            lacking = self._recorder.over(report)
            if lacking is not None:
                self.notes.take([], [f"the job's end is not in its journal: {lacking}"])
        return [End(report)]

    def _lose_journal(self, error: JournalError) -> None:
        """The journal cannot be written or read any more: the job is stopped with what is in it."""
        self._error = self._error or as_data(error)
        self._recorder = None

    def _answer_stop(self, reason: StopReason, now: float) -> list[Action]:
        self.stopping = self.stopping or reason
        self._move(JobState.FINALIZING)
        if self._stop_sent:
            return []  # the Stop that an interrupt sent is what the worker reads as its answer
        self._stop_sent = True
        self.deadline = now + self.limits.finalize_s
        return [Tell(Stop(self.stopping.value))]
