"""What befalls a job beside its steps: its user, the clock, and the loss of what it depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from hybrid_runtime.dispatcher import words
from hybrid_runtime.dispatcher.actions import Action, Again, Dump, Interrupt, Kill, Move, Pause, Restart, Tell
from hybrid_runtime.dispatcher.books import NEVER, NIL, Books
from hybrid_runtime.dispatcher.divergence import divergence
from hybrid_runtime.dispatcher.output import struck_from_outside
from hybrid_runtime.dispatcher.recovery import Answer, Remedy, Trouble
from hybrid_runtime.dispatcher.surveying import WORKER_LOST
from hybrid_runtime.errors import CircuitRejected, ErrorData, HybridRuntimeError, JournalError, ProtocolError, as_data
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.messages import Diverged, Failure, Moved, Refused, derive_seed

if TYPE_CHECKING:
    from hybrid_runtime.dispatcher.actions import Run
    from hybrid_runtime.protocol.messages import Capabilities

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

    def _on_diverged(self, message: Diverged, now: float) -> list[Action]:
        """The algorithm, taken up, goes another way than before."""
        recorder = self._recorder
        if recorder is None:
            return self.on_violation(ProtocolError("the worker replays what was never recorded"), now)
        error = divergence(message, recorder.program)
        if not recorder.live or self.stopping is not None:
            return [Kill(), *self._end(JobState.FAILED, NIL, error, now)]
        if not 0 <= message.position < recorder.answers:
            return self.on_violation(ProtocolError("the worker diverges where nothing is recorded"), now)
        try:
            recorder.branched(message.position)
        except JournalError as lost:
            self._lose_journal(lost)
            return [Kill(), *self._end(JobState.FAILED, NIL, as_data(lost), now)]
        # Another worker, which is given the steps before only, rather than this one: what was counted and told of
        # those after is taken back with it.
        return [
            Kill(),
            Restart(f"{error.text}\nThose after step {message.number - 1} do not count any more", "diverged"),
        ]

    def on_lost(self, status: int, fault: tuple[str, str] | None, now: float) -> list[Action]:
        """The worker's process has ended without having said how its job went.

        `fault` is the user's line and the traceback of a crash in compiled code, where they are known.
        """
        if self._killed_for is not None:
            state = JobState.CANCELLED if self._killed_for.family == "JobCancelled" else JobState.FAILED
            return self._end(state, NIL, words.located(self._killed_for, fault), now)
        error = words.lost(status, fault)
        if self._may_restart(status):
            return [Restart(error.text, WORKER_LOST)]
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

    def on_failure(self, message: Failure, now: float, *, held: bool = False, elsewhere: bool = False) -> list[Action]:
        """The step's circuits could not be run.

        Args:
            message: What the quantum runtime says.
            now: The time.
            held: Whether the backend was calibrating.
            elsewhere: Whether there is another backend for this job.
        """
        if not self._waiting:
            return []
        if message.error.family == "CircuitRejected":
            self._waiting = False
            self.watch.turned_down(now)
            return self._refused(message.error, now)
        draw = derive_seed(crc32(self.job_id.encode()), self.number + self._trouble.attempts) / (1 << 31)
        trouble = self._troubled()
        answer = trouble.failed(transient=message.transient, held=held, elsewhere=elsewhere, draw=draw)
        return self._remedy(answer, message.error, now)

    def on_crash(self, error: ErrorData, now: float, *, elsewhere: bool = False) -> list[Action]:
        """The quantum runtime has ended while it ran the step; it is started again."""
        return self._remedy(self._troubled().crashed(elsewhere=elsewhere), error, now) if self._waiting else []

    def _troubled(self) -> Trouble:
        if self._trouble.step != self.number:
            self._trouble = Trouble(self.number)
        return self._trouble

    def _remedy(self, answer: Answer, error: ErrorData, now: float) -> list[Action]:
        if answer.remedy is Remedy.GIVE_UP or (self.stopping is not None and answer.remedy is Remedy.ELSEWHERE):
            self._waiting = False
            self.watch.turned_down(now)
            return self._backend_lost(words.tried(error, self._trouble.attempts), now)
        if self.pausing and self.stopping is None:
            return [Pause()]  # it asks again when it is taken up
        if self.stopping is not None:
            self._waiting = False
            self.watch.turned_down(now)
            return self._answer_stop(self.stopping, now)
        if answer.remedy is Remedy.ELSEWHERE:
            return [Move(error)]
        if not answer.wait_s:
            return [Again()]
        if self._trouble.attempts > 1:
            self.notes.take([], [f"step {self.number} failed ({error.text}); it is tried again"])
        self._again_at = now + answer.wait_s
        self.deadline = min(self.deadline, self._again_at)
        return []

    def on_moved(self, backend: Capabilities, run: Run | None, now: float) -> list[Action]:
        """Another backend runs the job from now on, beginning with this step if one is under way."""
        self._trouble = Trouble(self.number)
        self._again_at = NEVER
        try:
            self.programs.move(backend, run.calls if run is not None else ())
            refused = None
        except CircuitRejected as error:
            refused = as_data(error)
        self.backends.append(backend.name)
        self.notes.take([], [f"from step {self.number + (run is None)} on, circuits run on backend {backend.name}"])
        try:
            if self._recorder is not None:
                self._recorder.moved(backend)
        except JournalError as error:
            self._lose_journal(error)
            return self._interrupt(StopReason.ERROR, now)
        if refused is None or not self._waiting:
            return [Tell(Moved(backend))]
        self._waiting = False
        self.watch.turned_down(now)
        return [Tell(Moved(backend)), *self._refused(refused, now)]

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
        """The quantum runtime is gone for good, and there is no other."""
        if not self._waiting:
            if self.stopping is not None or self.state is JobState.FINALIZING:
                return []  # it needs the backend no more; if it asks all the same, it is told then
            self._error = self._error or error
            return self._interrupt(StopReason.ERROR, now)
        self._waiting = False
        self._again_at = NEVER
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
        wall = self.usage.wall_deadline
        if self._again_at <= now < wall:
            self._again_at = NEVER
            self.deadline = wall
            return [Again()]
        if self._killed_for is not None:
            self.deadline = float("inf")  # its exit is what ends the job
            return [Kill()]
        if self.stopping is not None and not self._stop_sent and not self._waiting and not self._finalize_begun:
            return self._signal_stop(self.stopping, now)  # it was let through its past
        if self.stopping is not None or (self.state is JobState.FINALIZING and not self._waiting):
            return self._give_up(now)
        return self._interrupt(StopReason.WALL if wall is not None and now >= wall else StopReason.THINK, now)

    def _interrupt(self, reason: StopReason, now: float) -> list[Action]:
        if self.state is JobState.FINALIZING and not self._waiting:
            return []  # it is ending already, within its time for that
        self.stopping = reason
        self.deadline = now + self.limits.finalize_s
        if self._again_at != NEVER:
            # Its step is not under way, and is not tried again.
            self._again_at = NEVER
            self._waiting = False
            self.watch.turned_down(now)
            return self._answer_stop(reason, now)
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
