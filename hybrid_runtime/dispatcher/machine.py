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

from hybrid_runtime.dispatcher.actions import Action, Dump, End, Interrupt, Kill, Run, Tell
from hybrid_runtime.dispatcher.notes import Notes, presentable
from hybrid_runtime.dispatcher.output import how_it_died
from hybrid_runtime.dispatcher.stop import Usage
from hybrid_runtime.errors import CircuitRejected, ErrorData, HybridRuntimeError, ProtocolError, as_data
from hybrid_runtime.job import NEXT, JobState
from hybrid_runtime.limits import Limits, StopReason
from hybrid_runtime.protocol.control import Ended
from hybrid_runtime.protocol.messages import (
    Executed,
    Failed,
    Failure,
    Finalizing,
    Finished,
    FromWorker,
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

NIL = b"\xc0"
# Time that a worker has to write where it is before it is killed; faulthandler needs about a millisecond.
DUMP_S = 0.05


class Machine:
    """One job from the moment its bundle is handed to a worker."""

    def __init__(self, job_id: str, limits: Limits, programs: Programs, now: float) -> None:
        self.job_id = job_id
        self.limits = limits
        self.programs = programs
        self.state = JobState.STARTING
        self.usage = Usage(limits, now)
        self.watch = Stopwatch(now)
        self.stopping: StopReason | None = None
        self.isolation = ""
        self.notes = Notes()
        self._number = 0
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
        if kind is Step:
            return self._on_step(message, now)  # type: ignore[arg-type]
        if kind is Note:
            self._take_notes(message.metrics, message.logs)  # type: ignore[union-attr]
            return []
        if kind is Finished:
            return self._on_finished(message, now)  # type: ignore[arg-type]
        if kind is Failed:
            return self._on_failed(message, now)  # type: ignore[arg-type]
        if kind is Finalizing and not self._finalize_begun:
            self._finalize_begun = True
            self._move(JobState.FINALIZING)
            self.deadline = now + self.limits.finalize_s
            return []
        if kind is Ready and not self.isolation:
            self.isolation = message.isolation  # type: ignore[union-attr]
            return []
        return self.on_violation(ProtocolError(f"the worker sent {kind.__name__} out of turn"), now)

    def _on_step(self, step: Step, now: float) -> list[Action]:
        if self._waiting or step.number != self._number + 1:
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
            calls, shots = programs.calls(step)
            if step.forget:
                programs.forget(step.forget)
        except CircuitRejected as error:
            programs.forget(step.forget)
            self.watch.turned_down(now)
            if self.stopping is not None:
                return self._answer_stop(self.stopping, now)
            self._think_from(now)
            return [Tell(Refused(step.number, as_data(error)))]
        except ProtocolError as error:
            return self.on_violation(error, now)
        reason = self.stopping or self.usage.verdict(shots, now)
        if reason is not None:
            self.watch.turned_down(now)
            return self._answer_stop(reason, now)
        self._number += 1
        self._waiting = True
        self.deadline = float("inf") if self.usage.wall_deadline is None else self.usage.wall_deadline
        define, forget = programs.take_changes()
        return [Run(calls, define, forget)]

    def _answer_stop(self, reason: StopReason, now: float) -> list[Action]:
        self.stopping = self.stopping or reason
        self._move(JobState.FINALIZING)
        if self._stop_sent:
            return []  # the Stop that an interrupt sent is what the worker reads as its answer
        self._stop_sent = True
        self.deadline = now + self.limits.finalize_s
        return [Tell(Stop(self.stopping.value))]

    def _on_finished(self, message: Finished, now: float) -> list[Action]:
        self._take_notes(message.metrics, message.logs)
        if len(message.value) > MAX_VALUE_BYTES:
            return self.on_violation(ProtocolError("the worker sent a value larger than any it may send"), now)
        if self._error is not None:
            return self._end(JobState.FAILED, message.value, self._error, now)
        return self._end(JobState.COMPLETED, message.value, None, now)

    def _on_failed(self, message: Failed, now: float) -> list[Action]:
        self._take_notes(message.metrics, message.logs)
        error = self._error or presentable(message.error)
        value = message.value if len(message.value) <= MAX_VALUE_BYTES else NIL
        if self.stopping is not None and error.family == "AlgorithmTimeout":
            error = self._stopped_early(error)
            if self.stopping is StopReason.CANCELLED:
                return self._end(JobState.CANCELLED, value, error, now)
        return self._end(JobState.FAILED, value, error, now)

    def _stopped_early(self, error: ErrorData) -> ErrorData:
        """The algorithm was stopped before its first step: say by what, keeping the line it was at."""
        where = error.text[error.text.rfind(" (") :] if error.text.endswith(")") else ""
        if self.stopping is StopReason.CANCELLED:
            return ErrorData(
                kind="JobCancelled",
                text=f"cancelled before its first step{where}",
                traceback=error.traceback,
                family="JobCancelled",
            )
        text = f"{self._limit_text()} was reached before the algorithm's first step{where}"
        return ErrorData(kind="AlgorithmTimeout", text=text, traceback=error.traceback, family="AlgorithmTimeout")

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
        where, trace = (f" ({fault[0]})", fault[1]) if fault else ("", None)
        if self._killed_for is not None:
            error = self._killed_for
            if trace and error.traceback is None:
                error = msgspec.structs.replace(error, text=error.text + where, traceback=trace)
            state = JobState.CANCELLED if self._killed_for.family == "JobCancelled" else JobState.FAILED
            return self._end(state, NIL, error, now)
        text = f"the algorithm's process {how_it_died(status)}{where}"
        error = ErrorData(kind="WorkerLost", text=text, traceback=trace, family="WorkerLost")
        return self._end(JobState.FAILED, NIL, self._error or error, now)

    # ------------------------------------------------------------------ from the quantum runtime

    def on_executed(self, message: Executed, now: float) -> list[Action]:
        """The step's circuits were run."""
        if not self._waiting:
            return []  # the job was stopped meanwhile and did not wait for this
        self._waiting = False
        self.usage.answered(message.shots, message.duration_s)
        self.watch.quantum_s += message.duration_s
        self.watch.answered(now)
        self._think_from(now)
        # Results that are here are always delivered, also while stopping: the next step is answered by Stop.
        return [Tell(Results(self._number, message.items))]

    def on_failure(self, message: Failure, now: float) -> list[Action]:
        """The step's circuits could not be run."""
        if not self._waiting:
            return []
        self._waiting = False
        self.watch.turned_down(now)
        if message.error.family == "CircuitRejected":
            self._think_from(now)
            self._number -= 1
            return [Tell(Refused(self._number + 1, message.error))]
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
        seconds = f"{self.limits.finalize_s:g} s"
        if self.stopping is None:
            text = f"finalize did not return within {seconds}"
        elif self.stopping is StopReason.CANCELLED:
            text = f"the algorithm did not stop within {seconds} of being cancelled, and was killed"
        else:
            text = f"{self._limit_text()} was reached, and the algorithm did not stop within {seconds}: it was killed"
        family = "JobCancelled" if self.stopping is StopReason.CANCELLED else "AlgorithmTimeout"
        self._killed_for = self._error or ErrorData(kind=family, text=text, family=family)
        self.deadline = now + DUMP_S
        return [Dump()]

    def _limit_text(self) -> str:
        limits = self.limits
        shown = {
            StopReason.WALL: f"its wall limit of {limits.wall_s} s",
            StopReason.THINK: f"its think limit of {limits.think_s} s a step",
        }
        return shown.get(self.stopping or StopReason.ERROR, f"a limit ({self.stopping})")

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
        report = Ended(
            self.job_id,
            state,
            reason,
            value,
            self.usage.steps,
            self.usage.shots,
            self.watch.finished(now),
            error,
            self.isolation,
        )
        return [End(report)]
