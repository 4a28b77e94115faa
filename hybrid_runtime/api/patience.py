"""Connections over which the head of a request comes too slowly, or not at all, are closed: each takes a descriptor."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Patience(H11Protocol):
    """HTTP over one connection; what the server itself bounds is only the time between requests."""

    # How long the head of a request may take; set for all connections of a process.
    head_s = 30.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waits: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._waits = self.loop.call_later(self.head_s, transport.close)

    def data_received(self, data: bytes) -> None:
        """Go on to wait while the head is not complete."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._waits is None and self.conn.trailing_data[0]:
            self._waits = self.loop.call_later(self.head_s, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None
