"""The server's end of remote channels: ZeroMQ's ROUTER over TCP. See `framing` for what travels."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from hybrid_runtime.errors import ChannelClosed, HybridRuntimeError, ProtocolError
from hybrid_runtime.protocol.framing import (
    CLOSE,
    DEFAULT_HEARTBEAT,
    GONE,
    LINGER_S,
    MOST_AT_ONCE,
    OPEN,
    OPENED,
    PING,
    PONG,
    UNKNOWN,
    Heartbeat,
    kind_of,
    reason_of,
    too_large,
)
from hybrid_runtime.protocol.messages import MAX_MESSAGE_BYTES
from hybrid_runtime.protocol.zeromq import Kind, Station, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.protocol.address import Address
    from hybrid_runtime.protocol.zeromq import ServerKeys

MAX_PEERS = 256

_now = time.monotonic


class Peer:
    """The server's end: a `Channel` to one client of a `Listener`."""

    def __init__(self, listener: Listener, identity: bytes) -> None:
        self._listener = listener
        self._identity = identity
        self._inbox: deque[bytes] = deque()
        self._error: HybridRuntimeError | None = None
        self.heard = _now()

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent or will come."""
        return self._error is not None

    def send(self, data: bytes) -> None:
        """Send one message; blocks while the client does not read, up to its deadline."""
        if not self.send_within(data, self._listener.heartbeat.dead_after_s):
            self.fail(ChannelClosed("the client does not read"))
            self._check_open()

    def send_within(self, data: bytes, timeout_s: float) -> bool:
        """Send one message; False when the client had no room for it in time.

        Raises:
            ChannelClosed: the client is gone.
            ProtocolError: the message is too large.
        """
        if len(data) > self._listener.max_message_bytes:
            raise ProtocolError(too_large(len(data), self._listener.max_message_bytes))
        self._check_open()
        return self.send_frames([data], timeout_s)

    def send_frames(self, frames: Sequence[bytes], timeout_s: float = 0.0) -> bool:
        """Send frames as they are."""
        return self._listener.wire.send([self._identity, *frames], timeout_s)

    def receive(self, timeout_s: float | None = None) -> bytes:
        """The next message. Those of other clients are kept for them meanwhile."""
        deadline = None if timeout_s is None else _now() + timeout_s
        while not self._inbox:
            found = self._listener.next_nowait()
            if found is not None:
                found[0]._inbox.append(found[1])
                continue
            self._listener.tick()
            self._check_open()
            left = None if deadline is None else deadline - _now()
            if left is not None and left <= 0:
                raise TimeoutError("nothing arrived in time")
            patience = self._listener.heartbeat.interval_s
            self._listener.wait(patience if left is None else min(patience, left))
        return self._inbox.popleft()

    def _check_open(self) -> None:
        if self._error is not None:
            raise type(self._error)(str(self._error))

    def fail(self, error: HybridRuntimeError) -> None:
        """Close the channel, for this reason."""
        if self._error is None:
            self._error = error
            self._listener.forget(self._identity)

    def fileno(self) -> int:
        """The descriptor to wait on; all clients of a listener share it."""
        return self._listener.fileno()

    def close(self, reason: str = GONE) -> None:
        """Tell the client, and close."""
        if self._error is None:
            self._listener.say(self._identity, CLOSE, reason.encode())
            self.fail(ChannelClosed("the channel is closed"))


class Listener:
    """Listens for clients and holds a channel to each.

    Args:
        address: Where to listen, with the host as a number.
        keys: Our own key and those of the clients to let in; None lets in everyone.
        heartbeat: Clients that are silent for longer are gone.
        max_message_bytes: A client that sends a larger message is cut off.

    Raises:
        InvalidInput: one cannot listen there.
    """

    def __init__(
        self,
        address: Address,
        keys: ServerKeys | None = None,
        *,
        heartbeat: Heartbeat = DEFAULT_HEARTBEAT,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self.heartbeat = heartbeat
        self.max_message_bytes = max_message_bytes
        self.station = Station()
        try:
            self.wire: Wire = self.station.bind(Kind.ROUTER, address, keys)
        except HybridRuntimeError:
            self.station.close()
            raise
        self._peers: dict[bytes, Peer] = {}
        self._fresh: deque[Peer] = deque()
        self._lost: list[Peer] = []

    @property
    def address(self) -> str:
        """Where it listens."""
        return self.wire.address

    def accept(self, timeout_s: float) -> Peer:
        """The next client that has come.

        Raises:
            TimeoutError: none came in time.
        """
        deadline = _now() + timeout_s
        while not self._fresh:
            found = self.next_nowait()
            if found is not None:
                found[0]._inbox.append(found[1])
            elif not self._fresh and not self.station.wait(max(deadline - _now(), 0.0)):
                raise TimeoutError("no client came in time")
        return self._fresh.popleft()

    def next_nowait(self) -> tuple[Peer, bytes] | None:
        """The next message of any client if one is here."""
        for _ in range(MOST_AT_ONCE):
            frames = self.wire.receive()
            if frames is None:
                return None
            identity, *rest = frames
            peer = self._peers.get(identity)
            if len(rest) != 1:
                self._take_control(identity, peer, rest)
            elif peer is None:
                self.say(identity, UNKNOWN)
            elif len(rest[0]) > self.max_message_bytes:
                text = too_large(len(rest[0]), self.max_message_bytes)
                self.say(identity, CLOSE, text.encode())
                peer.fail(ProtocolError(text))
            else:
                peer.heard = _now()
                return peer, rest[0]
        return None

    def _take_control(self, identity: bytes, peer: Peer | None, frames: Sequence[bytes]) -> None:
        kind = kind_of(frames)
        if kind == OPEN:
            if peer is None:
                if len(self._peers) >= MAX_PEERS:
                    self.say(identity, CLOSE, b"too many clients are connected; close one, or try again later")
                    return
                peer = self._peers[identity] = Peer(self, identity)
                self._fresh.append(peer)
            peer.heard = _now()
            self.say(identity, OPENED)
        elif peer is None:
            if kind != CLOSE:
                self.say(identity, UNKNOWN)
        elif kind == PING:
            peer.heard = _now()
            self.say(identity, PONG)
        elif kind == CLOSE:
            peer.fail(ChannelClosed(reason_of(frames)))
        else:
            peer.close("a frame came that the protocol does not have")

    def say(self, identity: bytes, *words: bytes) -> None:
        """Send frames of the channel itself; whoever is gone or does not read does not get them."""
        try:
            self.wire.send([identity, b"", *words])
        except ChannelClosed:
            if (peer := self._peers.get(identity)) is not None:
                peer.fail(ChannelClosed("the client has gone away"))

    def tick(self) -> None:
        """Give up the clients that are silent. Call it after reading what is here."""
        now = _now()
        for peer in list(self._peers.values()):
            if now - peer.heard >= self.heartbeat.dead_after_s:
                peer.fail(ChannelClosed(f"the client has been silent for {self.heartbeat.dead_after_s:g} s"))

    def take_lost(self) -> list[Peer]:
        """The clients that were lost since the last call, whatever the reason."""
        lost, self._lost = self._lost, []
        return lost

    def forget(self, identity: bytes) -> None:
        """Let a client go."""
        peer = self._peers.pop(identity, None)
        if peer is not None:
            self._lost.append(peer)
            if peer in self._fresh:
                self._fresh.remove(peer)

    def wait(self, timeout_s: float) -> bool:
        """Wait for news; False when there are none in time."""
        return self.station.wait(timeout_s)

    def fileno(self) -> int:
        """The descriptor that is readable when there are news."""
        return self.station.fileno()

    def close(self) -> None:
        """Tell all clients, and close."""
        for peer in list(self._peers.values()):
            peer.close("the server has closed")
        self.station.close(LINGER_S)
