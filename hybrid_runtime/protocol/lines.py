"""Messages by shared memory between two processes that both are awake: no system call, no switch of processes.

A line is one direction. It holds one message at a time, and the message's number::

    sender ──number, length, bytes──▶ line ──▶ receiver, which looks at the number again and again
    sender ◀─────────awake─────────── line      set while it does so, or will before it sleeps
    sender ──────────patience───────▶ line      for how long it should, in microseconds

Whatever does not fit, or finds the receiver asleep or the line taken, goes by the channel's socket. Both ends
count all messages, whichever way they go, so that they are taken in the order in which they were sent.

Nobody's wake-up is lost: a receiver says that it will sleep, and looks once more; a sender looks whether it
sleeps after it has put down a message, and rings by the socket if so. A processor may let each overtake the
other's word by some nanoseconds. So a receiver looks a last time a millisecond later, before it sleeps for good.

The memory may be written by the other end at any time, with anything in it. What is taken out is a copy, of a
length that was read once; a number that is not the next one is no message.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import platform

from hybrid_runtime.errors import ProtocolError

# One direction. Results of a few hundred different bit strings fit.
LINE_BYTES = 16 * 1024
MEMORY_BYTES = 2 * LINE_BYTES
# Places of the words, four bytes each, such that the two ends write to cache lines of their own.
_NUMBER, _LENGTH, _AWAKE, _PATIENCE = 0, 1, 16, 32
_DATA = 192
MOST_BYTES = LINE_BYTES - _DATA
_LAST = 0xFFFF_FFFF
LAST_LOOK_S = 0.001
# Others let a message's number be seen before its bytes.
_ORDERLY_PROCESSORS = ("x86_64", "AMD64")


def available() -> bool:
    """Whether this machine can do it."""
    return platform.machine() in _ORDERLY_PROCESSORS and hasattr(os, "memfd_create")


def new_memory() -> int:
    """A descriptor of memory for both directions; nobody can make it smaller under the other's hands."""
    fd = os.memfd_create("lines", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, MEMORY_BYTES)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


def map_memory(fd: int) -> mmap.mmap:
    """The memory behind a descriptor, which can be closed afterwards.

    Raises:
        ProtocolError: it is not of the size that it must be, or not to be relied on.
    """
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        if not seals & fcntl.F_SEAL_SHRINK or os.fstat(fd).st_size != MEMORY_BYTES:
            raise ProtocolError("a channel's shared memory can change its size")
        return mmap.mmap(fd, MEMORY_BYTES)
    except OSError as error:
        raise ProtocolError(f"a channel's shared memory cannot be used: {error.strerror}") from error


class _Line:
    """One direction.

    Args:
        memory: Of both.
        second: Which of the two it is.
    """

    def __init__(self, memory: mmap.mmap, second: bool) -> None:
        self._memory = memory
        start = LINE_BYTES * second
        self._words = memoryview(memory)[start : start + LINE_BYTES].cast("I")
        self._data = start + _DATA
        self._next = 1

    def grant(self, patience_s: float) -> None:
        """For how long the receiver is to look before it sleeps."""
        self._words[_PATIENCE] = round(patience_s * 1e6)

    def count(self) -> None:
        """A message has gone, or come, by the socket."""
        self._next = self._next + 1 if self._next < _LAST else 1


class Outgoing(_Line):
    """A line's end that sends."""

    def put(self, data: bytes) -> bool:
        """Put down the next message, if it fits, the line is free and the receiver is not asleep; whether it did."""
        words = self._words
        size = len(data)
        if not words[_AWAKE] or words[_NUMBER] or size > MOST_BYTES:
            return False
        start = self._data
        self._memory[start : start + size] = data
        words[_LENGTH] = size
        number = self._next
        words[_NUMBER] = number
        self._next = number + 1 if number < _LAST else 1
        return True

    @property
    def asleep(self) -> bool:
        """Whether the receiver does not look."""
        return not self._words[_AWAKE]


class Incoming(_Line):
    """A line's end that receives.

    Attributes:
        awake: Whether senders have been told that this end looks.
    """

    def __init__(self, memory: mmap.mmap, second: bool) -> None:
        super().__init__(memory, second)
        self.awake = False

    def take(self) -> bytes | None:
        """The next message, if it is here; a copy.

        Raises:
            ProtocolError: its length cannot be.
        """
        words = self._words
        if words[_NUMBER] != self._next:
            return None
        size = words[_LENGTH]
        if size > MOST_BYTES:
            raise ProtocolError(f"a line cannot hold a message of {size} bytes")
        data = self._memory[self._data : self._data + size]
        words[_NUMBER] = 0
        self._next = self._next + 1 if self._next < _LAST else 1
        return data

    @property
    def ready(self) -> bool:
        """Whether the next message is here."""
        return self._words[_NUMBER] == self._next

    @property
    def patience_us(self) -> int:
        """For how long to look before sleeping."""
        return self._words[_PATIENCE]

    def wake(self) -> None:
        """Tell senders that this end looks from now on."""
        if not self.awake:
            self.awake = True
            self._words[_AWAKE] = 1

    def doze(self) -> None:
        """Tell senders that this end is about to sleep; it must look once more, and a last time after `LAST_LOOK_S`."""
        self.awake = False
        self._words[_AWAKE] = 0
