"""A TCP link that can be cut, stalled, delayed and garbled, for tests of whatever speaks over one."""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import Self
from urllib.parse import urlsplit

from hybrid_runtime.errors import InvalidInput

_PIECE = 64 * 1024
_TURN_S = 0.02


class TcpProxy:
    """Stands between a client and a server on this host, and passes on what each says, until it is told otherwise.

    Attributes:
        address: Where clients connect, `tcp://127.0.0.1:PORT`.
        delay_s: How long each piece is held back; it may be changed at any time.
        connections: How many were accepted so far.

    Args:
        target: Where the server is, `tcp://HOST:PORT`.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        if parts.scheme != "tcp" or not parts.hostname or not parts.port:
            raise InvalidInput(f"a proxy's target is tcp://HOST:PORT, not {target!r:.80}")
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.delay_s = 0.0
        self.connections = 0
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._stalled = threading.Event()
        self._refusing = threading.Event()
        self._cutting = threading.Event()
        self._closing = threading.Event()
        self._garble = 0
        self._thread = threading.Thread(target=self._serve, name="tcp-proxy", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Close every connection, now; new ones are accepted. Returns when it is done."""
        self._cutting.set()
        while self._cutting.is_set() and self._thread.is_alive():
            self._thread.join(_TURN_S)

    def refuse(self, on: bool = True) -> None:
        """Close new connections as they come, or accept them again."""
        (self._refusing.set if on else self._refusing.clear)()

    def stall(self, on: bool = True) -> None:
        """Pass on nothing, with all connections open, or go on."""
        (self._stalled.set if on else self._stalled.clear)()

    def garble(self, pieces: int = 1) -> None:
        """Flip a bit in each of the next pieces."""
        self._garble = pieces

    def close(self) -> None:
        """Close everything. Closing twice is allowed."""
        self._closing.set()
        self._thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            if self._cutting.is_set():
                self._drop_all()
                self._cutting.clear()
            listening: list[socket.socket] = [] if self._stalled.is_set() else list(self._pairs)
            for ready in select.select([self._listener, *listening], [], [], _TURN_S)[0]:
                if ready is self._listener:
                    self._accept()
                elif ready in self._pairs:
                    self._pass_on(ready)
        self._drop_all()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._refusing.is_set():
            client.close()
            return
        try:
            server = socket.create_connection(self._target, timeout=1.0)
        except OSError:
            client.close()  # as it would be without a proxy
            return
        self.connections += 1
        for one, other in ((client, server), (server, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.settimeout(1.0)
            self._pairs[one] = other

    def _pass_on(self, source: socket.socket) -> None:
        try:
            piece = bytearray(source.recv(_PIECE))
            if piece:
                if self._garble:
                    self._garble -= 1
                    piece[len(piece) // 2] ^= 1
                if self.delay_s:
                    time.sleep(self.delay_s)
                self._pairs[source].sendall(piece)
                return
        except OSError:
            pass  # either end is gone: the other is told below
        self._drop(source)

    def _drop(self, one: socket.socket) -> None:
        other = self._pairs.pop(one)
        del self._pairs[other]
        one.close()
        other.close()

    def _drop_all(self) -> None:
        for one in list(self._pairs):
            if one in self._pairs:
                self._drop(one)
