"""Run algorithms on this machine: one process tree, no server, database or network.

::

    this process ──▶ node (dispatcher) ──▶ fork server ──▶ worker
                                       └─▶ quantum runtime
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from msgspec import structs

from hybrid_runtime.classical.cleaning import remove_tree
from hybrid_runtime.config import child_environment
from hybrid_runtime.dispatcher.output import how_it_died
from hybrid_runtime.errors import (
    ChannelClosed,
    ErrorData,
    InternalError,
    InvalidInput,
    ProtocolError,
    rebuild,
)
from hybrid_runtime.job import JobResult, JobState
from hybrid_runtime.limits import DEFAULT_SHOTS, Limits, whole
from hybrid_runtime.process import interpreter
from hybrid_runtime.protocol.control import (
    Cancel,
    Ended,
    FromDispatcher,
    Log,
    Open,
    Progress,
    Restarted,
    Submit,
    Unavailable,
)
from hybrid_runtime.protocol.messages import Capabilities, decode, decoder, encode
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.submission import as_json, checked_fsync, new_job, resumed_job, writable
from hybrid_runtime.values import decode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType, TracebackType

DEFAULT_BACKEND = "qulacs"
PRELOAD = ("numpy", "scipy.optimize", "cloudpickle", "hybrid_runtime.optimize", "cqasm.v3x")

Event = Progress | Log


class Job:
    """A job given to a `LocalRuntime`; its events and result arrive as they are asked for."""

    def __init__(self, client: LocalRuntime, submit: Submit) -> None:
        self._client = client
        self._submit = submit
        self.job_id = submit.job_id
        self.state = JobState.STARTING
        self.metrics: dict[str, list[float]] = {}
        self.logs: list[str] = []
        self._result: JobResult | None = None

    def cancel(self, *, kill: bool = False) -> None:
        """Stop the job: gracefully, so that `finalize` runs; or at once with `kill`."""
        if self._result is None:
            self._client._send(Cancel(self.job_id, kill))

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """What happens to this job, as it happens, until it ends.

        Raises:
            TimeoutError: nothing happened for `timeout_s`; iterate again to go on.
        """
        while self._result is None:
            event = self._client._next(self, timeout_s)
            if event is not None:
                yield event

    def result(self) -> JobResult:
        """Wait for the job's end; its result, whatever its state."""
        for _ in self.events():
            pass
        assert self._result is not None
        return self._result

    def begin_anew(self) -> None:
        """Forget what was told of it: all of that is told again."""
        self.metrics.clear()
        self.logs.clear()

    def _take(self, event: Event | Ended) -> None:
        if isinstance(event, Progress):
            self.state = event.state
            for name, value in event.metrics:
                self.metrics.setdefault(name, []).append(value)
        elif isinstance(event, Log):
            self.logs += event.lines
        else:
            self.state = event.state
            self._result = self._made(event)

    def _made(self, event: Ended) -> JobResult:
        backend = self._client.backend
        value, error = None, event.error
        try:
            value = decode_value(event.value)
        except ProtocolError as problem:  # it was made beside the algorithm's code, which may have forged it
            error = error or ErrorData(kind="ResultNotEncodable", text=str(problem), family="ResultNotEncodable")
            self.state = JobState.FAILED
        return JobResult(
            value=value,
            state=self.state,
            stop_reason=event.stop_reason,
            steps=event.steps,
            shots=event.shots,
            metrics=self.metrics,
            timing=event.timing,
            error=error,
            job_id=self.job_id,
            backend=backend.name if backend else self._client.backend_name,
            seed=self._submit.seed,
            isolation=event.isolation,
            logs=self.logs,
        )

    def __repr__(self) -> str:
        return f"<Job {self.job_id} {self.state.value}>"


class LocalRuntime:
    """A runtime on this machine that stays up for many jobs: workers are warm from the second one on.

    Use it as a context manager, or call `close`. It belongs to one thread.

    Args:
        backend: Name of the quantum backend; `qulacs` is the built-in emulator.
        options: Options of the backend's driver.
        warm: Workers kept ready.
        preload: Modules that workers are born with.
        isolation: Level at which workers are kept apart: `strict`, `landlock` or `process`; the strictest that this
            host can give when None, never `process`.
        trace: File for a waterfall of every step in Chrome's trace format, complete after `close`.

    Raises:
        InvalidInput: one of these cannot be used.
        BackendUnknown: no backend has that name. This and every failure to start is raised by the first job.
    """

    def __init__(
        self,
        backend: str = DEFAULT_BACKEND,
        *,
        options: Mapping[str, Any] | None = None,
        warm: int = 1,
        preload: tuple[str, ...] = PRELOAD,
        isolation: str | None = None,
        trace: str | Path | None = None,
    ) -> None:
        self.backend_name = backend
        self.backend: Capabilities | None = None
        self._jobs: dict[str, Job] = {}
        self._unavailable: Unavailable | None = None
        self._decoder = decoder(FromDispatcher)
        self._closed = False
        command = ["--driver", backend, "--options", as_json(options), "--warm", str(whole("warm", warm, 0, 1000))]
        for name in preload:
            command += ["--preload", name]
        if isolation is not None:
            command += ["--isolation", str(isolation)]
        if trace is not None:
            command += ["--trace", str(writable(trace))]
        with ExitStack() as undo:
            self._scratch = Path(tempfile.mkdtemp(prefix="hybrid-runtime-"))
            undo.callback(remove_tree, str(self._scratch))
            self._channel, theirs = SeqPacketChannel.pair()
            undo.callback(self._channel.close)
            place = ["--fd", str(theirs.fileno()), "--scratch", str(self._scratch)]
            try:
                self._process = subprocess.Popen(
                    interpreter("hybrid_runtime.node", *place, *command),
                    pass_fds=[theirs.fileno()],
                    env=child_environment(),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            finally:
                theirs.close()
            undo.pop_all()

    def submit(
        self,
        algorithm: Any,
        *,
        parameters: Mapping[str, Any] | None = None,
        shots: int = DEFAULT_SHOTS,
        seed: int | None = None,
        limits: Limits | None = None,
        job_id: str | None = None,
        journal: str | Path | None = None,
        fsync: str = "group",
    ) -> Job:
        """Give the runtime a job; returns at once.

        Args:
            algorithm: A `HybridAlgorithm` subclass, a function marked `@hybrid`, a `Bundle`, or the path of a
                file that holds one (`"vqe.py"`, `"vqe.py:Name"`).
            parameters: What the algorithm sees as `context.parameters`.
            shots: Shots of circuits that name none.
            seed: Makes the run repeatable; drawn at random when None, and told in the result.
            limits: When to stop.
            job_id: The job's name; made up when None.
            journal: File that keeps every step, so that `resume` can go on from it; it must not exist. A job with
                a journal also outlives the loss of its worker.
            fsync: When the journal is forced to the disk: at every `step`, for a `group` of steps, or `never`.

        Raises:
            InvalidInput: one of these cannot be used.
        """
        self._check_open()
        submit = new_job(algorithm, parameters=parameters, shots=shots, seed=seed, limits=limits)
        if job_id is not None or journal is not None:
            submit = structs.replace(
                submit,
                job_id=job_id or submit.job_id,
                journal=str(Path(journal).absolute()) if journal else "",
                fsync=checked_fsync(fsync),
            )
        return self._begin(submit)

    def resume(self, algorithm: Any, journal: str | Path, *, fsync: str = "group") -> Job:
        """Take up the job of this journal after its last step; parameters, shots, seed and limits are those it had.

        Args:
            algorithm: As for `submit`; it must do the same again up to there.
            journal: The file.
            fsync: As for `submit`.

        Raises:
            JournalError: the journal cannot be used, its job is still running, or has completed.
        """
        self._check_open()
        return self._begin(resumed_job(algorithm, Path(journal), fsync))

    def _begin(self, submit: Submit) -> Job:
        job = self._jobs[submit.job_id] = Job(self, submit)
        self._send(submit)
        return job

    def run(self, algorithm: Any, **keywords: Any) -> JobResult:
        """Submit a job (see `submit`) and wait for its end."""
        job = self.submit(algorithm, **keywords)
        return wait(job)

    def _send(self, message: Submit | Cancel) -> None:
        self._check_open()
        try:
            self._channel.send(encode(message))
        except ChannelClosed as error:
            raise self._lost() from error

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidInput("this LocalRuntime has been closed: make another")

    def _lost(self) -> InternalError:
        try:
            how = how_it_died(self._process.wait(timeout=1))
        except subprocess.TimeoutExpired:
            how = "does not answer any more"
        return InternalError(f"the runtime's dispatcher {how}; what it printed may say why")

    def _next(self, wanted: Job, timeout_s: float | None) -> Event | None:
        """Take in one message; the event if it is about this job."""
        self._check_open()
        gone = self._unavailable
        if gone is not None and (self.backend is None or gone.error.family == "InvalidInput"):
            # It never started. Once it did, each job is told for itself, with what it had reached.
            raise rebuild(gone.error)
        try:
            message: FromDispatcher = decode(self._decoder, self._channel.receive(timeout_s))
        except ChannelClosed as error:
            raise self._lost() from error
        if isinstance(message, Open):
            self.backend = message.backend
        elif isinstance(message, Unavailable):
            self._unavailable = message
        elif isinstance(message, Restarted):
            self._jobs[message.job_id].begin_anew()
        else:
            job = self._jobs.get(message.job_id)
            if job is None:
                return None
            job._take(message)
            if isinstance(message, Ended):
                del self._jobs[message.job_id]
            elif job is wanted:
                return message
        return None

    def close(self) -> None:
        """End the runtime with all its processes; jobs that have not ended are lost. Closing twice is allowed."""
        self._closed = True
        self._channel.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        remove_tree(str(self._scratch))

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
    shots: int = DEFAULT_SHOTS,
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
