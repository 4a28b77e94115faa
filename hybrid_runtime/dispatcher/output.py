"""What a worker prints: read without blocking, cut into lines, and kept within bounds."""

from __future__ import annotations

import os
import re
import signal
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LINE_BYTES = 8192
MAX_KEPT_BYTES = 1024 * 1024
_READ_BYTES = 256 * 1024


class Output:
    """One stream of one worker. `last` holds its newest lines."""

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        self._tail = b""
        self._kept = 0
        self._dropped = 0
        self.last: deque[str] = deque(maxlen=200)
        os.set_blocking(fd, False)

    def read(self) -> tuple[list[str], bool]:
        """The lines that have come in, and whether there may be more to read.

        Beyond `MAX_KEPT_BYTES` everything is read, so that the worker does not block, and dropped.
        """
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return [], True
        if not data:
            return self.finish(), False
        return self._lines(data), True

    def _lines(self, data: bytes) -> list[str]:
        room = MAX_KEPT_BYTES - self._kept
        if len(data) > room:
            self._dropped += len(data) - max(room, 0)
            data = data[: max(room, 0)]
        self._kept += len(data)
        if not data:
            return []
        *lines, self._tail = (self._tail + data).split(b"\n")
        while len(self._tail) > MAX_LINE_BYTES:
            lines.append(self._tail[:MAX_LINE_BYTES])
            self._tail = self._tail[MAX_LINE_BYTES:]
        cleaned = [clean(line[:MAX_LINE_BYTES]) for line in lines]
        self.last.extend(cleaned)
        return cleaned

    def drain(self) -> list[str]:
        """Everything that is there to read now, and the unfinished last line."""
        lines: list[str] = []
        while True:
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                data = b""
            if not data:
                return lines + self.finish()
            lines += self._lines(data)
            if self._dropped:
                # The bound is reached: whatever else is in the pipe would be dropped anyway.
                return lines + self.finish()

    def finish(self) -> list[str]:
        """The unfinished last line, and a note of how much was dropped."""
        lines = [clean(self._tail)] if self._tail else []
        self._tail = b""
        if self._dropped:
            lines.append(
                f"… output cut: {MAX_KEPT_BYTES} bytes of {self.name} are kept, {self._dropped} more were dropped"
            )
            self._dropped = 0
        return lines


def clean(line: bytes | str) -> str:
    """A line as text that is safe on a terminal: control characters, escapes among them, made visible."""
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    text = text.rstrip("\r")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


_FAULT_STARTS = ("Fatal Python error", "Stack (most recent call first)", "Current thread 0x")
_FAULT = re.compile(r'File "(?:.*/bundle/)?([^"]+)", line (\d+) in (\S+)')


def fault_traceback(lines: Iterable[str]) -> tuple[str, str] | None:
    """What `faulthandler` wrote when the process crashed or was killed: the user's line, and the whole of it.

    None where it wrote nothing.
    """
    block: list[str] = []
    for line in lines:
        if line.startswith(_FAULT_STARTS):
            block = block[:2] if block and block[0].startswith("Fatal") else []
            block.append(line)
        elif block:
            block.append(line)
    frames = [match for line in block if (match := _FAULT.search(line))]
    if not frames:
        return None
    own = [match for match in frames if "/bundle/" in match[0]] or frames
    file, number, function = own[0].groups()
    hidden = ("/hybrid_runtime/", "<frozen runpy>", "Extension modules:")
    text = [re.sub(r'File ".*/bundle/', 'File "', line) for line in block if not any(part in line for part in hidden)]
    return f"{file}, line {number}, in {function}", "\n".join(text)


def how_it_died(status: int) -> str:
    """A worker's exit status in words."""
    if status >= 0:
        return f"ended by itself with exit code {status}, without a result"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    meaning = {
        "SIGSEGV": "a crash in compiled code",
        "SIGBUS": "a crash in compiled code",
        "SIGFPE": "an arithmetic error in compiled code",
        "SIGABRT": "compiled code gave up",
        "SIGKILL": "it was killed, by itself or for want of memory",
        "SIGXCPU": "its processor time was used up",
        "SIGSYS": "it made a system call that the sandbox forbids",
    }.get(name)
    return f"died by {name}" + (f": {meaning}" if meaning else "")
