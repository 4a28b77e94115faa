"""Reads a journal in pieces, from any record on, while its job may be running.

`journal.read` maps the file, which is quickest for one that is at rest. A writer that closes gives back the space it
did not use, and who then looks at the mapping beyond the new end is killed: a server reads instead.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher.journal import FRAME, HEADER, MARK, MAX_RECORD_BYTES, Record
from hybrid_runtime.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_READ_BYTES = 256 * 1024
_decode = msgspec.msgpack.Decoder(Record).decode


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
        window, used = b"", 0
        while True:
            if len(window) - used < FRAME.size:
                window, used = os.pread(self._fd, _READ_BYTES, at), 0
                if len(window) < FRAME.size:
                    return
            mark, length, crc = FRAME.unpack_from(window, used)
            if mark != MARK or length > MAX_RECORD_BYTES:
                return
            size = FRAME.size + length
            if len(window) - used < size:
                window, used = os.pread(self._fd, size + _READ_BYTES, at), 0
            payload = window[used + FRAME.size : used + size]
            if len(payload) < length or zlib.crc32(payload) != crc:
                return
            try:
                record: Record = _decode(payload)
            except msgspec.DecodeError as error:
                raise JournalError(f"{self._path} is corrupt at offset {at}: {error}") from error
            yield at, at + size, record
            used += size
            at += size
