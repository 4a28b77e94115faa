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

import heapq
import itertools
import select
import time
from collections import deque
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.actions import Action, Dump, End, Interrupt, Kill, Run, Tell
from hybrid_runtime.dispatcher.jobs import Job
from hybrid_runtime.dispatcher.link import Link
from hybrid_runtime.dispatcher.output import Output, fault_traceback
from hybrid_runtime.errors import ChannelClosed, ErrorData, HybridRuntimeError, ProtocolError
from hybrid_runtime.protocol.control import Cancel, FromDispatcher, Log, Open, Submit, ToDispatcher, Unavailable
from hybrid_runtime.protocol.messages import (
    PROTOCOL_VERSION,
    Capabilities,
    Execute,
    Executed,
    Failure,
    Forget,
    FromQuantum,
    FromWorker,
    Serving,
    Stop,
    decode,
    decoder,
    derive_seed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.dispatcher.ports import ClassicalPort, WorkerPort
    from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

_now = time.perf_counter
EXECUTE_TIMEOUT_S = 3600.0


class Dispatcher:
    """Serves one backend. `run` returns when the client's end of the control channel closes."""

    def __init__(self, control: SeqPacketChannel, classical: ClassicalPort, quantum: SeqPacketChannel) -> None:
        self._epoll = select.epoll()
        self._control = Link(control, self._epoll)
        self._quantum = Link(quantum, self._epoll)
        self._classical = classical
        self._backend: Capabilities | None = None
        self._from_worker = decoder(FromWorker)
        self._from_quantum = decoder(FromQuantum)
        self._from_client = decoder(ToDispatcher)
        self._jobs: dict[str, Job] = {}
        self._by_pid: dict[int, Job] = {}
        self._waiting: deque[Submit] = deque()
        self._asking: deque[tuple[Job, Run]] = deque()
        self._running: tuple[int, Job] | None = None
        self._requests = itertools.count(1)
        self._programs = itertools.count(1)
        self._timers: list[tuple[float, int, Job]] = []
        self._ties = itertools.count()
        self._handlers: dict[int, Callable[[int], None]] = {
            self._control.fd: self._on_control,
            self._quantum.fd: self._on_quantum,
            classical.fileno(): self._on_classical,
        }
        self._epoll.register(classical.fileno(), select.EPOLLIN)
        self._open = True

    def run(self) -> None:
        """Step jobs until the client is gone."""
        poll, handlers = self._epoll.poll, self._handlers
        while self._open:
            for fd, events in poll(self._patience()):
                handler = handlers.get(fd)
                if handler is not None:  # None: an earlier event of this round ended the job
                    handler(events)
            if self._timers:
                self._expire()
        for job in list(self._jobs.values()):
            job.worker.kill()
            self._release(job)
        self._epoll.close()

    def _patience(self) -> float:
        return max(0.0, self._timers[0][0] - _now()) if self._timers else -1

    # ------------------------------------------------------------------ the client

    def _on_control(self, events: int) -> None:
        if events & select.EPOLLOUT:
            self._control.on_writable()
        try:
            data = self._control.channel.receive_nowait()
        except ChannelClosed:
            self._open = False
            return
        if data is None:
            return
        message = decode(self._from_client, data)
        if isinstance(message, Submit):
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
        except HybridRuntimeError as error:
            self._fail_all(ErrorData(kind="InternalError", text=f"the classical runtime failed: {error}"))
            return
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
            for output in job.outputs:
                self._log(job, output.name, output.drain())
            self._act(job, job.machine.on_lost(status, fault_traceback(job.outputs[1].last), _now()))

    def _start_waiting(self) -> None:
        while self._waiting and self._backend is not None:
            worker = self._classical.lease_nowait()
            if worker is None:
                return
            self._start(self._waiting.popleft(), worker, self._backend)

    def _start(self, submit: Submit, worker: WorkerPort, backend: Capabilities) -> None:
        link = Link(worker.channel, self._epoll)
        job = Job(submit, worker, link, backend, self._programs.__next__, _now())
        self._jobs[job.job_id] = self._by_pid[worker.pid] = job
        self._handlers[link.fd] = lambda events: self._on_worker(job, events)
        for output in job.outputs:
            self._epoll.register(output.fd, select.EPOLLIN)
            self._handlers[output.fd] = lambda _, output=output: self._on_output(job, output)  # type: ignore[misc]
        self._watch(job)
        try:
            link.send(job.load(submit, backend))
        except ChannelClosed:
            return  # it died before it was used: its exit is reported next
        self._report(job)

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
        if now >= job.report_at:
            self._report(job)

    def _on_output(self, job: Job, output: Output) -> None:
        lines, more = output.read()
        self._log(job, output.name, lines)
        if not more:
            self._epoll.unregister(output.fd)
            del self._handlers[output.fd]

    def _log(self, job: Job, stream: str, lines: list[str]) -> None:
        if lines:
            self._tell(Log(job.job_id, stream, lines))

    # ------------------------------------------------------------------ the quantum runtime

    def _on_quantum(self, events: int) -> None:
        try:
            if events & select.EPOLLOUT:
                self._quantum.on_writable()
            data = self._quantum.channel.receive_nowait()
            if data is None:
                return
            message = decode(self._from_quantum, data)
        except (ChannelClosed, ProtocolError) as error:
            self._on_quantum_lost(error)
            return
        if type(message) is Serving:
            self._on_serving(message)
        elif self._running is not None and self._running[0] == message.request:
            job = self._running[1]
            self._running = None
            if self._asking:
                self._ask_next()
            now = _now()
            machine = job.machine
            if type(message) is Executed:
                self._act(job, machine.on_executed(message, now))
            else:
                self._act(job, machine.on_failure(message, now))
            if machine.deadline < job.timer:
                self._watch(job)
        elif type(message) is Failure:
            self._unavailable(message.error)

    def _on_serving(self, message: Serving) -> None:
        if message.version != PROTOCOL_VERSION:
            text = f"the quantum runtime speaks protocol {message.version}, this dispatcher {PROTOCOL_VERSION}"
            self._unavailable(ErrorData(kind="ProtocolError", text=text, family="ProtocolError"))
            return
        self._backend = message.capabilities
        self._tell(Open(message.capabilities))
        self._start_waiting()

    def _on_quantum_lost(self, error: HybridRuntimeError) -> None:
        self._epoll.modify(self._quantum.fd, 0)
        data = ErrorData(kind="BackendFailed", text=f"the quantum runtime is gone: {error}", family="BackendFailed")
        self._running = None
        self._asking.clear()
        self._unavailable(data)
        now = _now()
        for job in list(self._jobs.values()):
            self._act(job, job.machine.on_backend_lost(data, now))
            self._watch(job)

    def _unavailable(self, error: ErrorData) -> None:
        self._tell(Unavailable(error))
        while self._waiting:
            self._tell(Job.never_started(self._waiting.popleft(), error))

    def _fail_all(self, error: ErrorData) -> None:
        self._epoll.unregister(self._classical.fileno())
        self._unavailable(error)
        now = _now()
        for job in list(self._jobs.values()):
            self._act(job, job.machine.on_runtime_lost(error, now))

    def _ask_next(self) -> None:
        """Send the next waiting request. First come, first served."""
        job, run = self._asking.popleft()
        request = next(self._requests)
        self._running = (request, job)
        job.requests += 1
        send = self._quantum.send
        try:
            for define in run.define:
                send(define)
            send(Execute(request, run.calls, derive_seed(job.seed, job.requests), EXECUTE_TIMEOUT_S))
            if run.forget:
                send(Forget(run.forget))
        except ChannelClosed as error:
            self._on_quantum_lost(error)

    # ------------------------------------------------------------------ actions and timers

    def _act(self, job: Job, actions: list[Action]) -> None:
        for action in actions:
            kind = type(action)
            if kind is Run:
                self._asking.append((job, action))  # type: ignore[arg-type]
                if self._running is None:
                    self._ask_next()
            elif kind is Tell:
                self._send(job, action.message)  # type: ignore[union-attr]
            elif kind is Interrupt:
                self._send(job, Stop(action.reason.value))  # type: ignore[union-attr]
                job.worker.interrupt()
            elif kind is Dump:
                job.worker.dump()
            elif kind is Kill:
                job.worker.kill()
            elif kind is End:
                self._end(job, action)  # type: ignore[arg-type]

    def _send(self, job: Job, message: object) -> None:
        try:
            job.link.send(message)  # type: ignore[arg-type]
        except ChannelClosed:
            job.worker.kill()  # its exit is reported by the fork server, and ends the job

    def _end(self, job: Job, end: End) -> None:
        for output in job.outputs:
            self._log(job, output.name, output.drain())
        self._report(job)
        self._tell(end.report)
        job.worker.kill()
        self._release(job)

    def _release(self, job: Job) -> None:
        del self._jobs[job.job_id]
        self._asking = deque(entry for entry in self._asking if entry[0] is not job)
        for output in job.outputs:
            if self._handlers.pop(output.fd, None):
                self._epoll.unregister(output.fd)
        self._forget_link(job)
        job.worker.close()
        numbers = job.machine.programs.all_numbers()
        if numbers and self._open:
            try:
                self._quantum.send(Forget(numbers))
            except ChannelClosed:
                return  # the quantum runtime is gone, and its programs with it

    def _forget_link(self, job: Job) -> None:
        if self._handlers.pop(job.link.fd, None):
            job.link.close()

    def _report(self, job: Job) -> None:
        for message in job.news(_now()):
            self._tell(message)

    def _watch(self, job: Job) -> None:
        """See to it that the loop wakes up for the job's deadline."""
        deadline = job.machine.deadline
        job.timer = deadline
        if deadline != float("inf"):
            heapq.heappush(self._timers, (deadline, next(self._ties), job))

    def _expire(self) -> None:
        now = _now()
        while self._timers and self._timers[0][0] <= now:
            _, _, job = heapq.heappop(self._timers)
            if job.job_id not in self._jobs:
                continue
            # Deadlines move on with every step, and the heap is not told: look at where it is now.
            if job.machine.deadline <= now:
                self._act(job, job.machine.on_deadline(now))
            if job.job_id in self._jobs:
                self._watch(job)
