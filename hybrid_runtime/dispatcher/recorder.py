"""Writes one job's steps to its journal, and opens it again to go on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.journal import (
    Began,
    Branched,
    Defined,
    Drawn,
    Fsync,
    Journal,
    Moved,
    Noted,
    Over,
    Record,
    Resumed,
    Steered,
    Stepped,
    Turned,
    read,
)
from hybrid_runtime.dispatcher.spares import PrivateJournal, Spares
from hybrid_runtime.dispatcher.surveying import DISPATCHER_LOST, WORKER_LOST, Survey, Surveyor, refuse_completed
from hybrid_runtime.errors import ErrorData, JournalError
from hybrid_runtime.protocol.bundles import content_hash
from hybrid_runtime.protocol.replay import Frames, canonical, program_hash, request_hash

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from hybrid_runtime.program import Program
    from hybrid_runtime.protocol.control import Ended, Submit
    from hybrid_runtime.protocol.messages import Capabilities, Step


class Recorder:
    """Keeps one job's journal, from the dispatcher's side; its methods that return nothing raise `JournalError`.

    Args:
        submit: The job, which names its journal.
        backend: The backend that runs it.
        spares: Where a private journal comes from, and goes in the end.

    Raises:
        JournalError: the journal cannot be written or read, or is another job's, or the job has completed.

    Attributes:
        steps: Steps in the journal.
        past: Offset up to which the journal holds what happened before; 0 for a new job.
        kept: Which of its answers count; None for all.
        answers: How many do.
        began_on: The backend that its first step ran on.
        moved_to: The backend, where it is another than the one that answered last.
        optimizers: Methods that take over, each after so many steps, where the job was forked for that.
        live: Whether an algorithm that goes another way than before is let go it.
        forgone: Why the journal, a private one, is not kept any more; empty while it is.
    """

    def __init__(self, submit: Submit, backend: Capabilities, spares: Spares) -> None:
        self.path = Path(submit.journal)
        surveyor = Surveyor(self.path)
        self._spares = spares
        self._journal: Journal
        if not submit.private:
            self._journal = Journal(self.path, Fsync(submit.fsync), surveyor.look)
        elif submit.resume:
            self._journal = PrivateJournal(self.path, surveyor.look)
        else:
            self._journal = spares.take(self.path)
        self._append: Callable[[Record], None] = self._append_or_forgo if submit.private else self._journal.append
        self.live = submit.on_divergence == "live"
        self._bodies = submit.keep_requests
        self._hashes: dict[int, bytes] = {}
        self._frames = Frames(self._hashes)
        self._defined: set[bytes] = set()
        self._request = b""
        self.steps = 0
        self.past = 0
        self.forgone = ""
        self._retired = False
        self._lost_at: int | None = None
        try:
            self._open(submit, backend, surveyor.found())
        except JournalError:
            self.close()
            raise

    def _open(self, submit: Submit, backend: Capabilities, known: Survey) -> None:
        self.kept, self.answers = known.kept, known.answers
        self.began_on, self.moved_to = backend, None
        self.optimizers = [] if known.forked is None else known.forked.optimizers
        if known.began is None:
            hashed, environment = content_hash(submit.bundle), environment_here()
            job_id, seed, shots, limits = submit.job_id, submit.seed, submit.shots, submit.limits
            self._append(Began(job_id, hashed, environment, seed, shots, limits, submit.parameters, backend))
            return
        if not submit.resume or known.began.job_id != submit.job_id:
            raise JournalError(f"{self.path} holds job {known.began.job_id} already: name another file")
        if submit.resume != DISPATCHER_LOST:
            # Its client may not have heard of the end: gone through again, without executing anything, it has the same.
            refuse_completed(known, self.path)
        refuse_environment(known.began, self.path, self.live)
        self.past = self._journal.end
        self.steps = known.steps
        self._append(Resumed(known.steps, submit.resume))
        self.began_on = known.began.backend
        if known.backend != backend:
            self.moved_to = backend
            self._append(Moved(backend))
        if submit.resume == WORKER_LOST:
            self._lost_at = known.steps

    @property
    def may_replay(self) -> bool:
        """Whether a lost worker's job is to begin anew: not when that has just been tried, without any step since."""
        return self._lost_at != self.steps and not self.forgone

    def _append_or_forgo(self, record: Record) -> None:
        """Add a record; where that cannot be done, the job goes on, but cannot be taken up again."""
        try:
            self._journal.append(record)
        except JournalError as error:
            self.forgone = str(error)
            self._append = _forgo

    def program(self, name: bytes) -> Program | None:
        """The recorded program of this hash; None where none is kept."""
        return next((one.program for one in read(self.path) if isinstance(one, Defined) and one.hash == name), None)

    def define(self, programs: list[tuple[int, Program]]) -> None:
        """The worker defined these programs, by its own numbers."""
        self._frames.clear()
        for number, program in programs:
            name = self._hashes[number] = program_hash(program)
            if name not in self._defined and self._bodies:
                self._defined.add(name)
                self._append(Defined(name, program))

    def forget(self, numbers: list[int]) -> None:
        """The worker has no more use for these."""
        for number in numbers:
            name = self._hashes.pop(number, None)
            if name is not None:
                self._defined.discard(name)
        self._frames.clear()

    def asked(self, step: Step) -> None:
        """A step was asked for; it is kept when it is answered."""
        calls = step.calls
        if len(calls) == 1:
            call = calls[0]
            request = self._frames.one(call.program, call.shots, call.rows, call.values, call.raw)
        else:
            request = canonical(calls, self._hashes)
        self._request = request if self._bodies else request_hash(request)

    def stepped(self, number: int, items: msgspec.Raw, shots: int, duration_s: float) -> None:
        """The step asked for was executed; its results are about to be delivered."""
        self._append(Stepped(number, self._request, items, shots, duration_s))
        self._journal.deliver()
        self.steps += 1

    def turned(self, number: int, error: ErrorData) -> None:
        """The step asked for is refused; the algorithm is about to be told."""
        self._append(Turned(number, self._request, error))
        self._journal.deliver()

    def drawn(self, values: list[float | bytes]) -> None:
        """The algorithm drew these, and is about to ask for a step that may depend on them."""
        self._append(Drawn(values))

    def moved(self, backend: Capabilities) -> None:
        """Another backend runs the job from now on."""
        self._append(Moved(backend))

    def branched(self, kept: int) -> None:
        """The algorithm goes another way after so many answers: the others do not count any more."""
        self._append(Branched(kept))

    def noted(self, metrics: list[tuple[str, float]], logs: list[str]) -> None:
        """Metrics and log lines came."""
        self._append(Noted(metrics, logs))

    def noted_last(self, metrics: list[tuple[str, float]], logs: list[str]) -> str | None:
        """Those came with the algorithm's end, if any; why they are not in the journal, if they are not."""
        return self._quietly(Noted(metrics, logs)) if metrics or logs else None

    def steered(self, command: str) -> str | None:
        """The user gave a command; why it is not in the journal, if it is not."""
        return self._quietly(Steered(command))

    def over(self, report: Ended) -> str | None:
        """The job is over; why that is not in the journal, if it is not."""
        return self._quietly(Over(report.state.value, report.stop_reason.value, report.value, report.error))

    def _quietly(self, record: Record) -> str | None:
        try:
            self._append(record)
        except JournalError as error:
            return str(error)
        return None

    def retire(self) -> None:
        """The job is over, and whoever wanted to know has been told: nobody needs a private journal any more."""
        if isinstance(self._journal, PrivateJournal) and not self._retired:
            self._retired = True
            self._spares.put(self._journal)

    def close(self) -> str | None:
        """Close the file; what of it is not on the disk, if anything. Closing twice is allowed."""
        if not self._retired:
            try:
                self._journal.close()
            except JournalError as error:
                return str(error)
        return None


def _forgo(_record: Record) -> None:
    """The journal is not kept any more."""


def environment_here() -> str:
    """What an algorithm is run with here, as a journal says it."""
    return f"python {platform.python_version()}"


def refuse_environment(began: Began, path: Path, live: bool) -> None:
    """Refuse to resume a job where it would not do the same again.

    Raises:
        JournalError: it was recorded under another Python.
    """
    then, here = (text.rpartition(".")[0] for text in (began.environment, environment_here()))
    if then != here and not live:
        raise JournalError(
            f"{path} was recorded with {began.environment}, here is {environment_here()}: resume it with that one, "
            "or let the job go its own way from where it differs (on_divergence 'live')"
        )
