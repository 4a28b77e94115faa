"""Forces a file to the disk in the background, a short time after something was written to it."""

from __future__ import annotations

import os
import threading

# What is written within this time is forced to the disk together.
GROUP_S = 0.05


class GroupSync:
    """A thread that sleeps while nothing is to be forced to the disk.

    Args:
        fd: The file.

    Attributes:
        idle: Whether whoever has written something has to call `wake`.
        failure: What the disk said when it did not take everything; nothing is forced to it any more.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.idle = True
        self.failure: OSError | None = None
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-fsync", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something has been written."""
        self.idle = False
        self._wanted.set()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closing.wait(GROUP_S):
                return
            # What is written from here on may be left out of this turn, and is told anew.
            self.idle = True
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self.failure = error
                return

    def close(self) -> None:
        """End the thread; what was written last is not forced to the disk."""
        self._closing.set()
        self._wanted.set()
        self._thread.join()
