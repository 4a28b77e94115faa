"""Run algorithms on this machine: one process tree, no server, database or network.

::

    this process ──▶ node (dispatcher) ──▶ fork server ──▶ worker
                                       └─▶ quantum runtime
"""

from __future__ import annotations

import itertools
import signal
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from msgspec import structs

from hybrid_runtime.dispatcher.surveying import DISPATCHER_LOST
from hybrid_runtime.errors import ChannelClosed, InternalError, InvalidInput, rebuild
from hybrid_runtime.job import JobResult, JobState
from hybrid_runtime.jobhandle import Event, Job
from hybrid_runtime.limits import DEFAULT_SHOTS, Limits, whole
from hybrid_runtime.nodeprocess import NodeProcess
from hybrid_runtime.placement import Placement, parse, settled
from hybrid_runtime.protocol.control import (
    Cancel,
    Ended,
    FromDispatcher,
    Log,
    Open,
    Pause,
    Paused,
    Progress,
    Restarted,
    Submit,
    Unavailable,
)
from hybrid_runtime.protocol.messages import Capabilities, decode, decoder, encode
from hybrid_runtime.submission import as_json, checked_fsync, forked_job, journal_of, new_job, resumed_job, writable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType, TracebackType

__all__ = ["DEFAULT_BACKEND", "MOST_RESTARTS", "PRELOAD", "Event", "Job", "LocalRuntime", "run", "wait"]

DEFAULT_BACKEND = "qulacs"
PRELOAD = ("numpy", "scipy.optimize", "cloudpickle", "hybrid_runtime.optimize", "cqasm.v3x")
# A dispatcher that is lost so many times without any job having got further is not started again.
MOST_RESTARTS = 3


class LocalRuntime:
    """A runtime on this machine that stays up for many jobs: workers are warm from the second one on.

    Use it as a context manager, or call `close`. It belongs to one thread.

    Args:
        backend: Name of the quantum backend; `qulacs` is the built-in emulator.
        options: Options of the backend's driver.
        failover: Names of the backends at which jobs go on, in this order, when one fails and stays so.
        warm: Workers kept ready.
        preload: Modules that workers are born with.
        isolation: Level at which workers are kept apart: `strict`, `landlock` or `process`; the strictest that this
            host can give when None, never `process`.
        trace: File for a waterfall of every step in Chrome's trace format, complete after `close`.
        placement: How its processes share the cores and wait for each other; see `placement.Placement`.

    Raises:
        InvalidInput: one of these cannot be used.
        BackendUnknown: no backend has that name. This and every failure to start is raised by the first job.
    """

    def __init__(
        self,
        backend: str = DEFAULT_BACKEND,
        *,
        options: Mapping[str, Any] | None = None,
        failover: Sequence[str] = (),
        warm: int = 1,
        preload: tuple[str, ...] = PRELOAD,
        isolation: str | None = None,
        trace: str | Path | None = None,
        placement: str = Placement.AUTO,
    ) -> None:
        self.backend_name = backend
        self.backend: Capabilities | None = None
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)
        self._unavailable: Unavailable | None = None
        self._decoder = decoder(FromDispatcher)
        self._closed = False
        command = ["--driver", backend, "--options", as_json(options), "--warm", str(whole("warm", warm, 0, 1000))]
        for name in preload:
            command += ["--preload", name]
        for name in failover:
            command += ["--failover", name]
        if isolation is not None:
            command += ["--isolation", str(isolation)]
        if trace is not None:
            command += ["--trace", str(writable(trace))]
        command += ["--placement", settled(parse(placement)).value]
        command += self._more_arguments()
        self._node = NodeProcess(command)
        self._restarts = 0

    def _more_arguments(self) -> list[str]:
        """For a runtime that is to be other than usual: what else its dispatcher is given."""
        return []

    def submit(
        self,
        algorithm: Any,
        *,
        parameters: Mapping[str, Any] | None = None,
        shots: int | None = DEFAULT_SHOTS,
        seed: int | None = None,
        limits: Limits | None = None,
        job_id: str | None = None,
        journal: str | Path | None = None,
        fsync: str = "group",
        keep_requests: bool = True,
    ) -> Job:
        """Give the runtime a job; returns at once.

        Args:
            algorithm: A `HybridAlgorithm` subclass, a function marked `@hybrid`, a `Bundle`, or the path of a
                file that holds one (`"vqe.py"`, `"vqe.py:Name"`).
            parameters: What the algorithm sees as `context.parameters`.
            shots: Shots of circuits that name none; None for exact probabilities.
            seed: Makes the run repeatable; drawn at random when None, and told in the result.
            limits: When to stop.
            job_id: The job's name; made up when None.
            journal: File that keeps every step, so that `resume` can go on from it; it must not exist. When None, the
                runtime keeps one for itself as long as the job lasts, so that the job outlives the loss of any process
                but this one.
            fsync: When the journal is forced to the disk: at every `step`, for a `group` of steps, or `never`.
            keep_requests: Whether the journal holds what was asked for, or only a hash of it.

        Raises:
            InvalidInput: one of these cannot be used.
        """
        self._check_open()
        submit = new_job(algorithm, parameters=parameters, shots=shots, seed=seed, limits=limits)
        submit = self._placed(submit, job_id, journal, fsync)
        return self._begin(structs.replace(submit, keep_requests=keep_requests))

    def resume(self, algorithm: Any, journal: str | Path, *, fsync: str = "group", on_divergence: str = "fail") -> Job:
        """Take up the job of this journal after its last step; parameters, shots, seed and limits are those it had.

        Args:
            algorithm: As for `submit`; it must do the same again up to there.
            journal: The file.
            fsync: As for `submit`.
            on_divergence: What to do when it asks for something else than is recorded: `fail`, or `live`: let it go its
                own way from there; what is recorded beyond does not count any more.

        Raises:
            JournalError: the journal cannot be used, its job is still running, or has completed.
        """
        self._check_open()
        return self._begin(resumed_job(algorithm, Path(journal), fsync, on_divergence))

    def fork(
        self,
        source: str | Path,
        step: int,
        *,
        algorithm: Any = None,
        parameters: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        optimizer: str | None = None,
        job_id: str | None = None,
        journal: str | Path | None = None,
        fsync: str = "group",
        on_divergence: str = "fail",
    ) -> Job:
        """Begin a new job with the first steps of a recorded one, which are not executed again.

        Shots and seed are those of that one, and so are parameters and limits that are not named.

        Args:
            source: Folder `DIR/JOB_ID` that `--out DIR` kept of a run, which may be under way, or the journal in it.
            step: How many steps are taken over.
            algorithm: As for `submit`; the one that is kept in the folder when None.
            parameters: Laid over those that it had. The algorithm sees them from its beginning.
            limits: Laid over those that it had.
            optimizer: A method of `hybrid_runtime.optimize` that takes over after that step, at the best point so far.
            job_id: As for `submit`, like all that follows.
            journal: The new job's own file.
            fsync: When that is forced to the disk.
            on_divergence: As for `resume`: what to do when the algorithm, as it is now, asks for something else within
                those steps than is recorded.

        Raises:
            InvalidInput: one of these cannot be used.
            JournalError: the journal cannot be read, or has fewer steps.
            BundleError: the algorithm is not kept beside it.
        """
        self._check_open()
        changes: dict[str, Any]
        changes = {"parameters": parameters, "limits": limits, "optimizer": optimizer, "on_divergence": on_divergence}
        submit, make_journal = forked_job(journal_of(source), step, algorithm, **changes)
        submit = self._placed(submit, job_id, journal, fsync)
        make_journal(submit)
        return self._begin(submit)

    def _placed(self, submit: Submit, job_id: str | None, journal: str | Path | None, fsync: str) -> Submit:
        """The job with its name and its journal."""
        place = Path(journal).absolute() if journal else self._node.journals / f"{next(self._numbers)}.bin"
        return structs.replace(
            submit,
            job_id=job_id or submit.job_id,
            journal=str(place),
            fsync=checked_fsync(fsync) if journal else "never",
            private=not journal,
        )

    def _begin(self, submit: Submit) -> Job:
        if submit.job_id in self._jobs:
            raise InvalidInput(f"a job {submit.job_id!r} is under way already: choose another name")
        job = self._jobs[submit.job_id] = Job(self, submit)
        self._send(submit)
        return job

    def _again(self, job: Job, why: str) -> None:
        """Have the dispatcher take up a job that it has let go of."""
        self._send(job._taken_up(why))

    def run(self, algorithm: Any, **keywords: Any) -> JobResult:
        """Submit a job (see `submit`) and wait for its end."""
        job = self.submit(algorithm, **keywords)
        return wait(job)

    def drain(self) -> list[Job]:
        """Pause every job and wait until none holds a worker; those that are paused now, and have not ended instead."""
        for job in list(self._jobs.values()):
            job.pause()
        for job in list(self._jobs.values()):
            for _ in job.events():
                pass
        return list(self._jobs.values())

    def _send(self, message: Submit | Cancel | Pause) -> None:
        self._check_open()
        try:
            self._node.channel.send(encode(message))
        except ChannelClosed:
            # A job that is begun is among those that are taken up; a command is given once more.
            self._revive()
            if not isinstance(message, Submit):
                self._send(message)

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidInput("this LocalRuntime has been closed: make another")

    def _revive(self) -> None:
        """Start the dispatcher again, which was lost, and have it take up every job.

        Raises:
            InternalError: it is lost time and again.
        """
        how = f"the runtime's dispatcher {self._node.how_it_was_lost()}"
        if self._restarts >= MOST_RESTARTS:
            raise InternalError(f"{how}, for the {self._restarts + 1}th time; what it printed may say why")
        self._restarts += 1
        self._node.restart()
        self._unavailable = None
        for job in self._jobs.values():
            if job.state is JobState.PAUSED:
                continue
            try:
                self._node.channel.send(encode(job._taken_up(DISPATCHER_LOST)))
            except ChannelClosed:
                return  # whoever waits for news is told, and it is begun once more
            job.logs.append(f"{how}; the job goes on from its journal under a new one")

    def _next(self, wanted: Job, timeout_s: float | None) -> Event | None:
        """Take in one message; the event if it is about this job."""
        self._check_open()
        gone = self._unavailable
        if gone is not None and (self.backend is None or gone.error.family == "InvalidInput"):
            # It never started. Once it did, each job is told for itself, with what it had reached.
            raise rebuild(gone.error)
        try:
            message: FromDispatcher = decode(self._decoder, self._node.channel.receive(timeout_s))
        except ChannelClosed:
            self._revive()
            return None
        if isinstance(message, Open):
            self.backend = message.backend
        elif isinstance(message, Unavailable):
            self._unavailable = message
        elif isinstance(message, Restarted):
            self._jobs[message.job_id].begin_anew()
        else:
            self._take(message)
            if isinstance(message, Progress | Log) and message.job_id == wanted.job_id:
                return message
        return None

    def _take(self, message: Event | Paused | Ended) -> None:
        job = self._jobs.get(message.job_id)
        if job is None:
            return
        steps, paused = job.furthest, job.state is JobState.PAUSED
        job._take(message)
        if isinstance(message, Ended):
            del self._jobs[message.job_id]
            if paused and job._submit.private:
                # The dispatcher, to whom the file belongs otherwise, has let go of it.
                Path(job._submit.journal).unlink(missing_ok=True)
        if isinstance(message, Ended) or job.furthest > steps:
            self._restarts = 0

    def close(self) -> None:
        """End the runtime with all its processes; jobs that have not ended are lost. Closing twice is allowed."""
        self._closed = True
        self._node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LocalRuntime of {self.backend_name}, {len(self._jobs)} jobs under way>"


def wait(job: Job, on_event: Callable[[Event], None] | None = None) -> JobResult:
    """Wait for a job; Ctrl-C stops it gracefully, a second one kills it, a third is raised."""
    with _interrupts_cancel(job):
        for event in job.events():
            if on_event is not None:
                on_event(event)
    return job.result()


@contextmanager
def _interrupts_cancel(job: Job) -> Iterator[None]:
    """While entered, Ctrl-C cancels the job, where this thread is the one to decide and nobody else has."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    count = 0

    def cancel(number: int, frame: FrameType | None) -> None:
        # An exception from here could fall between a message and its being taken in, and lose it.
        nonlocal count
        count += 1
        if count > 2:
            signal.default_int_handler(number, frame)
        job.cancel(kill=count > 1)

    signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run(
    algorithm: Any,
    *,
    parameters: Mapping[str, Any] | None = None,
    backend: str = DEFAULT_BACKEND,
    shots: int | None = DEFAULT_SHOTS,
    seed: int | None = None,
    limits: Limits | None = None,
    isolation: str | None = None,
) -> JobResult:
    """Run one algorithm on this machine and wait for its result.

    It runs in a process of its own, beside a quantum runtime, exactly as it would next to a QPU. A job that
    failed is a result, too: see `JobResult.state`, or call `raise_for_error()`.

    Args:
        algorithm: A `HybridAlgorithm` subclass, a function marked `@hybrid`, or the path of a file.
        backend: Name of the quantum backend.
        isolation: How far the algorithm is kept apart: see `LocalRuntime`.

    The others are those of `LocalRuntime.submit`.

    Raises:
        InvalidInput: something given cannot be used.
        BackendUnknown: no backend has that name.
    """
    with LocalRuntime(backend, isolation=isolation) as client:
        return client.run(algorithm, parameters=parameters, shots=shots, seed=seed, limits=limits)
