"""The append-only record of a job's steps: the source of resume, replay, progress and accounting.

A journal is a file header and then frames, each a marker, the length and CRC-32 of its payload, and the
payload: one record in MessagePack. `docs/reference/journal.md` gives the format.

The file is written through a shared memory mapping of space that was allocated beforehand. A record is in the
kernel's hands as soon as it is copied there, so the death of any process loses nothing that was appended, and
appending costs no system call; power failure loses what `fsync` has not yet covered.
"""

from __future__ import annotations

import mmap
import os
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

import msgspec

from hybrid_runtime.dispatcher.frames import FRAME, HEADER, MARK, check_header, frame_in, frames
from hybrid_runtime.dispatcher.groupsync import GroupSync
from hybrid_runtime.dispatcher.locking import open_locked
from hybrid_runtime.errors import ErrorData, JournalError, JournalFull
from hybrid_runtime.limits import Limits
from hybrid_runtime.program import Program
from hybrid_runtime.protocol.messages import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What a job's folder, of a run that is kept or of a service, calls its journal and its algorithm.
JOURNAL_NAME = "journal.bin"
BUNDLE_NAME = "bundle.bin"
FIRST_SPACE = 256 * 1024
_MOST_SPACE = 16 * 1024 * 1024
# Of one job's journal: millions of steps. What an algorithm says by itself is in it, too, and others need the disk.
MOST_BYTES = 4 << 30


class _Record(msgspec.Struct, frozen=True, array_like=True):
    pass


class Began(_Record, tag="began", frozen=True):
    """First record: what the job is."""

    job_id: str
    bundle_hash: str
    environment: str
    seed: int
    shots: int
    limits: Limits
    parameters: bytes
    backend: Capabilities


class Defined(_Record, tag="program", frozen=True):
    """A program that requests refer to by its hash."""

    hash: bytes
    program: Program


class Stepped(_Record, tag="step", frozen=True, gc=False):
    """A step that was answered: what was asked, in the form of `protocol.replay.canonical`, and the results as the
    quantum runtime encoded them.
    """

    number: int
    request: bytes
    items: msgspec.Raw
    shots: int
    duration_s: float


class Turned(_Record, tag="refused", frozen=True):
    """A step that was refused: the algorithm was told, and went on."""

    number: int
    request: bytes
    error: ErrorData


class Noted(_Record, tag="note", frozen=True):
    """Metrics and log lines that came before or with the request of the next step."""

    metrics: list[tuple[str, float]]
    logs: list[str]


class Drawn(_Record, tag="drawn", frozen=True):
    """What the algorithm drew from the clock (seconds) or from the system's randomness, for the next step."""

    values: list[float | bytes]


class Moved(_Record, tag="moved", frozen=True):
    """Another backend answers from the next step on."""

    backend: Capabilities


class Branched(_Record, tag="branched", frozen=True):
    """The algorithm went another way: of the answers before, steps and refusals, only the first `kept` count."""

    kept: int


class Forked(_Record, tag="forked", frozen=True):
    """The job began with the steps of another job, up to this one.

    `optimizers` are the methods that take over, each with the number of steps after which it does, in order.
    """

    job_id: str
    number: int
    optimizers: list[tuple[str, int]] = []


class Resumed(_Record, tag="resumed", frozen=True):
    """The job is taken up again after an interruption; notes since its newest step, `number`, are taken back."""

    number: int
    why: str


class Steered(_Record, tag="steered", frozen=True):
    """A command of the job's user: `cancel`, `kill` or `pause`."""

    command: str


class Over(_Record, tag="over", frozen=True):
    """Last record: how the job ended."""

    state: str
    stop_reason: str
    value: bytes
    error: ErrorData | None


Record: TypeAlias = (
    Began | Defined | Stepped | Turned | Noted | Drawn | Moved | Branched | Forked | Resumed | Steered | Over
)


class Fsync(StrEnum):
    """When a journal is forced to the disk: this bounds what a power failure can take."""

    STEP = "step"  # before each step's results are delivered
    GROUP = "group"  # every 50 ms
    NEVER = "never"  # when the kernel sees fit


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Record)
_put_head = FRAME.pack_into
# How each begins.
_STEP = _encode(Stepped(0, b"", msgspec.Raw(b"\x90"), 0, 0.0))[: 1 + len("\xa4step")]


class Journal:
    """A journal open for appending, by this process alone.

    Args:
        path: The file; made when it does not exist, continued (its torn tail cut) when it does.
        fsync: When to force it to the disk.
        look: Is given what is in it already: the offset of each record, and the record as it is encoded.
        most_bytes: How large it may become.

    Raises:
        JournalError: the file is corrupt, in use, or cannot be written.
        JournalFull: there is no space.
    """

    def __init__(
        self,
        path: Path,
        fsync: Fsync = Fsync.GROUP,
        look: Callable[[int, bytes], None] | None = None,
        *,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._fsync = fsync
        self._fd = open_locked(path)
        self._map: mmap.mmap | None = None
        self._space = 0
        self._open = True
        self._group: GroupSync | None = None
        try:
            before = os.fstat(self._fd).st_size
            self._end = valid_end(path, look) if before else 0
            self._grow(len(HEADER))
        except JournalError:
            os.close(self._fd)
            raise
        assert self._map is not None
        if self._end == 0:
            self._map[: len(HEADER)] = HEADER
            self._end = len(HEADER)
        # What is beyond the end may be left of a torn record: the next one must not seem to run into it.
        self._clear(before)
        if fsync is Fsync.GROUP:
            self._group = GroupSync(self._fd)

    @property
    def end(self) -> int:
        """The offset at which the next record will stand."""
        return self._end

    def _grow(self, room: int) -> None:
        """Allocate space for at least `room` more bytes, and map it."""
        wanted = max(FIRST_SPACE, min(_MOST_SPACE, self._end), room)
        size = self._end + wanted
        if self._end + room > self._most_bytes:
            most_mb = self._most_bytes >> 20
            raise JournalFull(
                f"the journal {self.path} may not be larger than {most_mb} MiB; split the job into several"
            )
        try:
            os.posix_fallocate(self._fd, 0, size)
        except OSError as error:
            text = f"no space for the journal {self.path}: {error.strerror}; make space, then resume the job"
            raise JournalFull(text) from error
        if self._map is not None:
            self._map.close()
        self._map = mmap.mmap(self._fd, size)
        self._space = size

    def _clear(self, until: int) -> None:
        assert self._map is not None
        tail = self._map[self._end : until]
        if tail.count(0) != len(tail):
            self._map[self._end : until] = bytes(len(tail))

    def append(self, record: Record) -> None:
        """Add a record; it outlives this process from here on.

        Raises:
            JournalFull: there is no space, or it is as large as it may be; nothing was added.
            JournalError: with `Fsync.GROUP`, the disk did not take what was appended before; nothing was added.
        """
        group = self._group
        if group is not None and group.failure is not None:
            raise self._not_on_disk(group.failure)
        payload = _encode(record)
        size = len(payload)
        start = self._end
        end = start + 10 + size
        if end > self._space:
            self._grow(10 + size)
        # The frame's head goes in last: until then a reader sees the old end.
        self._map[start + 10 : end] = payload  # type: ignore[index]
        _put_head(self._map, start, MARK, size, crc32(payload))  # type: ignore[arg-type]
        self._end = end
        if group is not None and group.idle:
            group.wake()

    def deliver(self) -> None:
        """Called before a step's results are given to the algorithm.

        Raises:
            JournalError: with `Fsync.STEP`, the disk did not take them.
        """
        if self._fsync is Fsync.STEP:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                raise self._not_on_disk(error) from error

    def _not_on_disk(self, error: OSError) -> JournalError:
        text = f"the disk does not take the journal {self.path}: {error.strerror}; see to the disk, then resume the job"
        return JournalError(text)

    def close(self) -> None:
        """Give back the space that was not used, force everything to the disk, and close the file.

        Closing twice is allowed.

        Raises:
            JournalError: the disk did not take everything; the file is closed all the same.
        """
        if not self._open:
            return
        self._open = False
        failure = None
        if self._group is not None:
            self._group.close()
            failure = self._group.failure
        if self._map is not None:
            self._map.close()
            self._map = None
        try:
            os.ftruncate(self._fd, self._end)
            if self._fsync is not Fsync.NEVER:
                os.fsync(self._fd)
        except OSError as error:
            failure = error
        finally:
            os.close(self._fd)
        if failure is not None:
            raise self._not_on_disk(failure)


def read(path: Path, until: int | None = None) -> Iterator[Record]:
    """The records of a journal that stand before offset `until`, in order; a torn tail is left out.

    Raises:
        JournalError: it is not a journal, or is corrupt before its end; the text gives the offset.
    """
    decode = _decoder.decode
    for at, payload in payloads(path):
        if until is not None and at + FRAME.size + len(payload) > until:
            return
        try:
            yield decode(payload)
        except msgspec.DecodeError as error:
            raise corrupt(path, at, error) from error


def corrupt(path: Path, at: int, error: msgspec.DecodeError) -> JournalError:
    """The error for a record, whole, that is none."""
    return JournalError(f"{path} is corrupt at offset {at}: {error}")


def decoded(payload: bytes) -> Record:
    """The record that this is.

    Raises:
        msgspec.DecodeError: it is none.
    """
    record: Record = _decoder.decode(payload)
    return record


def is_step(payload: bytes) -> bool:
    """Whether this encoded record is a `Stepped`, as nearly all are."""
    return payload.startswith(_STEP)


def valid_end(path: Path, look: Callable[[int, bytes], None] | None = None) -> int:
    """Offset at which the last whole record ends; `look` is given each record, as in `Journal`.

    Raises:
        JournalError: as `read`.
    """
    end = len(HEADER) if _size(path) >= len(HEADER) else 0
    for at, payload in payloads(path):
        if look is not None:
            look(at, payload)
        end = at + FRAME.size + len(payload)
    return end


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from error


def payloads(path: Path) -> Iterator[tuple[int, bytes]]:
    """Where each record begins, and the record as it is encoded, up to the end or a torn tail.

    Raises:
        JournalError: as `read`.
    """
    try:
        with path.open("rb", buffering=0) as file:
            fd = file.fileno()
            check_header(os.pread(fd, len(HEADER), 0), path)
            end = yield from frames(fd)
            while frame_in(os.pread(fd, max(0, os.fstat(fd).st_size - end - 1), end + 1)):
                # Of a job that is running, more has been written while the records before this one were read.
                further = yield from frames(fd, end)
                if further == end:
                    raise JournalError(f"{path} is corrupt at offset {end}: restore it from a copy")
                end = further
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from error
