"""What a job does next: its state machine, without any input or output.

Every method takes what happened and the present time, and returns what to do about it. The loop does it.

::

    STARTING ──first step──▶ RUNNING ──stop, Finalizing──▶ FINALIZING ──▶ COMPLETED | FAILED | CANCELLED
        └───────────── a failure, a kill, a lost worker ───────────────────────┘

While `self.stopping` is set, every step is answered by `Stop`, and `self.deadline` is when patience ends. What
befalls a job beside its steps is in `disturbances`, what is known of it in `books`.
"""

from __future__ import annotations

from hybrid_runtime.dispatcher import words
from hybrid_runtime.dispatcher.actions import Action, Pause, ReadAhead, Run, Tell
from hybrid_runtime.dispatcher.books import NIL
from hybrid_runtime.dispatcher.disturbances import Disturbances
from hybrid_runtime.dispatcher.notes import presentable
from hybrid_runtime.errors import CircuitRejected, JournalError, ProtocolError, as_data
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.messages import (
    Diverged,
    Drawn,
    Executed,
    Failed,
    Finalizing,
    Finished,
    FromWorker,
    More,
    Note,
    Ready,
    Results,
    Step,
)
from hybrid_runtime.values import MAX_VALUE_BYTES


class Machine(Disturbances):
    """One job from the moment its bundle is handed to a worker: its steps, from asking to answer."""

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
            if kind is Drawn and self._recall is None and not self._waiting:
                if self._recorder is not None:
                    self._recorder.drawn(message.values)  # type: ignore[union-attr]
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
            return self._on_diverged(message, now)  # type: ignore[arg-type]
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
            recorder = self._recorder
            if step.programs:
                programs.define(step)
                if recorder is not None:
                    recorder.define(step.programs)
            if recorder is not None:
                recorder.asked(step)
                if step.forget:
                    recorder.forget(step.forget)
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
        self.deadline = self.usage.wall_deadline
        define, forget = programs.take_changes()
        return [Run(calls, define, forget)]

    def _on_more(self, now: float) -> list[Action]:
        """The worker replays, and has used up the recorded steps that it was given."""
        if self._recall is None or self._waiting:
            return self.on_violation(ProtocolError("the worker asked for recorded steps out of turn"), now)
        self.watch.requested(now)
        self.watch.turned_down(now)
        if self._stop_sent:
            return []  # it reads the Stop that it was sent as its answer
        # While stopping it is given its past all the same: it would otherwise finalize without.
        try:
            replay = self._recall.batch()
        except JournalError as error:
            self._lose_journal(error)
            return self._answer_stop(StopReason.ERROR, now)
        if replay.last:
            self._recall = None
            self.number = self._recalled = self.usage.steps
        if replay.requests and self.state is JobState.STARTING:
            self._move(JobState.RUNNING)
        self._think_from(now)
        return [Tell(replay)] if replay.last else [Tell(replay), ReadAhead()]

    def read_ahead(self) -> None:
        """Do what `ReadAhead` asks for."""
        if self._recall is not None:
            self._recall.read_ahead()

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
            if self.pausing and self.stopping is None:
                return [Pause()]
        self.usage.answered(message.shots, message.duration_s)
        self.watch.quantum_s += message.duration_s
        self.watch.answered(now)
        self._think_from(now)
        # Results that are here are always delivered, also while stopping: the next step is answered by Stop.
        return [Tell(Results(self.number, message.items))]
