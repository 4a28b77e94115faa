"""How a remote quantum runtime is doing, told to whoever listens: PUB at its end, SUB at the reader's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.errors import BackendTimeout
from hybrid_runtime.protocol.messages import Capabilities, decode, decoder
from hybrid_runtime.protocol.sessions import BackendState
from hybrid_runtime.protocol.zeromq import Kind, Station

if TYPE_CHECKING:
    from hybrid_runtime.protocol.address import Address
    from hybrid_runtime.protocol.zeromq import ClientKeys

_MAX_STATUS_BYTES = 1 << 20


class Status(msgspec.Struct, frozen=True, kw_only=True, tag="status", tag_field="type"):
    """One publication: sent when the state changes, and again at every heartbeat.

    Attributes:
        state: What the backend is doing.
        time: When this was sent, in seconds since 1970.
        instance: Another one means that the quantum runtime was restarted.
        capabilities: What the backend can do.
        clients: Sessions that are attached.
        waiting: Requests that wait for their turn.
    """

    state: BackendState
    time: float
    instance: str
    capabilities: Capabilities
    clients: int = 0
    waiting: int = 0


class StatusReader:
    """Reads the publications of one quantum runtime, always the newest.

    Args:
        address: Where they are published.
        keys: For a quantum runtime that asks for keys.
    """

    def __init__(self, address: Address, keys: ClientKeys | None = None) -> None:
        self._address = address
        self._station = Station(max_message_bytes=_MAX_STATUS_BYTES)
        self._wire = self._station.connect(Kind.SUBSCRIBE, address, keys)
        self._decoder = decoder(Status)

    def read(self, timeout_s: float) -> Status:
        """The next publication.

        Raises:
            BackendTimeout: none came in time.
            ProtocolError: it is not a status.
        """
        deadline = time.monotonic() + timeout_s
        while (frames := self._wire.receive()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BackendTimeout(f"nothing was published at {self._address} for {timeout_s:g} s")
            self._station.wait(left)
        status: Status = decode(self._decoder, frames[0])
        return status

    def close(self) -> None:
        """Stop listening."""
        self._station.close()
