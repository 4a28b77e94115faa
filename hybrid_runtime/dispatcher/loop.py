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

import itertools
import select
import time
from collections import deque
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.actions import Action, Dump, End, Interrupt, Kill, Restart, Run, Tell
from hybrid_runtime.dispatcher.backend import EXECUTE_TIMEOUT_S, Backend
from hybrid_runtime.dispatcher.jobs import Job
from hybrid_runtime.dispatcher.link import Link
from hybrid_runtime.dispatcher.output import fault_traceback
from hybrid_runtime.dispatcher.reports import Reports
from hybrid_runtime.dispatcher.timers import Timers
from hybrid_runtime.errors import (
    ChannelClosed,
    ErrorData,
    HybridRuntimeError,
    InternalError,
    InvalidInput,
    JournalError,
    ProtocolError,
    as_data,
)
from hybrid_runtime.protocol.control import (
    Cancel,
    FromDispatcher,
    Open,
    Restarted,
    Submit,
    ToDispatcher,
    Unavailable,
)
from hybrid_runtime.protocol.messages import Capabilities, Executed, FromWorker, Stop, decode, decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.dispatcher.ports import ClassicalPort, WorkerPort
    from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

_now = time.perf_counter
# epoll counts milliseconds in a C int; waking up now and then for nothing costs nothing.
MOST_PATIENCE_S = 3600.0
# The timer of the backend's present request; all others have a job's name.
_OVERDUE = ""


class Dispatcher:
    """Serves one backend. `run` returns when the client's end of the control channel closes."""

    def __init__(
        self,
        control: SeqPacketChannel,
        classical: ClassicalPort,
        quantum: SeqPacketChannel,
        *,
        execute_timeout_s: float = EXECUTE_TIMEOUT_S,
    ) -> None:
        self._epoll = select.epoll()
        self._control = Link(control, self._epoll)
        self._backend = self._new_backend(quantum, execute_timeout_s)
        self._classical = classical
        # Why no job can be run any more: the backend or the classical runtime did not start, or is gone.
        self._gone: ErrorData | None = None
        self._from_worker = decoder(FromWorker)
        self._from_client = decoder(ToDispatcher)
        self._jobs: dict[str, Job] = {}
        self._by_pid: dict[int, Job] = {}
        self._waiting: deque[Submit] = deque()
        self._programs = itertools.count(1)
        self._deadlines = Timers()
        self._overdue_timer = float("inf")
        self._handlers: dict[int, Callable[[int], None]] = {
            self._control.fd: self._on_control,
            self._backend.fd: self._on_quantum,
            classical.fileno(): self._on_classical,
        }
        self._reports = Reports(self._tell, self._epoll, self._handlers)
        self._epoll.register(classical.fileno(), select.EPOLLIN)
        self._open = True

    def _new_backend(self, channel: SeqPacketChannel, timeout_s: float) -> Backend:
        return Backend(channel, self._epoll, timeout_s)

    def run(self) -> None:
        """Step jobs until the client is gone."""
        poll, handlers = self._epoll.poll, self._handlers
        deadlines, reports = self._deadlines, self._reports.timers
        while self._open:
            now = _now()
            wake = deadlines.next if deadlines.next < reports.next else reports.next
            if wake <= now:
                self._expire(now)
                continue
            for fd, events in poll(min(wake - now, MOST_PATIENCE_S)):
                handler = handlers.get(fd)
                if handler is not None:  # None: an earlier event of this round ended the job
                    handler(events)
        for job in list(self._jobs.values()):
            job.worker.kill()
            self._release(job)
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

    def _cancel(self, message: Cancel) -> None:
        job = self._jobs.get(message.job_id)
        if job is not None:
            self._act(job, job.machine.on_cancel(message.kill, _now()))
            self._watch(job)
            return
        for submit in list(self._waiting):
            if submit.job_id == message.job_id:
                self._waiting.remove(submit)
                self._tell(Job.never_started(submit, "cancelled before it was started"))

    def _tell(self, message: FromDispatcher) -> None:
        try:
            self._control.send(message)
        except ChannelClosed:
            self._open = False

    # ------------------------------------------------------------------ the classical runtime

    def _on_classical(self, _events: int) -> None:
        try:
            for pid, status in self._classical.on_readable():
                job = self._by_pid.pop(pid, None)
                if job is not None:
                    self._drain_worker(job, status)
        except InternalError as error:
            # One worker could not be started: jobs that have theirs go on.
            if self._waiting:
                self._tell(Job.never_started(self._waiting.popleft(), as_data(error)))
        except HybridRuntimeError as error:
            self._lose_classical(error)
        self._start_waiting()

    def _drain_worker(self, job: Job, status: int) -> None:
        """A worker has ended: what it had said before still counts."""
        while job.job_id in self._jobs:
            try:
                data = job.link.channel.receive_nowait()
            except (ChannelClosed, ProtocolError):
                break
            if data is None:
                break
            self._take(job, data)
        if job.job_id in self._jobs:
            self._reports.drain(job)
            self._act(job, job.machine.on_lost(status, fault_traceback(job.outputs[1].last_lines()), _now()))

    def _start_waiting(self) -> None:
        while self._waiting and self._backend.capabilities is not None:
            try:
                worker = self._classical.lease_nowait()
            except ChannelClosed as error:
                self._lose_classical(error)
                return
            if worker is None:
                return
            self._start(self._waiting.popleft(), worker, self._backend.capabilities)

    def _start(self, submit: Submit, worker: WorkerPort, backend: Capabilities) -> None:
        link = Link(worker.channel, self._epoll)
        try:
            job = Job(submit, worker, link, backend, self._programs.__next__, _now())
        except JournalError as error:
            link.close()
            worker.kill()
            worker.close()
            self._tell(Job.never_started(submit, as_data(error)))
            return
        self._jobs[job.job_id] = self._by_pid[worker.pid] = job
        self._handlers[link.fd] = lambda events: self._on_worker(job, events)
        self._reports.watch(job)
        self._watch(job)
        try:
            link.send(job.load(submit, backend))
        except ChannelClosed:
            return  # it died before it was used: its exit is reported next
        self._reports.now(job, _now())

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

    def _on_quantum(self, events: int) -> None:
        serving = self._backend.capabilities is not None
        try:
            answer = self._backend.on_event(events)
        except HybridRuntimeError as error:
            self._lose_backend(error)
            return
        if answer is None:
            if not serving and self._backend.capabilities is not None:
                self._tell(Open(self._backend.capabilities))
                self._start_waiting()
            return
        job, message = answer
        if self._jobs.get(job.job_id) is not job:
            return  # it ended, or lost its worker, while its circuits ran
        now = _now()
        machine = job.machine
        if type(message) is Executed:
            self._act(job, machine.on_executed(message, now))
        else:
            self._act(job, machine.on_failure(message, now))  # type: ignore[arg-type]
        if machine.deadline < job.timer:
            self._watch(job)

    def _lose_backend(self, error: HybridRuntimeError) -> None:
        self._handlers.pop(self._backend.fd, None)
        self._backend.give_up()
        data = as_data(error)
        self._unavailable(data)
        now = _now()
        for job in list(self._jobs.values()):
            self._act(job, job.machine.on_backend_lost(data, now))
            self._watch(job)

    def _lose_classical(self, error: HybridRuntimeError) -> None:
        if self._handlers.pop(self._classical.fileno(), None):
            self._epoll.unregister(self._classical.fileno())
        data = ErrorData(kind="InternalError", text=f"the classical runtime failed: {error}")
        if isinstance(error, InvalidInput):
            data = as_data(error)  # it cannot be had as it was asked for
        self._unavailable(data)
        now = _now()
        for job in list(self._jobs.values()):
            self._act(job, job.machine.on_runtime_lost(data, now))

    def _unavailable(self, error: ErrorData) -> None:
        """No job can be run from now on."""
        if self._gone is None:
            self._gone = error
            self._tell(Unavailable(error))
        while self._waiting:
            self._tell(Job.never_started(self._waiting.popleft(), self._gone))

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
            elif kind is End:
                self._end(job, action)  # type: ignore[arg-type]

    def _ask(self, job: Job, run: Run) -> None:
        if self._gone is not None:
            self._act(job, job.machine.on_backend_lost(self._gone, _now()))
            return
        self._backend.ask(job, run)
        if run.define:  # as in every job's first step
            self._classical.refill()
        if self._backend.deadline < self._overdue_timer:
            self._overdue_timer = self._backend.deadline
            self._deadlines.add(self._overdue_timer, _OVERDUE)

    def _send(self, job: Job, message: object) -> None:
        try:
            job.link.send(message)  # type: ignore[arg-type]
        except ChannelClosed:
            job.worker.kill()  # its exit is reported by the fork server, and ends the job

    def _restart(self, job: Job, restart: Restart) -> None:
        self._release(job)
        self._tell(Restarted(job.job_id))
        self._reports.log(job, "log", [f"{restart.why}; its job goes on from its journal in a new worker"])
        self._waiting.appendleft(job.again(_now()))
        self._start_waiting()

    def _end(self, job: Job, end: End) -> None:
        self._reports.drain(job)
        self._reports.now(job, _now())
        self._tell(end.report)
        job.worker.kill()
        self._release(job)
        self._classical.refill()

    def _release(self, job: Job) -> None:
        del self._jobs[job.job_id]
        self._backend.drop(job)
        self._reports.unwatch(job)
        self._forget_link(job)
        job.close()

    def _forget_link(self, job: Job) -> None:
        if self._handlers.pop(job.link.fd, None):
            job.link.close()

    def _watch(self, job: Job) -> None:
        """See to it that the loop wakes up for the job's deadline."""
        job.timer = job.machine.deadline
        self._deadlines.add(job.timer, job.job_id)

    def _expire(self, now: float) -> None:
        for name in self._deadlines.due(now):
            job = self._jobs.get(name)
            if job is not None:
                # Deadlines move on with every step, and the timers are not told: look at where it is now.
                if job.machine.deadline <= now:
                    self._act(job, job.machine.on_deadline(now))
                self._watch(job)
            elif name == _OVERDUE:
                self._check_overdue(now)
        self._reports.expire(self._jobs, now)

    def _check_overdue(self, now: float) -> None:
        try:
            self._backend.check_overdue(now)
        except HybridRuntimeError as error:
            self._lose_backend(error)
        self._overdue_timer = self._backend.deadline
        self._deadlines.add(self._overdue_timer, _OVERDUE)
