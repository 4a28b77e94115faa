"""Plain requests to software that is not ours: ZeroMQ's REQ, one frame of text each way.

A REQ socket that has asked and gets no answer can neither ask again nor go on. So a socket is used while it
answers, and thrown away with its connection when it does not.
"""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

from hybrid_runtime.errors import BackendFailed, BackendTimeout, ChannelClosed, ProtocolError
from hybrid_runtime.protocol.messages import MAX_MESSAGE_BYTES
from hybrid_runtime.protocol.zeromq import Event, Kind, Station, Wire

if TYPE_CHECKING:
    from hybrid_runtime.protocol.address import Address

_now = time.monotonic


class Requester:
    """Asks one server, one question at a time.

    Args:
        address: Where it listens.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._station: Station | None = None
        self._wire: Wire | None = None
        self._connected = False
        self._interrupt = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ask(self, question: str, deadline: float) -> str:
        """The server's answer.

        Args:
            question: What to send.
            deadline: When to stop waiting, on the clock of `time.monotonic`.

        Raises:
            BackendTimeout: no answer came in time.
            BackendFailed: the server went away while it had the question, or `interrupt` was called.
            ProtocolError: the question is too large, or the answer is not text.
        """
        data = question.encode()
        if len(data) > MAX_MESSAGE_BYTES:
            raise ProtocolError(f"a request of {len(data)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
        if self._station is None or self._wire is None:
            self._station = Station()
            self._wire = self._station.connect(Kind.REQUEST, self._address)
            self._connected = False
        try:
            self._wire.send([data])
            frames = self._wait(self._station, self._wire, deadline)
        except BaseException:
            # Whatever it was, an answer to this question must not be taken for one to the next.
            self._drop()
            raise
        try:
            return b"".join(frames).decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"{self._address} answered {len(frames[0])} bytes that are not text") from error

    def _wait(self, station: Station, wire: Wire, deadline: float) -> list[bytes]:
        try:
            while (frames := wire.receive()) is None:
                for event in station.events():
                    self._take(event)
                if not self.wait_readable(station.fileno(), deadline):
                    state = "did not answer within the time given" if self._connected else "cannot be reached"
                    raise BackendTimeout(f"{self._address} {state}; check that the backend is running there")
        except ChannelClosed as error:
            raise BackendFailed(f"{self._address}: {error}") from error
        return frames

    def wait_readable(self, descriptor: int, deadline: float) -> bool:
        """Wait until a descriptor can be read; False when it cannot in time.

        Raises:
            BackendFailed: `interrupt` was called.
        """
        left = max(deadline - _now(), 0.0)
        ready, _, _ = select.select([descriptor, self._interrupt], [], [], left)
        if self._interrupt in ready:
            os.eventfd_read(self._interrupt)
            raise BackendFailed("the execution was interrupted")
        return bool(ready)

    def _take(self, event: Event) -> None:
        if event is Event.CONNECTED:
            self._connected = True
        elif event is Event.BROKEN and self._connected:
            raise BackendFailed(f"{self._address} went away while it had a request; start the backend there again")
        elif event is Event.OTHER_MECHANISM:
            raise BackendFailed(f"{self._address} asks for keys, which this kind of backend does not have")

    @property
    def fresh(self) -> bool:
        """Whether the next question goes over a new connection, perhaps to a server that was started again."""
        return self._station is None

    def interrupt(self) -> None:
        """Make the `ask` that is waiting, or else the next one, fail; may be called from a signal handler."""
        os.eventfd_write(self._interrupt, 1)

    def clear_interrupt(self) -> None:
        """Forget an interrupt that met no `ask`."""
        if self._interrupt >= 0 and select.select([self._interrupt], [], [], 0)[0]:
            os.eventfd_read(self._interrupt)

    def _drop(self) -> None:
        if self._station is not None:
            self._station.close()
        self._station = self._wire = None

    def close(self) -> None:
        """Close the connection. Closing twice is allowed."""
        self._drop()
        if self._interrupt >= 0:
            os.close(self._interrupt)
            self._interrupt = -1
