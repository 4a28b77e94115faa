"""Reads a journal in pieces, from any record on, while its job may be running.

`journal.read` is for one at rest: it goes from the beginning to the end, and tells a corrupt journal from one whose end
is torn.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher.frames import FRAME, HEADER, frames
from hybrid_runtime.dispatcher.journal import Record, corrupt, decoded
from hybrid_runtime.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Tail:
    """A journal open for reading.

    Raises:
        JournalError: it cannot be read, or is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise JournalError(f"{path} cannot be read: {error.strerror}") from error
        head = os.pread(self._fd, len(HEADER), 0)
        if head != HEADER[: len(head)]:
            os.close(self._fd)
            raise JournalError(f"{path} is not a journal of the version that this release reads")

    def __enter__(self) -> Tail:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def records(self, at: int = len(HEADER)) -> Iterator[tuple[int, int, Record]]:
        """Where each record begins and ends, and the record, from offset `at` on, as far as they are whole now.

        Raises:
            JournalError: a record is whole but no record.
        """
        for start, payload in frames(self._fd, at):
            try:
                record = decoded(payload)
            except msgspec.DecodeError as error:
                raise corrupt(self._path, start, error) from error
            yield start, start + FRAME.size + len(payload), record
