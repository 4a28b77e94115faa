"""Servers of other makers, for whatever talks to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import zmq

Handler = Callable[[str], str | None]


class TextServer:
    """Answers text with what `handler` makes of it, from a thread; None leaves the client without an answer.

    `asked` is what it was asked, and `heard` is set once there is something; `stop` and `start` are a restart at
    the same address.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.asked: list[str] = []
        self.heard = threading.Event()
        self.address = "tcp://127.0.0.1:0"
        self._running = threading.Event()
        self.start()

    def start(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(self.address)
        self.address = self._socket.get_string(zmq.LAST_ENDPOINT)
        self._running.set()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._running.is_set():
            if not self._socket.poll(20):
                continue
            *envelope, text = self._socket.recv_multipart()
            self.asked.append(text.decode())
            self.heard.set()
            answer = self.handler(text.decode())
            if answer is not None:
                self._socket.send_multipart([*envelope, answer.encode()])

    def stop(self) -> None:
        if self._running.is_set():
            self._running.clear()
            self._thread.join()
            self._context.destroy(linger=0)


@pytest.fixture
def text_server() -> Iterator[Callable[[Handler], TextServer]]:
    """Start servers of plain text; they end with the test."""
    servers = []

    def make(handler: Handler) -> TextServer:
        servers.append(TextServer(handler))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()
