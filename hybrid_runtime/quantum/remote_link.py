"""The way to a remote quantum runtime, made again whenever it breaks."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, TypeAlias

from hybrid_runtime.errors import ChannelClosed, HybridRuntimeError, ProtocolError
from hybrid_runtime.protocol.messages import PROTOCOL_VERSION, Capabilities, Executed, Failure, decode, decoder, encode
from hybrid_runtime.protocol.remote import RemoteChannel
from hybrid_runtime.protocol.sessions import Attach, Attached, FromRemote

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.protocol.address import Address
    from hybrid_runtime.protocol.framing import Heartbeat
    from hybrid_runtime.protocol.zeromq import ClientKeys

# Between two attempts where the other side itself says no; ZeroMQ spaces the others.
_RETRY_S = 0.2
_RETRY_HOPELESS_S = 1.0

Answer: TypeAlias = "tuple[Executed | Failure, bytes]"

_now = time.monotonic


class RemoteLink:
    """Connects, attaches to a session, and does so again after every break.

    Args:
        address: Where the remote quantum runtime listens.
        keys: For one that asks for keys.
        heartbeat: How closely to watch it.
        on_up: Called when the link is up, for the first time or again: the other side knows no program.

    Attributes:
        capabilities: What the backend can do; None until the link was up once.
        down_since: Since when the link is down; None while it is up.
        trouble: Why it is down, as far as is known.
        hopeless: Whether it will stay so until a person changes something.
    """

    def __init__(
        self, address: Address, keys: ClientKeys | None, heartbeat: Heartbeat, on_up: Callable[[], None]
    ) -> None:
        self._address = address
        self._keys = keys
        self._heartbeat = heartbeat
        self._on_up = on_up
        self._session = secrets.token_hex(16)
        self._decoder = decoder(FromRemote)
        self._channel: RemoteChannel | None = None
        self._attaching = False
        self._connect_at = 0.0
        self.capabilities: Capabilities | None = None
        self.down_since: float | None = _now()
        self.trouble = "it does not answer"
        self.hopeless = False

    @property
    def up(self) -> bool:
        """Whether messages can be sent."""
        return self.down_since is None

    def fileno(self) -> int | None:
        """The descriptor to wait on; None while there is none."""
        return None if self._channel is None else self._channel.fileno()

    def tick(self) -> float:
        """Connect if need be, and keep the link up; the seconds until the next call. Call it after `receive`."""
        if self._channel is None:
            wait = self._connect_at - _now()
            if wait > 0:
                return wait
            self._channel = RemoteChannel(self._address, self._keys, heartbeat=self._heartbeat)
            self._attaching = False
        try:
            return self._channel.tick()
        except ChannelClosed as error:
            self._lose(error)
            return 0.0

    def send(self, data: bytes) -> None:
        """Send one message, where the link is up. Whether it arrives is seen by its answer."""
        if self._channel is None or not self.up:
            return
        try:
            self._channel.send(data)
        except ChannelClosed as error:
            self._lose(error)

    def receive(self) -> Answer | None:
        """The next answer that is here, decoded and as it came."""
        channel = self._channel
        if channel is None:
            return None
        try:
            while (data := channel.receive_nowait()) is not None:
                message = decode(self._decoder, data)
                if isinstance(message, Attached):
                    self._take_attached(message)
                elif self.up:
                    return message, data
                else:
                    raise ProtocolError(message.error.text if isinstance(message, Failure) else "an answer too soon")
            if channel.opened and not self._attaching:
                self._attaching = True
                channel.send(encode(Attach(PROTOCOL_VERSION, self._session)))
        except (ChannelClosed, ProtocolError) as error:
            self._lose(error)
        if not channel.opened and channel.trouble:
            self.trouble, self.hopeless = channel.trouble, channel.hopeless
            if channel.hopeless:
                self._lose(ChannelClosed(channel.trouble))
        return None

    def _take_attached(self, message: Attached) -> None:
        # Neither of these goes away by waiting.
        self.hopeless = True
        if message.version != PROTOCOL_VERSION:
            raise ProtocolError(f"it speaks protocol {message.version}, and this runtime {PROTOCOL_VERSION}")
        if self.capabilities is None:
            self.capabilities = message.capabilities
        elif self.capabilities != message.capabilities:
            # One job must not get its results from two different backends.
            raise ProtocolError("another backend answers there than the one that this run began with")
        self.down_since = None
        self.hopeless = False
        self._on_up()

    def _lose(self, error: HybridRuntimeError) -> None:
        """The channel is over; whoever needs the link finds it down, and it is made again."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        if channel.opened:
            self.trouble = str(error)
        channel.close()
        now = _now()
        # A link that was up is tried again at once.
        self._connect_at = now if self.up else now + (_RETRY_HOPELESS_S if self.hopeless else _RETRY_S)
        if self.up:
            self.down_since = now

    def close(self) -> None:
        """Tell the other side, and close."""
        if self._channel is not None:
            self._channel.close()
