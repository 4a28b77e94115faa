from __future__ import annotations

import time

import pytest

from hybrid_runtime.errors import BackendTimeout, ProtocolError
from hybrid_runtime.protocol.address import parse_address, parse_bind_address
from hybrid_runtime.protocol.messages import Capabilities, encode
from hybrid_runtime.protocol.sessions import BackendState
from hybrid_runtime.protocol.status import Status, StatusReader
from hybrid_runtime.protocol.zeromq import Kind, Station

PATIENCE_S = 30.0
CAPABILITIES = Capabilities(name="b", driver="null", qubits=2, max_shots=9, operations=("H",))


@pytest.fixture
def published():
    """A publisher and a reader of it."""
    station = Station()
    wire = station.bind(Kind.PUBLISH, parse_bind_address("tcp://127.0.0.1:0"))
    reader = StatusReader(parse_address(wire.address))
    yield wire, reader
    reader.close()
    station.close()


def until_read(published, data):
    """Publish until it is read: who publishes does not know when a reader has come."""
    wire, reader = published
    deadline = time.monotonic() + PATIENCE_S
    while True:
        wire.send([data])
        try:
            return reader.read(0.02)
        except BackendTimeout:
            assert time.monotonic() < deadline


def status(state, *, waiting=0):
    return Status(state=state, time=1.5, instance="i", capabilities=CAPABILITIES, clients=1, waiting=waiting)


def test_a_status_is_read_as_it_was_published(published):
    sent = status(BackendState.CALIBRATING, waiting=3)
    assert until_read(published, encode(sent)) == sent


def test_a_reader_that_is_late_gets_the_newest(published):
    wire, reader = published
    until_read(published, encode(status(BackendState.IDLE)))
    for waiting in range(5):
        wire.send([encode(status(BackendState.EXECUTING, waiting=waiting))])
    read = reader.read(PATIENCE_S)
    while read.state is not BackendState.EXECUTING or read.waiting < 4:
        read = reader.read(PATIENCE_S)
    with pytest.raises(BackendTimeout):
        reader.read(0.01)


def test_silence_is_told(published):
    with pytest.raises(BackendTimeout, match="nothing was published"):
        published[1].read(0.01)


def test_what_is_no_status_is_refused(published):
    with pytest.raises(ProtocolError):
        until_read(published, b"\x93abc")
