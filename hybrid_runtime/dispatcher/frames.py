"""The file of a journal: a header, and frames that each hold one encoded record.

A frame is a marker, the length and CRC-32 of its payload, and the payload: see `docs/reference/journal.md`.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING
from zlib import crc32

from hybrid_runtime.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

JOURNAL_VERSION = 1
HEADER = b"HYBRIDJ" + bytes([JOURNAL_VERSION])
FRAME = struct.Struct("<HII")
MARK = 0x4A51
_MARK_BYTES = struct.pack("<H", MARK)
MAX_RECORD_BYTES = 128 * 1024 * 1024
# Read at once.
_WINDOW = 4 * 1024 * 1024


def check_header(head: bytes, path: Path) -> None:
    """Refuse a file that does not begin as a journal does; one may be cut short within its header.

    Raises:
        JournalError: it does not, or it is one of another version.
    """
    if head != HEADER[: len(head)]:
        if len(head) == len(HEADER) and head[:7] == HEADER[:7]:
            raise JournalError(f"{path} is a journal of version {head[7]}; this release reads {JOURNAL_VERSION}")
        raise JournalError(f"{path} is not a journal")


def frames(fd: int, at: int = len(HEADER)) -> Generator[tuple[int, bytes], None, int]:
    """Where each record from offset `at` on begins, and the record as it is encoded, as far as they are whole now.

    The file is read and not mapped: its writer may give back space while it is read, and to look at a page that is gone
    ends the process.

    Returns:
        Where the first one begins that is not.
    """
    unpack, head = FRAME.unpack_from, FRAME.size
    base, used, window = at, 0, b""
    while True:
        start = used + head
        if start > len(window):
            base, used, start = base + used, 0, head
            window = os.pread(fd, _WINDOW, base)
            if len(window) < head:
                return base
        mark, length, crc = unpack(window, used)
        if mark != MARK or not 0 < length <= MAX_RECORD_BYTES:
            return base + used
        end = start + length
        if end > len(window):
            base, used, start, end = base + used, 0, head, head + length
            window = os.pread(fd, max(_WINDOW, end), base)
        payload = window[start:end]
        if crc32(payload) != crc or len(payload) < length:
            return base + used
        yield base + used, payload
        used = end


def frame_in(data: bytes) -> bool:
    """Whether a whole frame stands anywhere in this: then what is before it is no torn tail."""
    at = 0
    while True:
        at = data.find(_MARK_BYTES, at)
        if at < 0 or at + FRAME.size > len(data):
            return False
        _, length, crc = FRAME.unpack_from(data, at)
        start = at + FRAME.size
        if 0 < length <= len(data) - start and crc32(data[start : start + length]) == crc:
            return True
        at += 1
