"""The dispatcher: one loop that steps every job between its worker and the quantum runtime.

::

    client ──Submit──▶ ┌──────────────┐ ──Load, Results──▶ worker (one a job)
    client ◀─Progress─ │  Dispatcher  │ ◀─Step, Finished── worker
                       │  (this loop) │ ──Execute────────▶ quantum runtime
                       └──────────────┘ ◀─Executed─────── quantum runtime

It is the loop of the paper's Appendix A, for many jobs at once and with a state machine for each
(`machine`): a message comes in, the job's machine says what to do, the loop does it and waits again.
Nothing here blocks but `epoll`.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.actions import (
    Action,
    Again,
    Dump,
    End,
    Interrupt,
    Kill,
    Move,
    Pause,
    ReadAhead,
    Restart,
    Run,
    Tell,
)
from hybrid_runtime.dispatcher.backend import EXECUTE_TIMEOUT_S, Backend
from hybrid_runtime.dispatcher.backends import OVERDUE, Backends
from hybrid_runtime.dispatcher.jobs import Job
from hybrid_runtime.dispatcher.upkeep import QUIET, REFILL
from hybrid_runtime.errors import ChannelClosed, HybridRuntimeError, ProtocolError
from hybrid_runtime.protocol.control import Cancel, Submit
from hybrid_runtime.protocol.messages import Executed, Failure, Stop, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.dispatcher.ports import ClassicalPort, QuantumPort
    from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

_now = time.perf_counter
# epoll counts milliseconds in a C int; waking up now and then for nothing costs nothing.
MOST_PATIENCE_S = 3600.0


class Dispatcher(Backends):
    """Serves one backend. `run` returns when the client's end of the control channel closes, or workers are lost.

    Attributes:
        failed: Whether `run` returned because the classical runtime was lost, and jobs with it.

    Args:
        control: Leads to the client.
        classical: Where workers come from.
        quantum: The backend's process, which runs already; then those of backends to which jobs go when it fails.
        execute_timeout_s: Time for one step on a backend.
    """

    def __init__(
        self,
        control: SeqPacketChannel,
        classical: ClassicalPort,
        quantum: Sequence[QuantumPort],
        *,
        execute_timeout_s: float = EXECUTE_TIMEOUT_S,
        patience_s: float = 0.0,
    ) -> None:
        super().__init__(control, classical, quantum, execute_timeout_s, patience_s)
        self._handlers[self._control.fd] = self._on_control
        self._open_backend(self._backends[0], start=False)

    def run(self) -> None:
        """Step jobs until the client is gone."""
        wait, handlers = self._watched.wait, self._handlers
        deadlines, reports = self._deadlines, self._reports.timers
        while self._open:
            now = _now()
            wake = deadlines.next if deadlines.next < reports.next else reports.next
            if wake <= now:
                self._expire(now)
                continue
            for fd, events in wait(min(wake - now, MOST_PATIENCE_S)):
                handler = handlers.get(fd)
                if handler is not None:  # None: an earlier event of this round ended the job
                    handler(events)
        for job in list(self._jobs.values()):
            job.worker.kill()
            self._release(job)
        self._spares.close()
        self._epoll.close()

    # ------------------------------------------------------------------ the client

    def _on_control(self, events: int) -> None:
        try:
            if events & select.EPOLLOUT:
                self._control.on_writable()
            data = self._control.channel.receive_nowait()
        except ChannelClosed:
            self._open = False
            return
        if data is None:
            return
        message = decode(self._from_client, data)
        if isinstance(message, Submit):
            if self._gone is not None:
                self._tell(Job.never_started(message, self._gone))
                return
            self._waiting.append(message)
            self._start_waiting()
        elif isinstance(message, Cancel):
            self._cancel(message)
        else:
            self._pause(message)

    # ------------------------------------------------------------------ the workers

    def _on_worker(self, job: Job, events: int) -> None:
        try:
            if events & select.EPOLLOUT:
                job.link.on_writable()
            data = job.link.channel.receive_nowait()
        except ChannelClosed:
            # Dead, or alive with its channel closed; either way nothing more can come of it. Its exit
            # status arrives from the fork server and tells which.
            self._forget_link(job)
            job.worker.kill()
            return
        except ProtocolError as error:
            self._act(job, job.machine.on_violation(error, _now()))
            return
        if data is not None:
            self._take(job, data)
            if events and job.link.channel.holding and self._jobs.get(job.job_id) is job:
                self._on_worker(job, 0)  # no descriptor tells of it

    def _take(self, job: Job, data: bytes | memoryview) -> None:
        try:
            message = decode(self._from_worker, data)
        except ProtocolError as error:
            self._act(job, job.machine.on_violation(error, _now()))
            return
        now = _now()
        self._act(job, job.machine.on_message(message, now))
        if job.machine.deadline < job.timer:
            self._watch(job)
        if job.job_id in self._jobs:
            self._reports.soon(job, now)

    # ------------------------------------------------------------------ the quantum runtime

    def _on_quantum(self, backend: Backend, events: int) -> None:
        serving = backend.capabilities is not None
        try:
            answer = backend.on_event(events)
        except HybridRuntimeError as error:
            self._lose_backend(backend, error)
            return
        if answer is None:
            if not serving and backend.capabilities is not None:
                self._serve(backend)
            self._hear_more(backend)
            return
        job, message = answer
        if self._jobs.get(job.job_id) is not job:
            self._hear_more(backend)
            return  # it ended, or lost its worker, while its circuits ran
        self._answered(job, message)
        if job.machine.deadline < job.timer:
            self._watch(job)
        self._hear_more(backend)
        if backend.inline_pays:
            self._load_inline(backend)

    def _answered(self, job: Job, message: Executed | Failure) -> None:
        """A job's step has been run, or could not be."""
        now = _now()
        if type(message) is Executed:
            self._act(job, job.machine.on_executed(message, now))
        else:
            self._fail(job, message, now)  # type: ignore[arg-type]

    def _hear_more(self, backend: Backend) -> None:
        if backend.channel.holding and backend.fd is not None:
            self._on_quantum(backend, 0)  # no descriptor tells of it

    # ------------------------------------------------------------------ actions and timers

    def _act(self, job: Job, actions: list[Action]) -> None:
        for action in actions:
            kind = type(action)
            if kind is Run:
                self._ask(job, action)  # type: ignore[arg-type]
            elif kind is Tell:
                self._send(job, action.message)  # type: ignore[union-attr]
            elif kind is Interrupt:
                self._send(job, Stop(action.reason.value))  # type: ignore[union-attr]
                job.worker.interrupt()
            elif kind is Dump:
                job.worker.dump()
            elif kind is Kill:
                job.worker.kill()
            elif kind is Restart:
                self._restart(job, action)  # type: ignore[arg-type]
            elif kind is ReadAhead:
                job.machine.read_ahead()
            elif kind is Again:
                self._ask_again(job)
            elif kind is Move:
                self._move(job, action.why)  # type: ignore[union-attr,arg-type]
            elif kind is Pause:
                self._suspend(job)
            elif kind is End:
                self._end(job, action)  # type: ignore[arg-type]

    def _ask(self, job: Job, run: Run) -> None:
        backend = job.backend
        if backend.gone is not None:
            self._act(job, job.machine.on_backend_lost(backend.gone, _now()))
            return
        answer = backend.ask(job, run)
        if answer is not None:
            self._answered(job, answer)
            if not run.define:
                backend.look_ahead(job, run)
        if backend.deadline < backend.timer:
            self._watch_backend(backend)

    def _send(self, job: Job, message: object) -> None:
        try:
            job.link.send(message)  # type: ignore[arg-type]
        except ChannelClosed:
            job.worker.kill()  # its exit is reported by the fork server, and ends the job

    def _expire(self, now: float) -> None:
        for name in self._deadlines.due(now):
            job = self._jobs.get(name)
            if job is not None:
                # Deadlines move on with every step, and the timers are not told: look at where it is now.
                if job.machine.deadline <= now:
                    self._act(job, job.machine.on_deadline(now))
                self._watch(job)
            elif name.startswith(OVERDUE):
                self._check_backend(name, now)
            elif name == REFILL:
                self._classical.refill()
            elif name == QUIET and not self._jobs:
                self._classical.rest()
                for backend in self._backends:
                    self._load_inline(backend)
        self._reports.expire(self._jobs, now)
