from __future__ import annotations

import pytest

from hybrid_runtime.errors import BackendUnknown, InvalidInput
from hybrid_runtime.protocol.address import Address, parse_address, parse_bind_address, resolve


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tcp://127.0.0.1:5555", "127.0.0.1", 5555),
        ("tcp://qpu-3.example.org:65535", "qpu-3.example.org", 65535),
        ("tcp://[::1]:1", "::1", 1),
    ],
)
def test_an_address_is_a_host_and_a_port(text, host, port):
    assert parse_address(text) == Address(host, port)
    assert str(parse_address(text)) == text


@pytest.mark.parametrize("text", ["tcp://*:5555", "tcp://127.0.0.1:0", "tcp://127.0.0.1:*"])
def test_one_can_listen_but_not_connect_to_any_host_or_port(text):
    assert parse_bind_address(text)
    with pytest.raises(InvalidInput, match="connect to"):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["", "tcp://", "tcp://host", "host:5", "tcp://host:65536", "tcp://a b:5", "ipc:///tmp/x", "tcp://::1:5"]
)
def test_what_is_no_address_is_refused_with_the_form_of_one(text):
    with pytest.raises(InvalidInput, match="tcp://HOST:PORT"):
        parse_bind_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.8.7", True), ("::1", True), ("localhost", True), ("*", False), ("0.0.0.0", False)],
)
def test_only_loopback_addresses_count_as_loopback(host, loopback):
    assert Address(host, 1).loopback is loopback


def test_names_are_resolved_and_numbers_kept():
    assert resolve(Address("localhost", 7)).loopback
    assert resolve(Address("127.0.0.1", 7)) == Address("127.0.0.1", 7)
    assert resolve(Address("*", 7)) == Address("*", 7)


def test_a_host_that_does_not_exist_is_named():
    with pytest.raises(BackendUnknown, match=r"no-such-host\.invalid"):
        resolve(Address("no-such-host.invalid", 7))
