"""Journals that nobody but the runtime needs, handed from jobs that have ended to jobs that begin.

To make a file, with its space, its mapping and its lock, takes longer than all else that there is to do before a job
can begin; to give the space back takes longer still. So a private journal is emptied and renamed instead. What is in
it stays until then: a job whose client has not heard of its end can be gone through again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.frames import HEADER
from hybrid_runtime.dispatcher.journal import FIRST_SPACE, Fsync, Journal
from hybrid_runtime.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# As many as jobs often run at the same time; each is two descriptors, and a quarter of a megabyte of the disk.
_MOST = 8


class PrivateJournal(Journal):
    """A journal that nobody needs when its job is over.

    Args:
        path: As for any journal.
        look: As for any journal.

    Raises:
        JournalError: as `Journal`.
    """

    def __init__(self, path: Path, look: Callable[[int, bytes], None] | None = None) -> None:
        super().__init__(path, Fsync.NEVER, look)

    @property
    def small(self) -> bool:
        """Whether it has hardly more space than it began with."""
        return self._space <= 2 * FIRST_SPACE

    def begin_anew(self, path: Path) -> None:
        """Become another job's journal, without records, at this path.

        Raises:
            OSError: it cannot be moved there.
        """
        assert self._map is not None
        start, end = len(HEADER), self._end
        # First: whatever happens between the two, no file holds the records of a job that is not its own.
        self._map[start:end] = bytes(end - start)
        self._end = start
        os.rename(self.path, path)
        self.path = path

    def discard(self) -> None:
        """Remove the file, if the disk lets it go: nobody needs it any more."""
        self._end = 0
        with suppress(JournalError):
            self.close()
        with suppress(OSError):
            self.path.unlink()


class Spares:
    """The private journals of one dispatcher that no job has at present."""

    def __init__(self) -> None:
        self._free: list[PrivateJournal] = []

    def take(self, path: Path) -> PrivateJournal:
        """A journal without records at this path, where nothing is.

        Raises:
            JournalError: as `Journal`.
        """
        while self._free:
            journal = self._free.pop()
            try:
                journal.begin_anew(path)
            except OSError:
                journal.discard()  # its folder is gone, or the new one's is not there
            else:
                return journal
        return PrivateJournal(path)

    def put(self, journal: PrivateJournal) -> None:
        """Its job has ended."""
        if journal.small and len(self._free) < _MOST:
            self._free.append(journal)
        else:
            journal.discard()

    def close(self) -> None:
        """Remove them all."""
        while self._free:
            self._free.pop().discard()

    def __len__(self) -> int:
        return len(self._free)
