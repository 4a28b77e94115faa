"""A link that can be cut, stalled, delayed and garbled."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

import pytest

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.testing.faults import TcpProxy


@pytest.fixture
def proxy():
    """A proxy in front of a server that says everything back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo(connection):
        with connection:
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with TcpProxy(f"tcp://127.0.0.1:{listener.getsockname()[1]}") as proxy:
        yield proxy
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def connected(proxy):
    parts = urlsplit(proxy.address)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def said_back(link, text):
    link.sendall(text)
    return link.recv(1 << 16)


def test_it_passes_on_what_is_said(proxy):
    with connected(proxy) as link, connected(proxy) as other:
        assert said_back(link, b"hello") == b"hello"
        assert said_back(other, b"there") == b"there"
    assert proxy.connections == 2


def test_a_cut_closes_connections_and_new_ones_work(proxy):
    with connected(proxy) as link:
        assert said_back(link, b"hello") == b"hello"
        proxy.cut()
        assert link.recv(1) == b""
    with connected(proxy) as link:
        assert said_back(link, b"again") == b"again"


def test_it_can_refuse_for_a_while(proxy):
    proxy.refuse()
    with connected(proxy) as link:
        assert link.recv(1) == b""
    proxy.refuse(False)
    with connected(proxy) as link:
        assert said_back(link, b"again") == b"again"


def test_what_is_stalled_comes_when_it_goes_on(proxy):
    with connected(proxy) as link:
        assert said_back(link, b"one") == b"one"
        proxy.stall()
        link.sendall(b"two")
        link.settimeout(0.2)
        with pytest.raises(TimeoutError):
            link.recv(1)
        link.settimeout(20)
        proxy.stall(False)
        assert link.recv(3) == b"two"


def test_a_garbled_piece_differs_in_a_bit(proxy):
    with connected(proxy) as link:
        proxy.garble()
        assert said_back(link, b"hello") == b"hemlo"
        assert said_back(link, b"hello") == b"hello"


def test_a_target_is_an_address():
    with pytest.raises(InvalidInput, match="tcp://HOST:PORT"):
        TcpProxy("127.0.0.1:5")
