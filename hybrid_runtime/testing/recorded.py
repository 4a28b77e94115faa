"""A recorded run, gone through again in this process: the algorithm and its past, without a backend or a sandbox.

::

    run = replay("runs/20261123-143132-9f2d31", "vqe.py")
    assert run.same, f"{run.value} was {run.recorded}"

The algorithm runs here, in the foreground, so a debugger can look at it. What it asks for is compared with what is
recorded, and answered with the recorded results.
"""

from __future__ import annotations

import math
import random
import sys
import tempfile
import time
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hybrid_runtime.bundle import as_bundle
from hybrid_runtime.classical.worker import Worker
from hybrid_runtime.dispatcher.divergence import divergence
from hybrid_runtime.dispatcher.journal import valid_end
from hybrid_runtime.dispatcher.recall import Recall
from hybrid_runtime.dispatcher.stop import Usage
from hybrid_runtime.dispatcher.surveying import Survey, survey
from hybrid_runtime.errors import (
    ErrorData,
    InvalidInput,
    JournalError,
    rebuild,
)
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.bundles import encode_bundle
from hybrid_runtime.protocol.messages import (
    Diverged,
    Failed,
    Finished,
    FromWorker,
    Load,
    More,
    Step,
    Stop,
    decode,
    decoder,
    encode,
)
from hybrid_runtime.submission import journal_of, kept_bundle
from hybrid_runtime.values import decode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hybrid_runtime.algorithm import History
    from hybrid_runtime.circuit import Circuit
    from hybrid_runtime.context import Answered


class Replayed(NamedTuple):
    """What a replay came to."""

    value: Any
    """What the algorithm returned now."""
    recorded: Any
    """What it returned then; None where the run was interrupted."""
    same: bool
    """Whether both are equal to the last bit, in a run that was recorded to its end."""
    steps: int
    """Steps that were answered."""
    stop_reason: StopReason
    """Why it ended then; `cancelled` where the journal, or the replay, ended before the algorithm did."""
    error: ErrorData | None
    """The algorithm's error, when it failed; the exception itself is given to `on_error`."""
    logs: list[str]
    """What it logged."""
    history: History | None
    """What the algorithm's own `History` held at the end; None when it could not be loaded."""


def replay(
    path: str | Path,
    algorithm: Any = None,
    *,
    until: int | None = None,
    on_step: Callable[[int], None] | None = None,
    on_error: Callable[[BaseException], None] | None = None,
) -> Replayed:
    """Run an algorithm here, against the results of a recorded run.

    Args:
        path: Folder `DIR/JOB_ID` that `--out DIR` kept of the run, or the journal in it.
        algorithm: What to run: a class, a function marked `@hybrid` or a file; as it was then when None.
        until: Stop after so many steps.
        on_step: Called with the number of each step, when its results are at hand.
        on_error: Called with the exception of an algorithm that fails, while its frames are still alive.

    Raises:
        ReplayDiverged: the algorithm asks for other steps than before; the text shows both.
        JournalError: the journal cannot be read, or is corrupt.
        BundleError: the algorithm as it was then has not been kept beside the journal.
    """
    if until is not None and until < 1:
        raise InvalidInput(f"a replay goes to a step from 1, not {until}")
    journal = journal_of(path)
    known = survey(journal)
    began = known.began
    if began is None:
        raise JournalError(f"{journal} is empty: its job never began")
    bundle = kept_bundle(journal) if algorithm is None else as_bundle(algorithm)
    load = Load(
        began.job_id,
        encode_bundle(bundle),
        began.parameters,
        began.seed,
        began.shots,
        began.limits,
        began.backend,
        replay=True,
        optimizers=[] if known.forked is None else known.forked.optimizers,
    )
    past = _Past(journal, known)
    with tempfile.TemporaryDirectory(prefix="hybrid-runtime-replay-") as folder, _as_it_was():
        worker = _ForegroundWorker(past, Path(folder), until=until, on_step=on_step, on_error=on_error)
        # Parting at its very end, an algorithm has no frame left that could see it.
        with suppress(_Parted):
            outcome = worker.drive(load)
    if past.diverged is not None:
        raise rebuild(divergence(past.diverged))
    return _replayed(outcome, worker, past, known)


def _replayed(outcome: Finished | Failed, worker: _ForegroundWorker, past: _Past, known: Survey) -> Replayed:
    ended = known.over is not None and not past.exhausted and not worker.cut
    return Replayed(
        value=decode_value(outcome.value),
        recorded=None if known.over is None else decode_value(known.over.value),
        same=ended and known.over is not None and known.over.value == outcome.value,
        steps=worker.steps,
        stop_reason=past.stop_reason if ended else StopReason.CANCELLED,
        error=outcome.error if isinstance(outcome, Failed) else None,
        logs=worker.lines,
        history=worker.history,
    )


class _Parted(BaseException):
    """The algorithm has left its recorded path: nothing it does from here on counts."""


class _Past:
    """Stands where a worker's channel is, and answers it as a dispatcher would that has the journal and no backend.

    Attributes:
        stop_reason: Why the run ended.
        exhausted: Whether the algorithm asked for more than is recorded.
        diverged: What it asked for instead of what is recorded.
    """

    def __init__(self, journal: Path, known: Survey) -> None:
        over = known.over
        self.stop_reason = StopReason(over.stop_reason) if over else StopReason.CANCELLED
        self.exhausted = False
        self.diverged: Diverged | None = None
        self._over = over
        self._from_worker = decoder(FromWorker)
        self._answers: deque[bytes] = deque()
        began = known.began
        assert began is not None
        usage = Usage(began.limits, time.perf_counter())
        self._recall = Recall(journal, valid_end(journal), usage, _ignore, kept=known.kept)

    def send(self, data: bytes) -> None:
        """Take in what the worker says."""
        message = decode(self._from_worker, data)
        if isinstance(message, More):
            self._answers.append(encode(self._recall.batch()))
        elif isinstance(message, Step):
            # What stopped it then is told again; an interrupted run has nothing more to say.
            self.exhausted = self._over is None or self.stop_reason in (StopReason.DONE, StopReason.ERROR)
            self._answers.append(encode(Stop(self.stop_reason.value)))
        elif isinstance(message, Diverged):
            self.diverged = message
            raise _Parted

    def receive(self) -> bytes:
        """The answer to what was sent last."""
        return self._answers.popleft()

    def receive_nowait(self) -> bytes | None:
        """Nothing comes by itself."""
        return None


class _ForegroundWorker(Worker):
    """A worker in this process, which neither confines itself nor takes the process's signals."""

    def __init__(
        self,
        past: _Past,
        folder: Path,
        *,
        until: int | None,
        on_step: Callable[[int], None] | None,
        on_error: Callable[[BaseException], None] | None,
    ) -> None:
        super().__init__(past, folder)  # type: ignore[arg-type]  # it has what a worker uses of a channel
        self._past = past
        self._until = math.inf if until is None else until
        self._on_step = on_step
        self._on_error = on_error
        self.lines: list[str] = []
        self.steps = 0
        self.cut = False

    def drive(self, load: Load) -> Finished | Failed:
        """Take the algorithm from its beginning to its end."""
        outcome = self._job(load)
        self.lines += outcome.logs
        return outcome

    @property
    def history(self) -> History | None:
        """What happened to the algorithm."""
        return None if self._context is None else self._context.history

    def _exchange(self, circuits: list[Circuit]) -> Answered:
        if self._past.diverged is not None:
            raise _Parted  # the algorithm has caught the first one
        self._flush()
        if self.steps >= self._until:
            self.cut = True
            raise self._stopped(Stop(StopReason.CANCELLED.value))
        answered = super()._exchange(circuits)
        self.steps += 1
        if self._on_step is not None:
            self._on_step(self.steps)
        return answered

    def _failed(self, stage: str, error: BaseException, value: Any = None) -> Failed:
        if self._on_error is not None and self._past.diverged is None:
            self._on_error(error)
        return super()._failed(stage, error, value)

    def _flush(self) -> None:
        _, logs = self._notes.take()
        self.lines += logs


def _ignore(_metrics: list[tuple[str, float]], _logs: list[str]) -> None:
    """What was noted then is noted again by the algorithm."""


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Leave this process's generators, import path and modules as they were."""
    numpy = sys.modules.get("numpy")
    state, numpy_state = random.getstate(), None if numpy is None else numpy.random.get_state()
    paths, modules = list(sys.path), set(sys.modules)
    folder_modules = Path(tempfile.gettempdir())
    try:
        yield
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
        sys.path[:] = paths
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder_modules):
                del sys.modules[name]
