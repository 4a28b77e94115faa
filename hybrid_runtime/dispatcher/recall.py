"""Gives a job's recorded past to its new worker, piece by piece, and to the dispatcher's own books."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher.journal import Drawn, Moved, Noted, Resumed, Stepped, Turned, read
from hybrid_runtime.errors import JournalError
from hybrid_runtime.protocol.messages import Replay, Special

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from hybrid_runtime.dispatcher.journal import Record
    from hybrid_runtime.dispatcher.stop import Usage
    from hybrid_runtime.protocol.messages import Capabilities

# While a batch is read, other jobs wait for a few milliseconds.
BATCH_BYTES = 256 * 1024
_NO_ITEMS = msgspec.Raw(b"\x90")
_NOTHING_USED = (0, 0.0)
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
        self._ahead: tuple[Replay, Notes] | JournalError | None = None

    def batch(self) -> Replay:
        """The next steps, a fair number of them, and whether they are the last; what they used and noted counts.

        Raises:
            JournalError: the journal is corrupt, at the offset that the text gives.
        """
        self.read_ahead()
        ahead, self._ahead = self._ahead, None
        if isinstance(ahead, JournalError):
            raise ahead
        assert ahead is not None
        replay, notes = ahead
        answered = self._usage.answered
        for used in replay.used:
            if used is not _NOTHING_USED:  # as by a step that was refused
                answered(*used)
        for metrics, logs in notes:
            self._take_notes(metrics, logs)
        return replay

    def read_ahead(self) -> None:
        """Read what `batch` will give next, while nobody waits for it."""
        if self._ahead is None:
            try:
                self._ahead = self._read()
            except JournalError as error:
                self._ahead = error

    def _read(self) -> tuple[Replay, Notes]:
        requests: list[bytes] = []
        items: list[msgspec.Raw] = []
        used: list[tuple[int, float]] = []
        special: list[Special] = []
        notes: Notes = []
        size = 0
        for record in self._records:
            if isinstance(record, Stepped | Turned):
                if self._kept is not None and not self._counts():
                    self._forget()
                    continue
                if self._notes:
                    notes += self._notes
                    self._notes.clear()
                error = None
                if isinstance(record, Stepped):
                    items.append(record.items)
                    used.append((record.shots, record.duration_s))
                    size += len(record.items)
                else:
                    items.append(_NO_ITEMS)
                    used.append(_NOTHING_USED)
                    error = record.error
                if error is not None or self._moved is not None or self._drawn:
                    special.append(Special(len(requests), error, self._moved, self._drawn))
                    self._moved, self._drawn = None, []
                requests.append(record.request)
                size += len(record.request)
                if size >= BATCH_BYTES:
                    return Replay(requests, items, used, False, special), notes
            else:
                self._take(record)
        return Replay(requests, items, used, True, special, self._moved_to, self._drawn), notes

    def _take(self, record: Record) -> None:
        """What stands between two answers."""
        if isinstance(record, Noted):
            self._notes.append((record.metrics, record.logs))
        elif isinstance(record, Drawn):
            self._drawn += record.values
        elif isinstance(record, Moved):
            self._moved = record.backend
        elif isinstance(record, Resumed):
            # The step that these belonged to was never answered: the algorithm has made them again since.
            self._forget()

    def _counts(self) -> bool:
        """Whether the next answer of the file does."""
        assert self._kept is not None
        number, self._number = self._number, self._number + 1
        while self._kept and number >= self._kept[0].stop:
            del self._kept[0]
        return bool(self._kept) and number in self._kept[0]

    def _forget(self) -> None:
        self._notes.clear()
        self._drawn = []
