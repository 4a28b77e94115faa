"""The client's end of a remote channel: ZeroMQ's DEALER over TCP. See `framing` for what travels."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hybrid_runtime.errors import ChannelClosed, ProtocolError
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
from hybrid_runtime.protocol.zeromq import Event, Kind, Station

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.protocol.address import Address
    from hybrid_runtime.protocol.zeromq import ClientKeys

_TROUBLE = {
    Event.UNREACHABLE: "nothing listens there, or the network does not lead there",
    Event.NOT_AGREED: "it broke off the handshake: check that it uses keys, and that server.public is its key",
    Event.OTHER_MECHANISM: "one side uses keys and the other does not: give --keys to both or to none",
    Event.KEY_REFUSED: "it does not let our key in: have its operator add our client.public to its clients",
}
# No attempt can succeed until a person has changed something.
_HOPELESS = (Event.OTHER_MECHANISM, Event.KEY_REFUSED)

_NO_KEYS = "it broke off the handshake: it may ask for keys, which --keys gives"

_now = time.monotonic


class RemoteChannel:
    """The client's end: a `Channel` to the process that listens at an address.

    It is made at once and opened when the peer answers; what is sent before waits for that.

    Args:
        address: Where the peer listens.
        keys: For a peer that asks for keys.
        heartbeat: How often to ask whether the peer is there, and how long to wait for an answer.
        max_message_bytes: Larger messages are refused.

    Attributes:
        opened: Whether the peer has answered.
        trouble: Why it has not, as far as is known; empty while nothing is.
        hopeless: Whether waiting longer cannot help.
    """

    def __init__(
        self,
        address: Address,
        keys: ClientKeys | None = None,
        *,
        heartbeat: Heartbeat = DEFAULT_HEARTBEAT,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._heartbeat = heartbeat
        self._max = max_message_bytes
        self._station = Station()
        self._wire = self._station.connect(Kind.DEALER, address, keys)
        self._keys_given = keys is not None
        self.opened = False
        self.trouble = ""
        self.hopeless = False
        self._closed: str | None = None
        self._next_ping = 0.0
        self._asked: float | None = None  # when the oldest ping without an answer was sent
        self.tick()

    def wait_opened(self, timeout_s: float) -> None:
        """Wait until the peer has answered.

        Raises:
            ChannelClosed: it refused, or did not answer in time; the text says why.
        """
        deadline = _now() + timeout_s
        while not self.opened:
            # Only a peer that has opened the channel sends messages, so none is taken here.
            self._take_controls()
            if self.opened:
                return
            left = deadline - _now()
            if left <= 0 or self.hopeless:
                raise ChannelClosed(self.trouble or "the peer does not answer")
            self._station.wait(min(left, self.tick()))

    def _take_controls(self) -> None:
        data = self.receive_nowait()
        if data is not None:
            raise ProtocolError("the peer sent a message before the channel was opened")

    def send(self, data: bytes) -> None:
        """Send one message; blocks while the peer does not read, up to its deadline."""
        if len(data) > self._max:
            raise ProtocolError(too_large(len(data), self._max))
        self._check_open()
        if not self._wire.send([data], self._heartbeat.dead_after_s):
            self._closed = "the peer does not read"
            self._check_open()

    def receive(self, timeout_s: float | None = None) -> bytes:
        """The next message."""
        deadline = None if timeout_s is None else _now() + timeout_s
        while (data := self.receive_nowait()) is None:
            patience = self.tick()
            if deadline is not None:
                left = deadline - _now()
                if left <= 0:
                    raise TimeoutError("nothing arrived in time")
                patience = min(patience, left)
            self._station.wait(patience)
        return data

    def receive_nowait(self) -> bytes | None:
        """The next message if it is here; None where it is not."""
        if self._station.closed:
            raise ChannelClosed(self._closed or GONE)
        for _ in range(MOST_AT_ONCE):
            frames = self._wire.receive()
            if frames is None:
                self._take_events()
                self._check_open()
                return None
            self._asked = None
            if len(frames) == 1:
                if len(frames[0]) > self._max:
                    self._closed = too_large(len(frames[0]), self._max)
                    raise ProtocolError(self._closed)
                return frames[0]
            self._take_control(frames)
        return None

    def _take_control(self, frames: Sequence[bytes]) -> None:
        kind = kind_of(frames)
        if kind == OPENED:
            self.opened = True
        elif kind == UNKNOWN:
            if self.opened:
                self._closed = "the peer does not know this channel: it was restarted, or the link was down too long"
        elif kind == CLOSE:
            self._closed = reason_of(frames)
        elif kind != PONG:
            self._closed = "the peer sent a frame that the protocol does not have"

    def _take_events(self) -> None:
        for event in self._station.events():
            if event is Event.BROKEN and self.opened:
                self._closed = self._closed or "the connection broke"
            elif event is Event.NOT_AGREED and not self._keys_given:
                self.trouble = _NO_KEYS
            elif event in _TROUBLE:
                self.trouble = _TROUBLE[event]
                self.hopeless = event in _HOPELESS

    def _check_open(self) -> None:
        if self._closed is not None:
            raise ChannelClosed(self._closed)

    def tick(self) -> float:
        """Ping the peer when it is time to; the seconds until the next call. Call it after reading what is here.

        Raises:
            ChannelClosed: the peer has been silent for too long.
        """
        self._check_open()
        now = _now()
        if self._asked is not None and self.opened and now - self._asked >= self._heartbeat.dead_after_s:
            self._closed = f"the peer has not answered for {self._heartbeat.dead_after_s:g} s"
            self._check_open()
        if now >= self._next_ping:
            # Until the peer has answered, what opens the channel is repeated: the connection that carried it
            # may have broken.
            if self._wire.send([b"", PING if self.opened else OPEN]) and self._asked is None:
                self._asked = now
            self._next_ping = now + self._heartbeat.interval_s
        return self._next_ping - now

    def fileno(self) -> int:
        """The descriptor to wait on for `receive`; `tick` has to be called meanwhile."""
        return self._station.fileno()

    def close(self) -> None:
        """Tell the peer, and close."""
        if self._station.closed:
            return
        if self._closed is None:
            self._wire.send([b"", CLOSE, GONE.encode()])
            self._closed = "the channel is closed"
        self._station.close(LINGER_S if self.opened else 0.0)
