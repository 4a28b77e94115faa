"""What the loop does beside stepping: jobs begin, end, pause and begin anew, and the processes around it are lost."""

from __future__ import annotations

import itertools
import os
import select
import time
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.backend import Backend
from hybrid_runtime.dispatcher.jobs import Job, load_of, recorder_of
from hybrid_runtime.dispatcher.link import Link
from hybrid_runtime.dispatcher.output import fault_traceback
from hybrid_runtime.dispatcher.reports import Reports
from hybrid_runtime.dispatcher.spares import Spares
from hybrid_runtime.dispatcher.timers import Timers
from hybrid_runtime.dispatcher.watching import Watch
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
    Paused,
    Restarted,
    Submit,
    ToDispatcher,
    Unavailable,
)
from hybrid_runtime.protocol.control import Pause as PauseJob
from hybrid_runtime.protocol.messages import FromWorker, decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hybrid_runtime.dispatcher.actions import Action, End, Restart
    from hybrid_runtime.dispatcher.ports import ClassicalPort, QuantumPort, WorkerPort
    from hybrid_runtime.protocol.messages import Load
    from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

_now = time.perf_counter
# The timer of a dispatcher without jobs, and after how long it passes. Names of jobs do not begin like this.
QUIET = "\0quiet"
_QUIET_S = 0.05
# The timer by which a new worker is prepared while a job has the old one. It takes some tens of milliseconds of a core,
# which a short job needs itself where there are few.
REFILL = "\0refill"
_FEW_CORES = 3
_REFILL_S, _REFILL_SOON_S = 0.5, 0.01


class Upkeep(ABC):
    """The jobs of one dispatcher, and whom it works with; `loop.Dispatcher` steps them."""

    def __init__(
        self,
        control: SeqPacketChannel,
        classical: ClassicalPort,
        quantum: Sequence[QuantumPort],
        execute_timeout_s: float,
        patience_s: float,
    ) -> None:
        self._epoll = select.epoll()
        self._control = Link(control, self._epoll)
        self._backends = [self._new_backend(port, execute_timeout_s) for port in quantum]
        self._classical = classical
        # Why no job can be run any more: the backend or the classical runtime did not start, or is gone.
        self._gone: ErrorData | None = None
        self._from_worker = decoder(FromWorker)
        self._from_client = decoder(ToDispatcher)
        self._jobs: dict[str, Job] = {}
        self._by_pid: dict[int, Job] = {}
        self._spares = Spares()
        self._waiting: deque[Submit] = deque()
        self._programs = itertools.count(1)
        self._deadlines = Timers()
        self._handlers: dict[int, Callable[[int], None]] = {classical.fileno(): self._on_classical}
        self._reports = Reports(self._tell, self._epoll, self._handlers)
        self._watched = Watch(self._epoll, self._handlers, patience_s)
        self._epoll.register(classical.fileno(), select.EPOLLIN)
        few = len(os.sched_getaffinity(0)) <= _FEW_CORES
        self._refill_s = _REFILL_S if few else _REFILL_SOON_S
        self._open = True
        self.failed = False
        # Whether any job has had a worker.
        self._served = False

    def _new_backend(self, port: QuantumPort, timeout_s: float) -> Backend:
        return Backend(port, self._epoll, timeout_s)

    def _next_backend(self, after: Backend | None = None) -> Backend | None:
        """The first backend of use, of those after this one."""
        first = 0 if after is None else self._backends.index(after) + 1
        return next((backend for backend in self._backends[first:] if backend.gone is None), None)

    # What the loop does, and what this sets going.

    @abstractmethod
    def _act(self, job: Job, actions: list[Action]) -> None:
        """Do what a job's machine wants done."""

    @abstractmethod
    def _take(self, job: Job, data: bytes | memoryview) -> None:
        """Take in a message from a job's worker."""

    @abstractmethod
    def _on_worker(self, job: Job, events: int) -> None:
        """A worker's channel has something."""

    # ------------------------------------------------------------------ the client

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

    def _pause(self, message: PauseJob) -> None:
        job = self._jobs.get(message.job_id)
        if job is not None:
            self._act(job, job.machine.on_pause(job.backend.runs(job), _now()))
            self._reports.soon(job, _now())
            return
        for submit in list(self._waiting):
            if submit.job_id == message.job_id:
                self._waiting.remove(submit)
                self._tell(Paused(submit.job_id, 0, submit.limits.wall_s))

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
        while self._jobs.get(job.job_id) is job:
            try:
                data = job.link.channel.receive_nowait()
            except (ChannelClosed, ProtocolError):
                break
            if data is None:
                break
            self._take(job, data)
        if self._jobs.get(job.job_id) is job:
            self._reports.drain(job)
            self._act(job, job.machine.on_lost(status, fault_traceback(job.outputs[1].last_lines()), _now()))

    # ------------------------------------------------------------------ what is lost

    def _lose_classical(self, error: HybridRuntimeError) -> None:
        if self._served and isinstance(error, ChannelClosed):
            # Whoever started this process starts it anew, and its jobs go on from their journals.
            self._open = False
            self.failed = True
            return
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

    # ------------------------------------------------------------------ jobs begin and end

    def _start_waiting(self) -> None:
        backend = self._next_backend()
        while self._waiting and backend is not None and backend.capabilities is not None:
            try:
                worker = self._classical.lease_nowait()
            except ChannelClosed as error:
                self._lose_classical(error)
                return
            if worker is None:
                return
            self._start(self._waiting.popleft(), worker, backend)

    def _start(self, submit: Submit, worker: WorkerPort, backend: Backend) -> None:
        link = Link(worker.channel, self._epoll)
        capabilities, now = backend.capabilities, _now()
        assert capabilities is not None
        # A worker begins at once, unless there is something in the journal that it has to know.
        if not submit.resume:
            _hand_over(link, load_of(submit, capabilities))
        try:
            recorder = recorder_of(submit, capabilities, self._spares)
        except JournalError as error:
            link.close()
            worker.kill()
            worker.close()
            self._tell(Job.never_started(submit, as_data(error)))
            return
        job = Job(submit, worker, link, backend, recorder, self._programs.__next__, now)
        self._served = True
        self._jobs[job.job_id] = self._by_pid[worker.pid] = job
        self._handlers[link.fd] = partial(self._on_worker, job)
        self._reports.watch(job)
        self._watched.add_job(worker.channel)
        self._watch(job)
        if submit.resume:
            _hand_over(link, load_of(submit, capabilities, recorder))
        self._reports.begun(job)
        self._deadlines.add(_now() + self._refill_s, REFILL)

    def _restart(self, job: Job, restart: Restart) -> None:
        self._close_journal(job)
        self._release(job)
        self._tell(Restarted(job.job_id))
        self._reports.log(job, "log", [*restart.why.split("\n"), "the job goes on from its journal in a new worker"])
        self._waiting.appendleft(job.again(restart.resume, _now()))
        self._start_waiting()

    def _suspend(self, job: Job) -> None:
        self._reports.drain(job)
        self._reports.now(job, _now())
        steps = job.recorder.steps if job.recorder is not None else 0
        job.worker.kill()
        self._close_journal(job)
        self._release(job)
        self._tell(Paused(job.job_id, steps, job.wall_left_s(_now())))

    def _end(self, job: Job, end: End) -> None:
        self._reports.drain(job)
        self._reports.now(job, _now())
        if not job.submit.private:
            self._close_journal(job)
        self._tell(end.report)
        job.worker.kill()
        if job.recorder is not None and not self._control.waiting:
            job.recorder.retire()
        self._release(job)
        self._classical.refill()

    def _close_journal(self, job: Job) -> None:
        """Nothing more is written to it; what the disk did not take is said before the job's end is."""
        lacking = None if job.recorder is None else job.recorder.close()
        if lacking is not None:
            self._reports.log(job, "log", [lacking])

    def _release(self, job: Job) -> None:
        del self._jobs[job.job_id]
        self._deadlines.drop(job.job_id)
        # Its exit, when it comes, must not be taken for that of the worker which has the job by then.
        self._by_pid.pop(job.worker.pid, None)
        job.backend.drop(job)
        self._reports.unwatch(job)
        self._forget_link(job)
        job.close()
        self._look_for_quiet()

    def _look_for_quiet(self) -> None:
        """There may be nothing to do for a while: what takes some time, and is for later, is done then."""
        if not self._jobs:
            self._deadlines.add(_now() + _QUIET_S, QUIET)

    def _forget_link(self, job: Job) -> None:
        if self._handlers.pop(job.link.fd, None):
            self._watched.drop(job.link.channel)
            job.link.close()

    def _watch(self, job: Job) -> None:
        """See to it that the loop wakes up for the job's deadline."""
        job.timer = job.machine.deadline
        self._deadlines.add(job.timer, job.job_id)


def _hand_over(link: Link, load: Load) -> None:
    """Give a worker its job. Of one that died before it was used, the exit is reported next."""
    with suppress(ChannelClosed):
        link.send(load)
