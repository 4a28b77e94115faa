"""A channel that the loop writes to without ever waiting for its reader."""

from __future__ import annotations

import select
from collections import deque
from typing import TYPE_CHECKING

from hybrid_runtime.errors import ChannelClosed
from hybrid_runtime.protocol.messages import encode
from hybrid_runtime.protocol.seqpacket import PACKET_BYTES, SeqPacketChannel, chunks

if TYPE_CHECKING:
    import msgspec

# A peer that lets this much pile up is not reading; it is cut off rather than kept in memory.
MAX_BACKLOG_BYTES = 256 * 1024 * 1024


class Link:
    """Sends at once while the peer has room, and keeps the rest until it has."""

    def __init__(self, channel: SeqPacketChannel, epoll: select.epoll) -> None:
        self.channel = channel
        self.fd = channel.fileno()
        self._epoll = epoll
        self._post, self._send_nowait = channel.post, channel.send_nowait
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._watched = True
        epoll.register(self.fd, select.EPOLLIN)

    @property
    def waiting(self) -> bool:
        """Whether something is kept that the peer had no room for."""
        return bool(self._waiting)

    def send(self, message: msgspec.Struct) -> None:
        """Send one message, now or later, in order.

        Raises:
            ChannelClosed: the peer is gone, or has stopped reading.
        """
        if not self._watched:
            raise ChannelClosed("this end of a local channel has been given up")
        data = encode(message)
        if self._post(data):
            return
        if self._waiting or len(data) > PACKET_BYTES or not self._send_nowait(data):
            packets = chunks(data)
            if not self._waiting:
                self._epoll.modify(self.fd, select.EPOLLIN | select.EPOLLOUT)
            self._waiting.extend(packets)
            self._waiting_bytes += len(data)
            if self._waiting_bytes > MAX_BACKLOG_BYTES:
                raise ChannelClosed("the other end of a local channel does not read")
            self.on_writable()

    def on_writable(self) -> None:
        """The peer has room: send what was kept."""
        while self._waiting:
            if not self.channel.send_nowait(self._waiting[0]):
                return
            self._waiting_bytes -= len(self._waiting.popleft())
        self._waiting_bytes = 0
        self._epoll.modify(self.fd, select.EPOLLIN)

    def close(self) -> None:
        """Stop watching the channel; whoever owns it closes it. Closing twice is allowed."""
        if self._watched:
            self._watched = False
            self._waiting.clear()
            self._epoll.unregister(self.fd)
