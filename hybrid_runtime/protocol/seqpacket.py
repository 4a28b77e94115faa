"""Local channel: a Unix SEQPACKET socket, one packet a message.

The kernel keeps message boundaries, reports the peer's death, and applies the receive timeout, so a hop is
one system call at each end. A message beyond `PACKET_BYTES` travels as several packets that each begin with
0xC1, a byte that MessagePack never uses, followed by the total length.
"""

from __future__ import annotations

import errno
import mmap
import socket
import struct
from contextlib import suppress

from hybrid_runtime.errors import ChannelClosed, ProtocolError
from hybrid_runtime.protocol.messages import MAX_MESSAGE_BYTES

PACKET_BYTES = 64 * 1024
_MOST_SECONDS = 1e9
# A peer that sends as fast as it is read must not hold its reader: 2 MiB are read in well under a millisecond.
_PACKETS_A_TURN = 32
_CHUNK = struct.Struct("<BI")
_CHUNK_MARK = 0xC1
# A plain number: combining the socket module's flags builds an enum member each time.
_DONT_WAIT = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_CHUNK_BODY = PACKET_BYTES - _CHUNK.size


class SeqPacketChannel:
    """A channel over one end of a SEQPACKET socket pair, which it owns.

    Reads are by `recv_into` without room for ancillary data: descriptors that a peer tries to pass are
    closed by the kernel and never reach this process.
    """

    def __init__(self, sock: socket.socket, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._socket = sock
        self._max = max_message_bytes
        # Bound once: looking a method up through the socket costs a step more than the test for a large message.
        self._receive_into, self._send_some = sock.recv_into, sock.send
        # Takes only as much memory as the longest packet so far, unlike an array, which is filled with zeros.
        self._buffer = mmap.mmap(-1, PACKET_BYTES, mmap.MAP_PRIVATE)
        self._view = memoryview(self._buffer)
        self._timeout: float | None = None
        self._partial = bytearray()
        self._partial_total = 0
        sock.settimeout(None)

    @classmethod
    def pair(cls) -> tuple[SeqPacketChannel, SeqPacketChannel]:
        """Two channels connected to each other."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    @classmethod
    def from_fd(cls, fd: int) -> SeqPacketChannel:
        """The channel whose socket was inherited as `fd`."""
        return cls(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=fd))

    def post(self, data: bytes) -> bool:
        """Give the peer this message without the socket, where the channel has another way; whether it did."""
        return False

    @property
    def holding(self) -> bool:
        """Whether a message has been read that `receive_nowait` has yet to give."""
        return False

    def send(self, data: bytes) -> None:
        """Send one message, in several packets where it is large."""
        if len(data) <= PACKET_BYTES:
            self._send_packet(data)
            return
        if len(data) > self._max:
            raise ProtocolError(f"a message of {len(data)} bytes is over the limit of {self._max}")
        for packet in chunks(data):
            self._send_packet(packet)

    def _send_packet(self, packet: bytes | memoryview) -> None:
        try:
            self._socket.send(packet, socket.MSG_NOSIGNAL)
        except OSError as error:
            raise self._closed(error) from error

    def receive(self, timeout_s: float | None = None) -> bytes | memoryview:
        """The next message; a view of the channel's own buffer where it came in one packet.

        A message of several packets is given `timeout_s` for each of them; after a `TimeoutError` between two,
        the next call goes on where this one stopped.
        """
        if timeout_s != self._timeout:
            self._set_timeout(timeout_s)
        while True:
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                raise TimeoutError("nothing arrived in time") from None
            except OSError as error:
                raise self._closed(error) from error
            if size == 0:
                raise self._closed()
            whole = self.assemble(self._view[:size])
            if whole is not None:
                return whole

    def _closed(self, error: OSError | None = None) -> ChannelClosed:
        if self._socket.fileno() < 0:
            return ChannelClosed("this end of a local channel has been closed")
        # A reset is how a peer that left messages of ours unread is noticed.
        if error is None or isinstance(error, ConnectionError):
            return ChannelClosed("the other end of a local channel has closed")
        return ChannelClosed(f"a local channel is of no use any more: {error.strerror}")

    def _set_timeout(self, timeout_s: float | None) -> None:
        # SO_RCVTIMEO makes the kernel keep the deadline: no select() before each recv. 0 means "for ever".
        wanted = 0.0 if timeout_s is None else min(max(timeout_s, 1e-6), _MOST_SECONDS)
        seconds, micros = divmod(round(wanted * 1e6), 1_000_000)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", seconds, micros))
        except OSError as error:
            raise self._closed(error) from error
        self._timeout = timeout_s

    def receive_nowait(self) -> bytes | memoryview | None:
        """The next message if it is here whole; None where it is not, or where more of it is here than one turn takes.

        What is left keeps the channel readable, so a loop comes back to it after its other channels.
        """
        for _ in range(_PACKETS_A_TURN):
            try:
                size = self._receive_into(self._buffer, 0, _DONT_WAIT)
            except BlockingIOError:
                return None
            except OSError as error:
                raise self._closed(error) from error
            if size == 0:
                raise self._closed()
            if self._buffer[0] != _CHUNK_MARK and not self._partial_total:
                return self._view[:size]
            whole = self.assemble(self._view[:size])
            if whole is not None:
                return whole
        return None

    def send_nowait(self, packet: bytes | memoryview) -> bool:
        """Send one packet if the peer has room; False where it has none. See `chunks` for large messages."""
        try:
            self._send_some(packet, _DONT_WAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                return False
            raise self._closed(error) from error
        return True

    def assemble(self, packet: memoryview) -> bytes | memoryview | None:
        """The message that this packet is or completes; None while parts are missing."""
        if packet[0] != _CHUNK_MARK:
            if self._partial_total:
                raise ProtocolError("a message was cut short by another one")
            return packet
        if len(packet) <= _CHUNK.size:
            raise ProtocolError("an empty part of a message")
        _, total = _CHUNK.unpack_from(packet)
        if total > self._max:
            raise ProtocolError(f"a message of {total} bytes is over the limit of {self._max}")
        if self._partial_total not in (0, total):
            raise ProtocolError("the parts of a message disagree about its length")
        self._partial_total = total
        self._partial += packet[_CHUNK.size :]
        if len(self._partial) < total:
            return None
        if len(self._partial) > total:
            raise ProtocolError("the parts of a message are longer than it")
        whole = bytes(self._partial)
        self._partial = bytearray()
        self._partial_total = 0
        return whole

    def wait_closed(self) -> None:
        """Sleep until the peer has closed its end; what it still says is dropped."""
        with suppress(ChannelClosed, ProtocolError):
            while True:
                SeqPacketChannel.receive(self)  # a channel that looks before it sleeps does not here

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def detach(self) -> int:
        """Give the descriptor away; the channel is unusable afterwards."""
        return self._socket.detach()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def chunks(data: bytes) -> list[bytes]:
    """A message as the packets that carry it, ready for `SeqPacketChannel.send_nowait`."""
    if len(data) <= PACKET_BYTES:
        return [data]
    head = _CHUNK.pack(_CHUNK_MARK, len(data))
    return [head + data[start : start + _CHUNK_BODY] for start in range(0, len(data), _CHUNK_BODY)]
