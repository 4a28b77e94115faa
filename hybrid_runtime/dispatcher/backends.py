"""What the loop does when backends begin to serve, fail or are lost: start them again, and move jobs between them."""

from __future__ import annotations

import random
import time
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.actions import Move
from hybrid_runtime.dispatcher.recovery import restart_after_s
from hybrid_runtime.dispatcher.upkeep import Upkeep
from hybrid_runtime.errors import BackendFailed, ErrorData, HybridRuntimeError, as_data
from hybrid_runtime.protocol.control import Open
from hybrid_runtime.protocol.sessions import BackendState

if TYPE_CHECKING:
    from hybrid_runtime.dispatcher.actions import Run
    from hybrid_runtime.dispatcher.backend import Backend
    from hybrid_runtime.dispatcher.jobs import Job
    from hybrid_runtime.protocol.messages import Capabilities, Failure

_now = time.perf_counter
# How the names of backends' timers begin; all others have a job's name.
OVERDUE = "\0backend "
# What is wrong about a backend that cannot start, and is told to whoever asked for it.
_GIVEN_WRONGLY = ("InvalidInput", "BackendUnknown")


class Backends(Upkeep):
    """The backends of one dispatcher: the first, and those to which jobs go when it fails."""

    @abstractmethod
    def _on_quantum(self, backend: Backend, events: int) -> None:
        """A quantum runtime's channel has something."""

    @abstractmethod
    def _ask(self, job: Job, run: Run) -> None:
        """Have the job's step run by its backend."""

    def _open_backend(self, backend: Backend, *, start: bool = True) -> None:
        try:
            fd = backend.open(start=start)
        except OSError as error:
            self._lose_backend(backend, BackendFailed(f"the quantum runtime cannot be started: {error.strerror}"))
            return
        self._handlers[fd] = partial(self._on_quantum, backend)
        self._watched.add_backend(backend.channel)

    def _serve(self, backend: Backend) -> None:
        """A quantum runtime has said that it serves, for the first time or after it was lost."""
        capabilities = backend.capabilities
        assert capabilities is not None
        defined = []
        for job in self._jobs.values():
            if job.backend is backend and job not in backend.arriving:
                run = job.failed or backend.step_of(job)
                defined += job.machine.programs.all_defined(run.forget if run else ())
        backend.begin(defined)
        self._watch_backend(backend)
        if backend.inline is not None:
            self._watched.let_sleep(backend.channel)
        self._tell(Open(capabilities))
        arriving, backend.arriving = backend.arriving, {}
        for job, run in arriving.items():
            self._arrive(job, run, backend, capabilities)
        self._start_waiting()
        self._look_for_quiet()

    def _load_inline(self, backend: Backend) -> None:
        """Run its brief steps in this process from now on, where that is possible."""
        jobs = [job for job in self._jobs.values() if job.backend is backend]
        if backend.load_inline(lambda: (program for job in jobs for program in job.machine.programs.all_defined())):
            self._watched.let_sleep(backend.channel)

    def _lose_backend(self, backend: Backend, error: HybridRuntimeError) -> None:
        """Its process is gone, or of no use any more: it is started again, unless that was in vain too often."""
        if self._handlers.pop(backend.fd, None):  # type: ignore[arg-type]
            self._watched.drop(backend.channel)
        flight = backend.lose()
        data = as_data(error)
        backend.crashes += 1
        wait_s = restart_after_s(backend.crashes, random.random())
        if wait_s is None:
            backend.gone = data
        if flight is not None:
            job, run = flight
            job.failed = run
            if self._jobs.get(job.job_id) is job:
                elsewhere = self._next_backend(backend) is not None
                if wait_s is None:
                    self._act(job, [Move(data)])
                else:
                    self._act(job, job.machine.on_crash(data, _now(), elsewhere=elsewhere))
                self._watch(job)
        if wait_s is None:
            self._abandon(backend, data)
        elif wait_s:
            backend.deadline = _now() + wait_s
            self._watch_backend(backend)
        else:
            self._open_backend(backend)

    def _abandon(self, backend: Backend, error: ErrorData) -> None:
        """A backend is given up: its jobs go on at the next, where there is one."""
        following = self._next_backend()
        if following is None or (error.family in _GIVEN_WRONGLY and not backend.served and not self._jobs):
            self._unavailable(error)
        elif not following.opened:
            self._open_backend(following)
        for job in list(self._jobs.values()):
            if job.backend is backend:
                job.failed = job.failed or backend.arriving.pop(job, None) or backend.step_of(job)
                self._move(job, error)
        self._start_waiting()

    def _move(self, job: Job, error: ErrorData) -> None:
        """Have the next backend run the job, beginning with the step that failed, if one did."""
        following = self._next_backend(job.backend)
        if following is None:
            self._act(job, job.machine.on_backend_lost(error, _now()))
            self._watch(job)
            return
        run, job.failed = job.failed, None
        job.backend.drop(job)
        job.backend = following
        self._reports.log(job, "log", [f"the backend failed ({error.text}); the job goes on at the next one"])
        if following.capabilities is not None:
            self._arrive(job, run, following, following.capabilities)
            return
        following.arriving[job] = run
        if not following.opened:
            self._open_backend(following)

    def _arrive(self, job: Job, run: Run | None, backend: Backend, capabilities: Capabilities) -> None:
        actions = job.machine.on_moved(capabilities, run, _now())
        for program in job.machine.programs.all_defined(run.forget if run else ()):
            backend.tell(program)
        self._act(job, actions)
        if run is not None and job.machine.waiting:
            self._ask(job, run)
        self._watch(job)

    def _fail(self, job: Job, failure: Failure, now: float) -> None:
        """A job's step has failed on its backend."""
        job.failed = job.backend.failed
        held = job.backend.state is BackendState.CALIBRATING
        elsewhere = self._next_backend(job.backend) is not None
        self._act(job, job.machine.on_failure(failure, now, held=held, elsewhere=elsewhere))

    def _ask_again(self, job: Job) -> None:
        run, job.failed = job.failed, None
        assert run is not None
        if job.backend.fd is None:
            job.backend.ask_first(job, run)
        else:
            self._ask(job, run)

    def _watch_backend(self, backend: Backend) -> None:
        """See to it that the loop wakes up for the backend's deadline."""
        backend.timer = backend.deadline
        self._deadlines.add(backend.deadline, f"{OVERDUE}{self._backends.index(backend)}")

    def _check_backend(self, name: str, now: float) -> None:
        """The timer of a backend has passed: it is to be started again, or may not have answered in time."""
        backend = self._backends[int(name.removeprefix(OVERDUE))]
        if backend.fd is None:
            if backend.deadline <= now:
                self._open_backend(backend)
            return
        try:
            backend.check_overdue(now)
        except HybridRuntimeError as error:
            self._lose_backend(backend, error)
            return
        self._watch_backend(backend)
