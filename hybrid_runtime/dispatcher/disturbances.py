"""What befalls a job beside its steps: its user, the clock, and the loss of what it depends on."""

from __future__ import annotations

from hybrid_runtime.dispatcher import words
from hybrid_runtime.dispatcher.actions import Action, Dump, Interrupt, Kill, Pause, Restart, Tell
from hybrid_runtime.dispatcher.books import NIL, Books
from hybrid_runtime.dispatcher.output import struck_from_outside
from hybrid_runtime.errors import ErrorData, HybridRuntimeError, JournalError
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.messages import Failure, Refused

# Time that a worker has to write where it is before it is killed; faulthandler needs about a millisecond.
DUMP_S = 0.05


class Disturbances(Books):
    """A job whose steps may fail, whose processes may be lost, and which its user or a limit may stop."""

    # ------------------------------------------------------------------ from the worker's process

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

    def _refusal(self, number: int, error: ErrorData) -> Tell:
        if self._recorder is not None:
            self._recorder.turned(number, error)
        return Tell(Refused(number, error))

    def on_failure(self, message: Failure, now: float) -> list[Action]:
        """The step's circuits could not be run."""
        if not self._waiting:
            return []
        self._waiting = False
        self.watch.turned_down(now)
        if message.error.family == "CircuitRejected":
            return self._refused(message.error, now)
        return self._backend_lost(message.error, now)

    def _refused(self, error: ErrorData, now: float) -> list[Action]:
        """The backend cannot run the step's circuits as they are: the algorithm may handle that."""
        self._think_from(now)
        self.number -= 1
        try:
            refusal = self._refusal(self.number + 1, error)
        except JournalError as lost:
            self._lose_journal(lost)
            return self._answer_stop(StopReason.ERROR, now)
        return [Pause()] if self.pausing and self.stopping is None else [refusal]

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
        if self.pausing and self.stopping is None:
            return [Pause()]  # it asks again when it is taken up
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

    def on_pause(self, in_flight: bool, now: float) -> list[Action]:
        """The job is to make room, and to be taken up again later: after the step that is `in_flight`, else at once."""
        if self.stopping is not None or self.state is JobState.FINALIZING or self._killed_for is not None:
            return []  # it is ending, and will have made room soon
        recorder = self._recorder
        if recorder is None or recorder.forgone:
            self.notes.take([], ["this job is not paused: it has no journal that it could go on from"])
            return []
        recorder.steered("pause")
        if not in_flight:
            return [Pause()]
        self.pausing = True
        self._move(JobState.PAUSING)
        return []

    def on_deadline(self, now: float) -> list[Action]:
        """`self.deadline` has passed."""
        if now < self.deadline:
            return []
        if self._killed_for is not None:
            self.deadline = float("inf")  # its exit is what ends the job
            return [Kill()]
        if self.stopping is not None and not self._stop_sent and not self._waiting and not self._finalize_begun:
            return self._signal_stop(self.stopping, now)  # it was let through its past
        if self.stopping is not None or (self.state is JobState.FINALIZING and not self._waiting):
            return self._give_up(now)
        wall = self.usage.wall_deadline
        return self._interrupt(StopReason.WALL if wall is not None and now >= wall else StopReason.THINK, now)

    def _interrupt(self, reason: StopReason, now: float) -> list[Action]:
        if self.state is JobState.FINALIZING and not self._waiting:
            return []  # it is ending already, within its time for that
        self.stopping = reason
        self.deadline = now + self.limits.finalize_s
        # A worker that waits for results is told by the answer to its next step, as is one that replays: it is to have
        # its past. One that computes is told by a signal.
        if self._waiting or (self._replays and reason is not StopReason.THINK):
            return []
        return self._signal_stop(reason, now)

    def _signal_stop(self, reason: StopReason, now: float) -> list[Action]:
        self.deadline = now + self.limits.finalize_s
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
