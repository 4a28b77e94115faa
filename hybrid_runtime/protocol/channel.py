"""The one interface that every channel has, whatever carries its messages."""

from __future__ import annotations

from typing import Protocol


class Channel(Protocol):
    """Whole messages, in order, between two processes. Used by one thread at a time.

    Both ends see the other's death as `ChannelClosed`; a message is delivered whole or not at all.
    """

    def send(self, data: bytes) -> None:
        """Send one message; blocks while the peer's buffer is full.

        Raises:
            ChannelClosed: the peer is gone.
            ProtocolError: the message is larger than `messages.MAX_MESSAGE_BYTES`.
        """

    def receive(self, timeout_s: float | None = None) -> bytes | memoryview:
        """The next message, valid until the next call; waits for ever when `timeout_s` is None.

        Raises:
            ChannelClosed: the peer is gone and everything it sent has been read.
            TimeoutError: nothing came in time.
            ProtocolError: the peer broke the framing or sent too much.
        """

    def fileno(self) -> int:
        """The descriptor to wait on for `receive`."""

    def close(self) -> None:
        """Give the channel up; the peer sees `ChannelClosed`. Closing twice is allowed."""
