"""Serves the API on a socket until it is told to end."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from hybrid_runtime.api.app import create_app
from hybrid_runtime.api.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hybrid_runtime.api.settings import ApiSettings
    from hybrid_runtime.jobs.store import Store

_GRACE_S = 10
_KEEP_ALIVE_S = 60
_BACKLOG = 1024


def serve(store: Store, settings: ApiSettings, sock: socket.socket, ready: Callable[[], None]) -> None:
    """Answer on this listening socket until SIGTERM; what was begun is finished, event streams end at once.

    Args:
        store: Where everything is kept; open, and left open.
        settings: What the operator has set.
        sock: A TCP socket that is bound; it is closed at the end.
        ready: Called once requests are answered.
    """
    # The kernel gives up a connection whose other end takes nothing any more; accepted sockets inherit it.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(settings.stall_s * 1000))
    # An answer is a head and a body. Without this, which asyncio sets for some sockets only, the body is held back
    # until the client's kernel acknowledges the head, and that takes its time: 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Each connection takes a descriptor, and event streams alone are more than most hosts grant at first.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    config = uvicorn.Config(
        create_app(store, settings),
        # What runs with the dependencies that are pinned: neither is looked for, so none is found by accident.
        http=type("_Patience", (Patience,), {"head_s": settings.stall_s}),
        loop="asyncio",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        backlog=_BACKLOG,
    )
    asyncio.run(_Server(config, ready).serve([sock]))


class _Server(uvicorn.Server):
    """Says when it is ready, and ends event streams before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.config.app.state.parts.hub.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM ends it, and that is all: Ctrl-C is for whoever started this process."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.handle_exit, signal.SIGTERM, None)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
