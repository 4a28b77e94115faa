"""A journal is open for appending in one process at a time."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

from hybrid_runtime.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

_LOOK_AGAIN_S = 0.02


def open_locked(path: Path) -> int:
    """Open a journal for appending, by this process alone; its descriptor.

    Raises:
        JournalError: it cannot be opened, or is in use.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise JournalError(f"{path} is in use: its job is still running; wait for it, or cancel it") from None
    return fd


def is_free(path: Path) -> bool:
    """Whether no process has the journal open for appending."""
    if not path.exists():
        return True
    try:
        os.close(open_locked(path))
    except JournalError:
        return False
    return True


def wait_until_free(path: Path, patience_s: float) -> None:
    """Wait until no process has the journal open for appending.

    Raises:
        JournalError: one still has after `patience_s`.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            os.close(open_locked(path))
        except JournalError:
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK_AGAIN_S)
        else:
            return
