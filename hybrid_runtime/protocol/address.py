"""Addresses of remote quantum runtimes: `tcp://HOST:PORT`."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

from hybrid_runtime.errors import BackendUnknown, InvalidInput

_FORM = re.compile(r"tcp://(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+|\*)):(?P<port>\d{1,5}|\*)")
_MAX_PORT = 65535


class Address(NamedTuple):
    """A TCP address; as text it is what ZeroMQ takes.

    Attributes:
        host: A name, an IP address, or `*` for all interfaces.
        port: The port; 0 asks the system for a free one.
    """

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether it can be reached from its own host only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


def parse_address(text: str) -> Address:
    """An address to connect to.

    Raises:
        InvalidInput: it is not `tcp://HOST:PORT` with a port from 1.
    """
    address = parse_bind_address(text)
    if address.host == "*" or address.port == 0:
        raise InvalidInput(f"{text!r} names no host or no port to connect to; write tcp://HOST:PORT")
    return address


def parse_bind_address(text: str) -> Address:
    """An address to listen on: port `0` or `*` asks for a free port, host `*` means all interfaces.

    Raises:
        InvalidInput: it is none.
    """
    found = _FORM.fullmatch(text)
    port = 0 if found is None or found["port"] == "*" else int(found["port"])
    if found is None or port > _MAX_PORT:
        raise InvalidInput(f"{text!r} is not an address; write tcp://HOST:PORT, such as tcp://127.0.0.1:5555")
    return Address(found["ipv6"] or found["host"], port)


def resolve(address: Address) -> Address:
    """The address with its host as a number.

    Raises:
        BackendUnknown: no such host.
    """
    if address.host == "*":
        return address
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BackendUnknown(f"host {address.host!r} of {address} cannot be found ({error}); check the name") from error
    return Address(str(found[0][4][0]), address.port)
