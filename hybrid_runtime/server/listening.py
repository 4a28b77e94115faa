"""Where the service is found, and by whom it is told that it can be."""

from __future__ import annotations

import logging
import socket

from hybrid_runtime.errors import InvalidInput

_BACKLOG = 1024
_log = logging.getLogger(__name__)


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        InvalidInput: it cannot be had; the text says why.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise InvalidInput(f"{host!r} is no address to listen at: {error.strerror}; see listen.host") from error
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A service that starts again soon finds its port free, though old connections have not timed out.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise InvalidInput(
            f"cannot listen at {url_of(host, port)}: {error.strerror}; choose another place with --listen HOST:PORT"
        ) from error
    return listening


def url_of(host: str, port: int) -> str:
    """The address of the API, as clients are given it."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[HOST]:PORT` or `:PORT`, for 127.0.0.1.

    Raises:
        InvalidInput: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"--listen is HOST:PORT with a port from 0 to 65535, not {text!r:.60}")
    return host or "127.0.0.1", int(port)


def notify(state: str, address: str | None) -> None:
    """Tell the service manager that started this process, if there is one and it wants to be told."""
    if not address:
        return
    # As sd_notify(3) has it: an address that begins with @ is in the abstract name space.
    path = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(state.encode(), path)
        except OSError as error:
            _log.warning("the service manager cannot be told %r: %s", state, error.strerror)
