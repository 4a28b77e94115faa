"""What a worker prints: read without blocking, cut into lines, and kept within bounds."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

from hybrid_runtime.process import KILLED_BY

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LINE_BYTES = 8192
MAX_KEPT_BYTES = 1024 * 1024
_READ_BYTES = 256 * 1024
_MOST_READS = 8
# Enough for the traceback that `faulthandler` leaves.
_RECENT_BYTES = 32 * 1024


class Output:
    """One stream of one worker."""

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        self._tail = b""
        self._kept = 0
        self._dropped = 0
        self._recent = b""
        self._told_cut = False
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
            return self._finish(), False
        return self._lines(data), True

    def drain(self) -> list[str]:
        """Everything that is there to read now, and the unfinished last line."""
        lines: list[str] = []
        # A pipe holds less; a writer that keeps pace with the reader must not keep it here.
        for _ in range(_MOST_READS):
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                break
            lines += self._lines(data)
        return lines + self._finish()

    def last_lines(self) -> list[str]:
        """The newest lines, also of what was dropped."""
        return [clean(line) for line in self._recent.split(b"\n")]

    def _lines(self, data: bytes) -> list[str]:
        self._recent = (self._recent + data)[-_RECENT_BYTES:]
        room = MAX_KEPT_BYTES - self._kept
        if len(data) > room:
            self._dropped += len(data) - room
            data = data[:room]
        self._kept += len(data)
        if not data:
            return []
        *lines, tail = (self._tail + data).split(b"\n")
        *pieces, self._tail = _pieces(tail)
        texts = [clean(piece) for line in lines for piece in _pieces(line)] + [clean(piece) for piece in pieces]
        return [text for text in texts if not _is_of_ours(text)]

    def _finish(self) -> list[str]:
        """The unfinished last line, and a note of how much was dropped."""
        lines = [clean(self._tail)] if self._tail else []
        self._tail = b""
        if self._dropped and not self._told_cut:
            self._told_cut = True
            lines.append(f"… output cut: {MAX_KEPT_BYTES} bytes of {self.name} are kept, {self._dropped} were dropped")
        return lines


def _pieces(line: bytes) -> list[bytes]:
    """A line in pieces that are not too long, none of them cut within a character."""
    pieces = []
    while len(line) > MAX_LINE_BYTES:
        cut = MAX_LINE_BYTES
        while cut > MAX_LINE_BYTES - 3 and line[cut] & 0xC0 == 0x80:
            cut -= 1
        pieces.append(line[:cut])
        line = line[cut:]
    return [*pieces, line]


def clean(line: bytes | str) -> str:
    """A line as text that is safe on a terminal: control characters, escapes among them, made visible."""
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    text = text.rstrip("\r")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


_FAULT_STARTS = ("Fatal Python error", "Stack (most recent call first)", "Current thread 0x")
_BUNDLE = "/bundle/"
# A frame as `faulthandler` prints it has the path between these. Lines come from the algorithm and may be made to be
# costly: every look at one takes time in proportion to its length, whatever is in it.
_FRAME = 'File "'
_PLACE = re.compile(r'", line (\d+) in (\S+)')
_INSTALLED = re.compile(r"/site-packages/|/dist-packages/|/lib/python3\.\d+/|<frozen ")


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
    shown = [line for line in block if not _is_of_ours(line)]
    frames = [frame for line in shown if (frame := _frame(line))]
    if not frames:
        return None
    # The innermost line of the algorithm's own: what it called in a library is told by the traceback.
    own = [frame for frame in frames if _BUNDLE in frame[0]]
    own = own or [frame for frame in frames if not _INSTALLED.search(frame[0])] or frames
    path, number, function = own[0]
    text = "\n".join(map(_without_folder, shown))
    return f"{path.rpartition(_BUNDLE)[2]}, line {number}, in {function}", text.strip()


def _frame(line: str) -> tuple[str, str, str] | None:
    """Path, line number and function of a frame's line."""
    _, start, rest = line.partition(_FRAME)
    end = rest.find('"')
    place = _PLACE.match(rest, end) if start and end > 0 else None
    return place and (rest[:end], place[1], place[2])


def _is_of_ours(line: str) -> bool:
    """Whether it tells of the worker below the algorithm, or of the modules that every worker is born with."""
    if line.startswith("Extension modules: "):
        return True
    frame = _frame(line) if line.startswith(f"  {_FRAME}") else None
    return frame is not None and ("/hybrid_runtime/" in frame[0] or frame[0] == "<frozen runpy>")


def _without_folder(line: str) -> str:
    """The line with its path shown as in the bundle."""
    start, end = line.find(_FRAME), line.rfind(_BUNDLE)
    return line[: start + len(_FRAME)] + line[end + len(_BUNDLE) :] if 0 <= start < end else line


# Signals that the kernel sends to a process for what it does itself: it would do so again.
_OWN_FAULT = (-signal.SIGSYS, -signal.SIGXCPU, -signal.SIGXFSZ)


def struck_from_outside(status: int) -> bool:
    """Whether a worker with this exit status may have ended through no doing of its algorithm."""
    return status < 0 and status not in _OWN_FAULT


def how_it_died(status: int) -> str:
    """A worker's exit status in words."""
    if status > KILLED_BY and status - KILLED_BY in signal.valid_signals():
        return f"killed itself by {signal.Signals(status - KILLED_BY).name}, without a result"
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
        "SIGXFSZ": "its files took more of the disk than a scratch directory may",
        "SIGSYS": "it made a system call that the sandbox forbids",
    }.get(name)
    return f"died by {name}" + (f": {meaning}" if meaning else "")
