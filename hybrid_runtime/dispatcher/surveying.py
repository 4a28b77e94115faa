"""What a journal says about its job as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hybrid_runtime.dispatcher.branches import Branches
from hybrid_runtime.dispatcher.journal import (
    Began,
    Branched,
    Forked,
    Moved,
    Over,
    Resumed,
    Turned,
    corrupt,
    decoded,
    is_step,
    payloads,
)
from hybrid_runtime.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

    from hybrid_runtime.protocol.messages import Capabilities

# Why a job is taken up again.
WORKER_LOST = "worker lost"
DISPATCHER_LOST = "dispatcher lost"


class Survey(NamedTuple):
    """What was found.

    Attributes:
        began: What the job is; None in an empty journal.
        steps: Steps answered.
        over: How it ended; None when it was interrupted.
        lost_at: After how many steps the worker was lost, when that is why the job was taken up the last time.
        backend: The backend that answered last.
        kept: Which of its answers count, by their number in the file; None for all.
        answers: How many of them count.
        forked: What it was forked from; None where it was not.
    """

    began: Began | None
    steps: int
    over: Over | None
    lost_at: int | None
    backend: Capabilities | None
    kept: list[range] | None
    answers: int
    forked: Forked | None = None


class Surveyor:
    """Looks at the records of a journal, one after the other. Steps are counted and not decoded.

    Args:
        path: The journal, for error messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._branches = Branches()
        self._began: Began | None = None
        self._over: Over | None = None
        self._forked: Forked | None = None
        self._lost_at: int | None = None
        self._backend: Capabilities | None = None

    def look(self, at: int, payload: bytes) -> None:
        """The next record, which begins at this offset.

        Raises:
            JournalError: it is none.
        """
        if is_step(payload):
            self._branches.answered(True)
            return
        try:
            record = decoded(payload)
        except msgspec.DecodeError as error:
            raise corrupt(self._path, at, error) from error
        if isinstance(record, Turned):
            self._branches.answered(False)
        elif isinstance(record, Began):
            self._began, self._backend = record, record.backend
        elif isinstance(record, Over):
            self._over = record
        elif isinstance(record, Forked):
            self._forked = record
        elif isinstance(record, Moved):
            self._backend = record.backend
        elif isinstance(record, Branched):
            self._branches.cut(record.kept)
        elif isinstance(record, Resumed):
            self._over = None
            self._lost_at = record.number if record.why == WORKER_LOST else None

    def found(self) -> Survey:
        """What they say."""
        branches = self._branches
        return Survey(
            began=self._began,
            steps=branches.steps,
            over=self._over,
            lost_at=self._lost_at,
            backend=self._backend,
            kept=branches.kept,
            answers=len(branches.executed),
            forked=self._forked,
        )


def survey(path: Path) -> Survey:
    """Look through a journal.

    Raises:
        JournalError: it cannot be read or is corrupt.
    """
    surveyor = Surveyor(path)
    for at, payload in payloads(path):
        surveyor.look(at, payload)
    return surveyor.found()


def refuse_completed(known: Survey, path: Path) -> None:
    """Refuse to resume a job that has nothing left to do.

    Raises:
        JournalError: it has completed.
    """
    if known.over is not None and known.over.state == "completed":
        raise JournalError(f"the job of {path} has completed: there is nothing to resume; its result is beside it")
