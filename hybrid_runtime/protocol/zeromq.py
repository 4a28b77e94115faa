"""ZeroMQ sockets as this runtime uses them: the only module that knows the library.

A `Station` holds the sockets of one end of a link, a `Wire` is one of them. Everything is done by one thread
that waits on `Station.fileno`. What travels over a wire, and when a peer counts as gone, is decided by
`remote` and `listening` (messages between our own processes), `reqrep` (plain requests) and `status` (publications).
"""

from __future__ import annotations

import errno
import os
import select
import struct
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import zmq
from zmq.utils import z85

from hybrid_runtime.errors import ChannelClosed, HybridRuntimeError, InvalidInput
from hybrid_runtime.protocol.messages import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hybrid_runtime.protocol.address import Address

# Messages that wait at each end of a connection before its sender has to: few, because one may be large.
_HIGH_WATER = 8
# What encryption and its envelope add to a message.
_ENVELOPE_BYTES = 1024
# Time between two attempts to connect; doubled with each up to the second value.
_RECONNECT_MS = 50
_RECONNECT_MAX_MS = 1000
_HANDSHAKE_MS = 5000
_MAX_EVENTS = 64
# Connections whose peer has gone without a word are given up after this time, so that they do not pile up.
_TRANSPORT_HEARTBEAT_MS = 30_000
_CURVE_MECHANISM = b"CURVE"
_ZAP_ADDRESS = "inproc://zeromq.zap.01"
_ZAP_DOMAIN = b"hybrid-runtime"


class Kind(Enum):
    """What a socket is for."""

    DEALER = zmq.DEALER
    ROUTER = zmq.ROUTER
    REQUEST = zmq.REQ
    PUBLISH = zmq.PUB
    SUBSCRIBE = zmq.SUB


class Event(Enum):
    """What can happen to a connection that we make."""

    CONNECTED = zmq.EVENT_HANDSHAKE_SUCCEEDED
    BROKEN = zmq.EVENT_DISCONNECTED
    UNREACHABLE = zmq.EVENT_CLOSED
    NOT_AGREED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    OTHER_MECHANISM = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    KEY_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH


_EVENTS = {int(event.value): event for event in Event}
_EVENT = struct.Struct("=HI")


class ClientKeys(NamedTuple):
    """A client's pair of keys and the public key of its server, in Z85."""

    secret: bytes
    public: bytes
    server: bytes


class ServerKeys(NamedTuple):
    """A server's secret key, and the public keys of the clients it lets in with a name for each, in Z85."""

    secret: bytes
    clients: Mapping[bytes, str]


def new_key_pair() -> tuple[bytes, bytes]:
    """A new public and secret key, in Z85."""
    return zmq.curve_keypair()


def public_key(secret: bytes) -> bytes:
    """The public key of a secret one."""
    return zmq.curve_public(secret)


class Wire:
    """One socket of a `Station`. Messages are lists of frames."""

    def __init__(self, station: Station, socket: zmq.Socket[bytes]) -> None:
        self._station = station
        self._socket = socket
        self._send_timeout_ms = -1

    @property
    def address(self) -> str:
        """Where it is bound or connected, with the port that the system chose."""
        return str(self._socket.get_string(zmq.LAST_ENDPOINT)).rstrip("\0")

    def send(self, frames: Sequence[bytes], timeout_s: float = 0.0) -> bool:
        """Send a message; False when the peer has had no room for it within `timeout_s`.

        Raises:
            ChannelClosed: there is no such peer.
        """
        timeout_ms = round(timeout_s * 1000)
        if timeout_ms != self._send_timeout_ms:
            self._socket.setsockopt(zmq.SNDTIMEO, timeout_ms)
            self._send_timeout_ms = timeout_ms
        try:
            self._socket.send_multipart(frames)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            raise _closed(error) from error
        finally:
            # Sending may have taken in the news of a message, which the descriptor then no longer shows.
            if not self._socket.closed and int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN:
                self._station.ring(self)
        return True

    def receive(self) -> list[bytes] | None:
        """The next message if one is here.

        Raises:
            ChannelClosed: the station is closed.
        """
        self._station.attend()
        try:
            frames = self._socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            self._station.unring(self)
            return None
        except zmq.ZMQError as error:
            raise _closed(error) from error
        self._station.ring(self)  # there may be more
        return frames


class Station:
    """The sockets of one end of a link, with one descriptor to wait on.

    ZeroMQ's own descriptors tell of changes only, so a message that came along with another one would be
    missed by who waits on them. The station adds a bell that rings while a message may be left.

    Args:
        max_message_bytes: Connections that carry a larger message are cut off by ZeroMQ.
    """

    def __init__(self, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._max = max_message_bytes
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._ringing: set[Wire] = set()
        self._monitor: zmq.Socket[bytes] | None = None
        self._monitored: zmq.Socket[bytes] | None = None
        self._events: deque[Event] = deque(maxlen=_MAX_EVENTS)
        self._doorman: zmq.Socket[bytes] | None = None
        self._welcome: Mapping[bytes, str] = {}

    def connect(self, kind: Kind, address: Address, keys: ClientKeys | None = None) -> Wire:
        """A socket that connects to `address`, again and again until it is closed. See `events` for how it goes."""
        socket = self._socket(kind, address)
        if keys is not None:
            socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
            socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
        self._monitor = socket.get_monitor_socket(sum(_EVENTS))
        self._monitored = socket
        self._watch(self._monitor)
        socket.connect(str(address))
        return Wire(self, socket)

    def bind(self, kind: Kind, address: Address, keys: ServerKeys | None = None) -> Wire:
        """A socket that listens at `address`, which `address.resolve` has made a number.

        Raises:
            InvalidInput: the address is in use, or not one of this host's.
        """
        socket = self._socket(kind, address)
        if keys is not None:
            self._let_in(keys.clients)
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            socket.setsockopt(zmq.ZAP_DOMAIN, _ZAP_DOMAIN)
        try:
            socket.bind(str(address))
        except zmq.ZMQError as error:
            socket.close()
            raise InvalidInput(f"cannot listen at {address}: {error.strerror}; choose another address") from error
        return Wire(self, socket)

    def _socket(self, kind: Kind, address: Address) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind.value)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IPV6, ":" in address.host)
        socket.setsockopt(zmq.SNDHWM, _HIGH_WATER)
        socket.setsockopt(zmq.RCVHWM, _HIGH_WATER)
        socket.setsockopt(zmq.MAXMSGSIZE, self._max + _ENVELOPE_BYTES)
        socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        if kind is Kind.ROUTER:
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            socket.setsockopt(zmq.HEARTBEAT_IVL, _TRANSPORT_HEARTBEAT_MS)
        elif kind is Kind.SUBSCRIBE:
            socket.setsockopt(zmq.CONFLATE, 1)  # a reader that is late wants to know how things are now
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._watch(socket)
        return socket

    # ------------------------------------------------------------------ waiting

    def fileno(self) -> int:
        """The descriptor that is readable while any wire may have a message, or there is an event."""
        return self._epoll.fileno()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the descriptor is readable; False when it is not in time."""
        return bool(select.select([self._epoll.fileno()], [], [], timeout_s)[0])

    def ring(self, wire: Wire) -> None:
        """There may be a message on `wire`."""
        if not self._ringing:
            os.eventfd_write(self._bell, 1)
        self._ringing.add(wire)

    def unring(self, wire: Wire) -> None:
        """There is no message on `wire`."""
        if wire in self._ringing:
            self._ringing.remove(wire)
            if not self._ringing:
                os.eventfd_read(self._bell)

    def _watch(self, socket: zmq.Socket[bytes]) -> None:
        self._epoll.register(socket.fileno(), select.EPOLLIN)

    # ------------------------------------------------------------------ connections

    def attend(self) -> None:
        """Take in what happened to connections, and let clients in or keep them out."""
        if self._monitor is not None:
            while (frames := _receive_nowait(self._monitor)) is not None:
                event = _EVENTS.get(_EVENT.unpack(frames[0])[0])
                if event is not None:
                    self._events.append(event)
        if self._doorman is not None:
            while (frames := _receive_nowait(self._doorman)) is not None:
                self._doorman.send_multipart(self._verdict(frames))

    def events(self) -> list[Event]:
        """What has happened to the connection since the last call."""
        self.attend()
        events = list(self._events)
        self._events.clear()
        return events

    def _let_in(self, clients: Mapping[bytes, str]) -> None:
        """Ask this station about every key that a client shows (https://rfc.zeromq.org/spec/27/)."""
        self._welcome = {z85.decode(key): name for key, name in clients.items()}
        if self._doorman is None:
            self._doorman = self._context.socket(zmq.REP)
            self._doorman.setsockopt(zmq.LINGER, 0)
            self._doorman.bind(_ZAP_ADDRESS)
            self._watch(self._doorman)

    def _verdict(self, question: list[bytes]) -> list[bytes]:
        version, request, _domain, _address, _identity, mechanism, *credentials = question
        name = self._welcome.get(credentials[0]) if mechanism == _CURVE_MECHANISM and credentials else None
        if name is None:
            return [version, request, b"400", b"this key is not let in", b"", b""]
        return [version, request, b"200", b"", name.encode(), b""]

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._context.closed

    def close(self, linger_s: float = 0.0) -> None:
        """Close all sockets, after sending what waits for up to `linger_s`. Closing twice is allowed."""
        if self._context.closed:
            return
        if self._monitored is not None:
            self._monitored.disable_monitor()
        self._context.destroy(linger=round(linger_s * 1000))
        self._epoll.close()
        os.close(self._bell)


def _receive_nowait(socket: zmq.Socket[bytes]) -> list[bytes] | None:
    try:
        return socket.recv_multipart(zmq.DONTWAIT)
    except zmq.Again:
        return None


def _closed(error: zmq.ZMQError) -> HybridRuntimeError:
    if error.errno == errno.EHOSTUNREACH:
        return ChannelClosed("the peer has gone away")
    return ChannelClosed(f"the connection is closed ({error.strerror})")
