"""What a job does next: its state machine, without any input or output.

Every method takes what happened and the present time, and returns what to do about it. The loop does it.

::

    STARTING ──first step──▶ RUNNING ──stop, Finalizing──▶ FINALIZING ──▶ COMPLETED | FAILED | CANCELLED
        └───────────── a failure, a kill, a lost worker ───────────────────────┘

While `self.stopping` is set, every step is answered by `Stop`, and `self.deadline` is when patience ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher import words
from hybrid_runtime.dispatcher.actions import Action, Dump, End, Interrupt, Kill, Restart, Run, Tell
from hybrid_runtime.dispatcher.notes import Notes, presentable
from hybrid_runtime.dispatcher.output import struck_from_outside
from hybrid_runtime.dispatcher.recall import Recall, divergence
from hybrid_runtime.dispatcher.stop import Usage
from hybrid_runtime.errors import CircuitRejected, ErrorData, HybridRuntimeError, JournalError, ProtocolError, as_data
from hybrid_runtime.job import NEXT, JobState
from hybrid_runtime.limits import Limits, StopReason
from hybrid_runtime.protocol.control import Ended
from hybrid_runtime.protocol.messages import (
    Diverged,
    Executed,
    Failed,
    Failure,
    Finalizing,
    Finished,
    FromWorker,
    More,
    Note,
    Ready,
    Refused,
    Results,
    Step,
    Stop,
)
from hybrid_runtime.timing import Stopwatch
from hybrid_runtime.values import MAX_VALUE_BYTES

if TYPE_CHECKING:
    from hybrid_runtime.dispatcher.programs import Programs
    from hybrid_runtime.dispatcher.recorder import Recorder

NIL = b"\xc0"
# Time that a worker has to write where it is before it is killed; faulthandler needs about a millisecond.
DUMP_S = 0.05


class Machine:
    """One job from the moment its bundle is handed to a worker.

    Attributes:
        number: The newest step that was sent to the quantum runtime or is in the journal.
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
        self.isolation = ""
        self.notes = Notes()
        self.number = 0
        self._recorder = recorder
        self._recall: Recall | None = None
        if recorder is not None and recorder.past:
            self._recall = Recall(recorder.path, recorder.past, self.usage, self._remember)
        self._waiting = False
        self._stop_sent = False
        self._finalize_begun = False
        self._error: ErrorData | None = None
        self._killed_for: ErrorData | None = None
        self.deadline = now
        self._think_from(now)

    # ------------------------------------------------------------------ from the worker

    def on_message(self, message: FromWorker, now: float) -> list[Action]:
        """A message came from the worker."""
        kind = type(message)
        try:
            if kind is Step:
                return self._on_step(message, now)  # type: ignore[arg-type]
            if kind is Note and self._recall is None:
                self._take_notes(message.metrics, message.logs)  # type: ignore[union-attr]
                return []
        except JournalError as error:
            self._lose_journal(error)
            return self._answer_stop(StopReason.ERROR, now) if kind is Step else self._interrupt(StopReason.ERROR, now)
        if kind is More:
            return self._on_more(now)
        if kind is Finished:
            return self._on_finished(message, now)  # type: ignore[arg-type]
        if kind is Failed:
            return self._on_failed(message, now)  # type: ignore[arg-type]
        if kind is Finalizing and not self._finalize_begun:
            self._finalize_begun = True
            self._move(JobState.FINALIZING)
            self.deadline = now + self.limits.finalize_s
            return []
        if kind is Diverged:
            return [Kill(), *self._end(JobState.FAILED, NIL, divergence(message), now)]  # type: ignore[arg-type]
        if kind is Ready and not self.isolation:
            self.isolation = message.isolation  # type: ignore[union-attr]
            return []
        return self.on_violation(ProtocolError(f"the worker sent {kind.__name__} out of turn"), now)

    def _on_step(self, step: Step, now: float) -> list[Action]:
        if self._waiting or step.number != self.number + 1 or self._recall is not None:
            return self.on_violation(ProtocolError("the worker sent a step out of turn"), now)
        self.watch.requested(now)
        if self.state is JobState.STARTING:
            self._move(JobState.RUNNING)
        if step.metrics or step.logs:
            self._take_notes(step.metrics, step.logs)
        programs = self.programs
        try:
            if step.programs:
                programs.define(step)
            if self._recorder is not None:
                self._recorder.define(step.programs)
                self._recorder.asked(step)
                self._recorder.forget(step.forget)
            calls, shots = programs.calls(step)
            if step.forget:
                programs.forget(step.forget)
        except CircuitRejected as error:
            programs.forget(step.forget)
            self.watch.turned_down(now)
            if self.stopping is not None:
                return self._answer_stop(self.stopping, now)
            self._think_from(now)
            return [self._refusal(step.number, as_data(error))]
        except ProtocolError as error:
            return self.on_violation(error, now)
        reason = self.stopping or self.usage.verdict(shots, now)
        if reason is not None:
            self.watch.turned_down(now)
            return self._answer_stop(reason, now)
        self.number += 1
        self._waiting = True
        self.deadline = float("inf") if self.usage.wall_deadline is None else self.usage.wall_deadline
        define, forget = programs.take_changes()
        return [Run(calls, define, forget)]

    def _refusal(self, number: int, error: ErrorData) -> Tell:
        if self._recorder is not None:
            self._recorder.turned(number, error)
        return Tell(Refused(number, error))

    def _on_more(self, now: float) -> list[Action]:
        """The worker replays, and has used up the recorded steps that it was given."""
        if self._recall is None or self._waiting:
            return self.on_violation(ProtocolError("the worker asked for recorded steps out of turn"), now)
        self.watch.requested(now)
        self.watch.turned_down(now)
        if self.stopping is not None:
            return self._answer_stop(self.stopping, now)
        try:
            replay = self._recall.batch()
        except JournalError as error:
            self._lose_journal(error)
            return self._answer_stop(StopReason.ERROR, now)
        if replay.last:
            self._recall = None
            self.number = self.usage.steps
        if replay.steps and self.state is JobState.STARTING:
            self._move(JobState.RUNNING)
        self._think_from(now)
        return [Tell(replay)]

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

    def _on_finished(self, message: Finished, now: float) -> list[Action]:
        self._take_last_notes(message.metrics, message.logs)
        if len(message.value) > MAX_VALUE_BYTES:
            return self.on_violation(ProtocolError("the worker sent a value larger than any it may send"), now)
        if self._error is not None:
            return self._end(JobState.FAILED, message.value, self._error, now)
        return self._end(JobState.COMPLETED, message.value, None, now)

    def _on_failed(self, message: Failed, now: float) -> list[Action]:
        self._take_last_notes(message.metrics, message.logs)
        error = self._error or presentable(message.error)
        value = message.value if len(message.value) <= MAX_VALUE_BYTES else NIL
        if self.stopping is not None and error.family == "AlgorithmTimeout":
            error = words.stopped_early(error, self.stopping, self.limits)
            if self.stopping is StopReason.CANCELLED:
                return self._end(JobState.CANCELLED, value, error, now)
        return self._end(JobState.FAILED, value, error, now)

    def on_violation(self, error: HybridRuntimeError, now: float) -> list[Action]:
        """The worker broke the protocol: it is not to be trusted with another message."""
        data = ErrorData(
            kind="ProtocolError", text=f"the algorithm's process misbehaved: {error}", family="UserCodeError"
        )
        self._killed_for = self._killed_for or data
        return [Kill(), *self._end(JobState.FAILED, NIL, self._killed_for, now)]

    def on_lost(self, status: int, fault: tuple[str, str] | None, now: float) -> list[Action]:
        """The worker's process has ended without having said how its job went.

        `fault` is the user's line and the traceback of a crash in compiled code, where they are known.
        """
        if self._killed_for is not None:
            state = JobState.CANCELLED if self._killed_for.family == "JobCancelled" else JobState.FAILED
            return self._end(state, NIL, words.located(self._killed_for, fault), now)
        error = words.lost(status, fault)
        if self._may_restart(status):
            return [Restart(error.text)]
        return self._end(JobState.FAILED, NIL, self._error or error, now)

    def _may_restart(self, status: int) -> bool:
        """Whether the job is to be replayed in a new worker: it has a journal, and did not end its worker itself."""
        recorder = self._recorder
        if recorder is None or self.stopping is not None or self._error is not None:
            return False
        return struck_from_outside(status) and recorder.may_replay

    # ------------------------------------------------------------------ from the quantum runtime

    def on_executed(self, message: Executed, now: float) -> list[Action]:
        """The step's circuits were run."""
        if not self._waiting:
            return []  # the job was stopped meanwhile and did not wait for this
        self._waiting = False
        if self._recorder is not None:
            try:
                self._recorder.stepped(self.number, message.items, message.shots, message.duration_s)
            except JournalError as error:
                self.watch.turned_down(now)
                self._lose_journal(error)
                return self._answer_stop(StopReason.ERROR, now)
        self.usage.answered(message.shots, message.duration_s)
        self.watch.quantum_s += message.duration_s
        self.watch.answered(now)
        self._think_from(now)
        # Results that are here are always delivered, also while stopping: the next step is answered by Stop.
        return [Tell(Results(self.number, message.items))]

    def on_failure(self, message: Failure, now: float) -> list[Action]:
        """The step's circuits could not be run."""
        if not self._waiting:
            return []
        self._waiting = False
        self.watch.turned_down(now)
        if message.error.family == "CircuitRejected":
            self._think_from(now)
            self.number -= 1
            try:
                return [self._refusal(self.number + 1, message.error)]
            except JournalError as error:
                self._lose_journal(error)
                return self._answer_stop(StopReason.ERROR, now)
        return self._backend_lost(message.error, now)

    def on_backend_lost(self, error: ErrorData, now: float) -> list[Action]:
        """The quantum runtime is gone."""
        if not self._waiting:
            if self.stopping is not None or self.state is JobState.FINALIZING:
                return []  # it needs the backend no more; if it asks all the same, it is told then
            self._error = self._error or error
            return self._interrupt(StopReason.ERROR, now)
        self._waiting = False
        self.watch.turned_down(now)
        return self._backend_lost(error, now)

    def on_runtime_lost(self, error: ErrorData, now: float) -> list[Action]:
        """The classical runtime is gone, and the worker with it."""
        return self._end(JobState.FAILED, NIL, self._error or error, now)

    def _backend_lost(self, error: ErrorData, now: float) -> list[Action]:
        self._error = self._error or error
        return self._answer_stop(StopReason.ERROR, now)

    # ------------------------------------------------------------------ from the user and the clock

    def on_cancel(self, kill: bool, now: float) -> list[Action]:
        """The user wants the job to stop: with `finalize`, or at once."""
        if self._recorder is not None:
            self._recorder.steered("kill" if kill else "cancel")
        if kill:
            self._killed_for = ErrorData(
                kind="JobCancelled", text="the job was killed by its user", family="JobCancelled"
            )
            self.stopping = StopReason.CANCELLED
            return [Kill()]
        if self.stopping is not None:
            return []
        return self._interrupt(StopReason.CANCELLED, now)

    def on_deadline(self, now: float) -> list[Action]:
        """`self.deadline` has passed."""
        if now < self.deadline:
            return []
        if self._killed_for is not None:
            self.deadline = float("inf")  # its exit is what ends the job
            return [Kill()]
        if self.stopping is not None or (self.state is JobState.FINALIZING and not self._waiting):
            return self._give_up(now)
        wall = self.usage.wall_deadline
        return self._interrupt(StopReason.WALL if wall is not None and now >= wall else StopReason.THINK, now)

    def _interrupt(self, reason: StopReason, now: float) -> list[Action]:
        if self.state is JobState.FINALIZING and not self._waiting:
            return []  # it is ending already, within its time for that
        self.stopping = reason
        self.deadline = now + self.limits.finalize_s
        # A worker that waits for results is told by the answer to its next step; one that computes, by a signal.
        if self._waiting:
            return []
        self._stop_sent = True
        return [Interrupt(reason)]

    def _give_up(self, now: float) -> list[Action]:
        if self._waiting:
            # It is the backend that has not come back: its answer, if it ever comes, is not waited for.
            self._waiting = False
            self.watch.turned_down(now)
            return self._answer_stop(self.stopping or StopReason.ERROR, now)
        self._killed_for = self._error or words.did_not_stop(self.stopping, self.limits)
        self.deadline = now + DUMP_S
        return [Dump()]

    # ------------------------------------------------------------------ the job's own books

    def _think_from(self, now: float) -> None:
        """The algorithm's turn begins."""
        if self.stopping is not None:
            # The results of the last step came after the stop: the algorithm has its time for ending from now.
            self.deadline = now + self.limits.finalize_s
            return
        think = self.limits.think_s
        if self._finalize_begun:
            think = self.limits.finalize_s
        deadline = float("inf") if think is None else now + think
        wall = self.usage.wall_deadline
        self.deadline = deadline if wall is None or deadline < wall else wall

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
        report = Ended(self.job_id, state, reason, value, used.steps, used.shots, timing, error, self.isolation)
        if self._recorder is not None:
            lacking = self._recorder.over(report)
            if lacking is not None:
                self.notes.take([], [f"the job's end is not in its journal: {lacking}"])
        return [End(report)]
