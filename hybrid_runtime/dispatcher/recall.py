"""Gives a job's recorded past to its new worker, piece by piece, and to the dispatcher's own books."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher.journal import Drawn, Moved, Noted, Resumed, Stepped, Turned, read
from hybrid_runtime.protocol.messages import RecordedStep, Replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from hybrid_runtime.dispatcher.stop import Usage
    from hybrid_runtime.errors import ErrorData
    from hybrid_runtime.protocol.messages import Capabilities

BATCH_BYTES = 1024 * 1024
_NO_ITEMS = msgspec.Raw(b"\x90")
Notes = list[tuple[list[tuple[str, float]], list[str]]]


class Recall:
    """The recorded steps of one job, each read once, in order.

    Args:
        path: The journal.
        until: Offset up to which it holds what happened before.
        usage: Is told of each step.
        take_notes: Is given the metrics and log lines of each step.
        kept: Which of its answers count; None for all.
        moved_to: The backend that the job asks after them, where it is another one.
    """

    def __init__(
        self,
        path: Path,
        until: int,
        usage: Usage,
        take_notes: Callable[[list[tuple[str, float]], list[str]], None],
        *,
        kept: Iterable[range] | None = None,
        moved_to: Capabilities | None = None,
    ) -> None:
        self._records = read(path, until)
        self._usage = usage
        self._take_notes = take_notes
        self._kept = None if kept is None else list(kept)
        self._number = 0
        self._moved_to = moved_to
        self._notes: Notes = []
        self._moved: Capabilities | None = None
        self._drawn: list[float | bytes] = []
        self._next = self._read()

    def batch(self) -> Replay:
        """The next steps, about a megabyte of them, and whether they are the last.

        Raises:
            JournalError: the journal is corrupt, at the offset that the text gives.
        """
        steps: list[RecordedStep] = []
        size = 0
        while self._next is not None and size < BATCH_BYTES:
            steps.append(self._next)
            size += len(self._next.request) + len(self._next.items)
            self._next = self._read()
        if self._next is not None:
            return Replay(steps, False)
        return Replay(steps, True, self._moved_to, self._drawn)

    def _read(self) -> RecordedStep | None:
        """The next step; what it used and noted counts from here on."""
        for record in self._records:
            kind = type(record)
            if kind is Stepped or kind is Turned:
                if self._kept is not None and not self._counts():
                    self._forget()
                    continue
                if self._notes:
                    self._keep_notes()
                if kind is Turned:
                    return self._step(record.request, _NO_ITEMS, record.error)  # type: ignore[union-attr]
                self._usage.answered(record.shots, record.duration_s)  # type: ignore[union-attr]
                if self._moved is None and not self._drawn:
                    return RecordedStep(record.request, record.items)  # type: ignore[union-attr]
                return self._step(record.request, record.items, None)  # type: ignore[union-attr]
            if kind is Noted:
                self._notes.append((record.metrics, record.logs))  # type: ignore[union-attr]
            elif kind is Drawn:
                self._drawn += record.values  # type: ignore[union-attr]
            elif kind is Moved:
                self._moved = record.backend  # type: ignore[union-attr]
            elif kind is Resumed:
                # The step that these belonged to was never answered: the algorithm has made them again since.
                self._forget()
        return None

    def _counts(self) -> bool:
        """Whether the next answer of the file does."""
        assert self._kept is not None
        number, self._number = self._number, self._number + 1
        while self._kept and number >= self._kept[0].stop:
            del self._kept[0]
        return bool(self._kept) and number in self._kept[0]

    def _step(self, request: bytes, items: msgspec.Raw, error: ErrorData | None) -> RecordedStep:
        step = RecordedStep(request, items, error, self._moved, self._drawn)
        self._moved, self._drawn = None, []
        return step

    def _forget(self) -> None:
        self._notes.clear()
        self._drawn = []

    def _keep_notes(self) -> None:
        for metrics, logs in self._notes:
            self._take_notes(metrics, logs)
        self._notes.clear()
