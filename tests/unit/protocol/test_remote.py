"""What remote channels promise beyond what every channel does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import zmq

from hybrid_runtime.errors import ChannelClosed, InvalidInput, ProtocolError
from hybrid_runtime.protocol.address import Address, parse_address, parse_bind_address
from hybrid_runtime.protocol.curve import load_client_keys, load_server_keys, make_keys
from hybrid_runtime.protocol.framing import Heartbeat
from hybrid_runtime.protocol.listening import MAX_PEERS, Listener
from hybrid_runtime.protocol.messages import MAX_MESSAGE_BYTES
from hybrid_runtime.protocol.remote import RemoteChannel

PATIENCE_S = 30.0
ANYWHERE = parse_bind_address("tcp://127.0.0.1:0")
QUICK = Heartbeat(0.02, 0.3)
MAX_SHOTS, QUBITS = 1_000_000, 20


@pytest.fixture
def closing() -> Iterator[Callable]:
    """Close what the test opened, the last first."""
    with ExitStack() as stack:

        def later(thing):
            stack.callback(thing.close)
            return thing

        yield later


@pytest.fixture
def keys(tmp_path):
    """Keys of a server and of a client that it lets in; and those of a client that it does not."""
    make_keys(tmp_path / "ours")
    make_keys(tmp_path / "other")
    stranger = load_client_keys(tmp_path / "other")
    ours = load_client_keys(tmp_path / "ours")
    return load_server_keys(tmp_path / "ours"), ours, stranger._replace(server=ours.server)


@pytest.fixture
def raw(closing):
    """Sockets of ZeroMQ itself, for peers that misbehave."""

    class Raw:
        def __init__(self):
            self.context = zmq.Context()
            self.sockets = []  # one that nobody holds would be closed too early

        def socket(self, kind):
            made = self.context.socket(kind)
            made.setsockopt(zmq.LINGER, 0)
            made.setsockopt(zmq.RCVTIMEO, round(PATIENCE_S * 1000))
            self.sockets.append(made)
            return made

        def close(self):
            self.context.destroy(linger=0)

    return closing(Raw())


def connect(listener: Listener, **options) -> RemoteChannel:
    return RemoteChannel(parse_address(listener.address), **options)


def meet(listener: Listener, channel: RemoteChannel):
    peer = listener.accept(PATIENCE_S)
    channel.wait_opened(PATIENCE_S)
    return peer


def attend(listener: Listener, channel: RemoteChannel):
    """Let both ends do what they have to, until one of them raises."""
    while True:
        assert listener.next_nowait() is None
        assert channel.receive_nowait() is None
        channel.tick()
        listener.wait(0.01)


# ------------------------------------------------------------------ keys


def test_a_client_with_its_key_is_let_in(closing, keys):
    listener = closing(Listener(ANYWHERE, keys[0]))
    channel = closing(connect(listener, keys=keys[1]))
    peer = meet(listener, channel)
    channel.send(b"secret")
    assert peer.receive(PATIENCE_S) == b"secret"


def refusal(listener: Listener, channel: RemoteChannel) -> str:
    """Why a channel is not opened, while its server does its part."""
    while not channel.trouble:
        assert listener.next_nowait() is None
        listener.wait(0.01)
        assert channel.receive_nowait() is None
        assert not channel.opened
    return channel.trouble


def test_a_client_whose_key_is_not_on_the_list_is_kept_out(closing, keys):
    listener = closing(Listener(ANYWHERE, keys[0]))
    channel = closing(connect(listener, keys=keys[2]))
    assert "does not let our key in" in refusal(listener, channel)
    with pytest.raises(ChannelClosed, match="does not let our key in"):
        channel.wait_opened(PATIENCE_S)


def test_a_client_without_a_key_is_kept_out(closing, keys):
    listener = closing(Listener(ANYWHERE, keys[0]))
    channel = closing(connect(listener))
    assert "--keys" in refusal(listener, channel)


def test_a_server_with_another_key_than_the_client_expects_is_not_trusted(closing, keys):
    listener = closing(Listener(ANYWHERE, keys[0]))
    channel = closing(connect(listener, keys=keys[1]._replace(server=keys[2].public)))
    assert "server.public" in refusal(listener, channel)


def test_a_server_without_keys_is_not_given_a_secret(closing, keys):
    listener = closing(Listener(ANYWHERE))
    channel = closing(connect(listener, keys=keys[1]))
    assert "keys" in refusal(listener, channel)


# ------------------------------------------------------------------ life and death


def test_an_address_where_nothing_listens_is_told(closing):
    listener = closing(Listener(ANYWHERE))
    address = parse_address(listener.address)
    listener.close()
    channel = closing(RemoteChannel(address))
    with pytest.raises(ChannelClosed, match="nothing listens there"):
        channel.wait_opened(0.5)


def test_a_peer_that_is_no_quantum_runtime_is_not_waited_for_for_ever(closing, raw):
    socket = raw.socket(zmq.ROUTER)
    socket.bind("tcp://127.0.0.1:0")
    channel = closing(RemoteChannel(parse_address(socket.get_string(zmq.LAST_ENDPOINT))))
    with pytest.raises(ChannelClosed, match="does not answer"):
        channel.wait_opened(0.2)


def test_a_server_that_falls_silent_counts_as_gone(closing, raw):
    socket = raw.socket(zmq.ROUTER)
    socket.bind("tcp://127.0.0.1:0")
    channel = closing(RemoteChannel(parse_address(socket.get_string(zmq.LAST_ENDPOINT)), heartbeat=QUICK))
    identity, *_ = socket.recv_multipart()
    socket.send_multipart([identity, b"", b"opened"])
    channel.wait_opened(PATIENCE_S)
    with pytest.raises(ChannelClosed, match=r"not answered for 0\.3 s"):
        channel.receive(PATIENCE_S)


def test_a_client_that_falls_silent_counts_as_gone(closing, raw):
    listener = closing(Listener(ANYWHERE, heartbeat=QUICK))
    socket = raw.socket(zmq.DEALER)
    socket.connect(listener.address)
    socket.send_multipart([b"", b"open"])
    peer = listener.accept(PATIENCE_S)
    with pytest.raises(ChannelClosed, match=r"silent for 0\.3 s"):
        peer.receive(PATIENCE_S)
    assert listener.take_lost() == [peer]


def test_a_channel_that_both_ends_attend_to_stays_open_when_nothing_is_sent(closing):
    patient = Heartbeat(0.02, 1.0)
    listener = closing(Listener(ANYWHERE, heartbeat=patient))
    channel = closing(connect(listener, heartbeat=patient))
    peer = meet(listener, channel)
    pings = 0
    while pings < 60:  # longer than either end would bear without them
        with pytest.raises(TimeoutError):
            channel.receive(0.02)
        heard = peer.heard
        assert listener.next_nowait() is None
        listener.tick()
        assert not peer.closed
        pings += peer.heard != heard
    channel.send(b"still here")
    assert peer.receive(PATIENCE_S) == b"still here"


def test_a_server_that_is_started_again_is_another_peer(closing):
    first = Listener(ANYWHERE)
    address = parse_address(first.address)
    channel = closing(RemoteChannel(address, heartbeat=QUICK))
    meet(first, channel)
    first.station.close()  # as a process dies: without a word
    second = closing(Listener(address))
    with pytest.raises(ChannelClosed, match=r"broke|does not know"):
        attend(second, channel)
    again = closing(RemoteChannel(address))
    meet(second, again)


def test_a_message_on_a_channel_that_was_never_opened_is_not_taken(closing, raw):
    listener = closing(Listener(ANYWHERE))
    socket = raw.socket(zmq.DEALER)
    socket.connect(listener.address)
    socket.send(b"message")
    while not socket.poll(10):
        assert listener.next_nowait() is None
    assert socket.recv_multipart() == [b"", b"unknown"]


def test_closing_a_channel_tells_why(closing):
    listener = closing(Listener(ANYWHERE))
    channel = closing(connect(listener))
    meet(listener, channel).close("the fridge is being warmed up")
    with pytest.raises(ChannelClosed, match="the fridge is being warmed up"):
        channel.receive(PATIENCE_S)


# ------------------------------------------------------------------ several clients


def test_clients_are_kept_apart(closing):
    listener = closing(Listener(ANYWHERE))
    channels, peers = [], []
    for _ in range(3):
        channels.append(closing(connect(listener)))
        peers.append(meet(listener, channels[-1]))
    for number, channel in enumerate(channels):
        channel.send(b"from %d" % number)
    for number, peer in reversed(list(enumerate(peers))):
        assert peer.receive(PATIENCE_S) == b"from %d" % number
        peer.send(b"to %d" % number)
    assert [channel.receive(PATIENCE_S) for channel in channels] == [b"to 0", b"to 1", b"to 2"]


def test_too_many_clients_are_turned_away_with_the_reason(closing, raw):
    listener = closing(Listener(ANYWHERE))
    for _ in range(MAX_PEERS):
        socket = raw.socket(zmq.DEALER)
        socket.connect(listener.address)
        socket.send_multipart([b"", b"open"])
        listener.accept(PATIENCE_S)
    channel = closing(connect(listener))
    with pytest.raises(ChannelClosed, match="too many clients"):
        attend(listener, channel)


def test_a_flood_of_pings_does_not_keep_others_waiting(closing, raw):
    listener = closing(Listener(ANYWHERE))
    channel = closing(connect(listener))
    peer = meet(listener, channel)
    flood = raw.socket(zmq.DEALER)
    flood.connect(listener.address)
    flood.send_multipart([b"", b"open"])
    listener.accept(PATIENCE_S)
    for _ in range(200):
        flood.send_multipart([b"", b"ping"])
        while flood.poll(0):
            flood.recv_multipart()
        listener.next_nowait()
    channel.send(b"hello")
    assert peer.receive(PATIENCE_S) == b"hello"


@pytest.mark.parametrize("frames", [[b"", b"dance"], [b"a", b"b"], [b""] * 5, [b"", b"", b""]])
def test_a_client_that_sends_unknown_frames_is_let_go(closing, raw, frames):
    listener = closing(Listener(ANYWHERE))
    socket = raw.socket(zmq.DEALER)
    socket.connect(listener.address)
    socket.send_multipart([b"", b"open"])
    peer = listener.accept(PATIENCE_S)
    socket.send_multipart(frames)
    with pytest.raises(ChannelClosed):
        peer.receive(PATIENCE_S)
    assert socket.recv_multipart() == [b"", b"opened"]
    assert socket.recv_multipart()[:2] == [b"", b"close"]


# ------------------------------------------------------------------ sizes


def test_the_server_refuses_a_message_over_its_limit_and_tells_its_sender(closing):
    listener = closing(Listener(ANYWHERE, max_message_bytes=1000))
    channel = closing(connect(listener))
    peer = meet(listener, channel)
    channel.send(bytes(1001))
    with pytest.raises(ProtocolError, match="1001 bytes is over the limit of 1000"):
        peer.receive(PATIENCE_S)
    with pytest.raises(ChannelClosed, match="over the limit"):
        channel.receive(PATIENCE_S)


def test_the_client_refuses_a_message_over_its_limit(closing):
    listener = closing(Listener(ANYWHERE))
    channel = closing(connect(listener, max_message_bytes=1000))
    meet(listener, channel).send(bytes(1001))
    with pytest.raises(ProtocolError, match="1001 bytes is over the limit of 1000"):
        channel.receive(PATIENCE_S)


def test_a_peer_that_sends_more_than_any_message_may_have_is_cut_off(closing, raw):
    listener = closing(Listener(ANYWHERE))
    socket = raw.socket(zmq.DEALER)
    socket.connect(listener.address)
    socket.send_multipart([b"", b"open"])
    listener.accept(PATIENCE_S)
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    raw.sockets.append(monitor)
    socket.send(bytes(MAX_MESSAGE_BYTES + 2048))
    assert monitor.poll(round(PATIENCE_S * 1000))
    assert listener.next_nowait() is None
    socket.disable_monitor()


def test_a_million_raw_shots_of_twenty_bits_go_through(closing):
    listener = closing(Listener(ANYWHERE))
    channel = closing(connect(listener))
    peer = meet(listener, channel)
    shots = os.urandom(MAX_SHOTS * (QUBITS + 1))
    peer.send(shots)
    assert channel.receive(PATIENCE_S) == shots


# ------------------------------------------------------------------ listening


def test_an_address_in_use_is_refused(closing):
    listener = closing(Listener(ANYWHERE))
    with pytest.raises(InvalidInput, match="choose another address"):
        Listener(parse_address(listener.address))


def test_an_address_of_another_host_is_refused():
    with pytest.raises(InvalidInput, match="cannot listen at"):
        Listener(Address("192.0.2.1", 0))
