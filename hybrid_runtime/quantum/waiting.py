"""Waiting that another thread or a signal handler can cut short."""

from __future__ import annotations

import os
import select
import time

from hybrid_runtime.errors import BackendFailed, BackendTimeout


class Pause:
    """A wait with an end that `interrupt` can bring forward.

    An eventfd and not `threading.Event`: a signal handler that sets an event while its own thread is about
    to wait for it would deadlock on the event's lock.
    """

    def __init__(self) -> None:
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def interrupt(self) -> None:
        """End the wait that is going on, or else the next one."""
        os.eventfd_write(self._eventfd, 1)

    def clear(self) -> None:
        """Forget an interrupt that met no wait."""
        self._interrupted_within(0.0)

    def wait(self, seconds: float, deadline: float) -> None:
        """Wait for `seconds`, or until the monotonic time `deadline`.

        Raises:
            BackendTimeout: the deadline comes first.
            BackendFailed: it was interrupted.
        """
        left = max(deadline - time.monotonic(), 0.0)
        if self._interrupted_within(min(seconds, left)):
            raise BackendFailed("the execution was interrupted")
        if seconds > left:
            raise BackendTimeout("the backend did not answer within the time given")

    def wait_for_ever(self) -> None:
        """Wait until interrupted.

        Raises:
            BackendFailed: it was interrupted.
        """
        self._interrupted_within(None)
        raise BackendFailed("the execution was interrupted")

    def _interrupted_within(self, seconds: float | None) -> bool:
        ready, _, _ = select.select([self._eventfd], [], [], seconds)
        if ready:
            os.eventfd_read(self._eventfd)
        return bool(ready)

    def close(self) -> None:
        """Free the descriptor. Closing twice is allowed."""
        if self._eventfd >= 0:
            os.close(self._eventfd)
            self._eventfd = -1
