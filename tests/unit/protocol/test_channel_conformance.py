"""What every channel promises, whatever carries its messages; a further kind is one more entry of `KINDS`."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from hybrid_runtime.errors import ChannelClosed, ProtocolError
from hybrid_runtime.protocol.address import parse_bind_address
from hybrid_runtime.protocol.channel import Channel
from hybrid_runtime.protocol.listening import Listener
from hybrid_runtime.protocol.messages import MAX_MESSAGE_BYTES
from hybrid_runtime.protocol.remote import RemoteChannel
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.protocol.watched import WatchedChannel

PATIENCE_S = 30.0
# For how long a watched channel looks before it sleeps.
LOOK_S = 0.02
SIZES = [1, 2, 1000, 65535, 65536, 65537, 1_000_000, 20_000_000]


class Ends(NamedTuple):
    """Two channels connected to each other, and what gives up whatever they need."""

    one: Channel
    other: Channel
    close: Callable[[], None]


def seqpacket() -> Ends:
    one, other = SeqPacketChannel.pair()
    return Ends(one, other, lambda: None)


def watched() -> Ends:
    one, other = WatchedChannel.pair()
    one.grant(LOOK_S)
    return Ends(one, other, lambda: None)


def watched_without_patience() -> Ends:
    return Ends(*WatchedChannel.pair(), lambda: None)


def remote() -> Ends:
    listener = Listener(parse_bind_address("tcp://127.0.0.1:0"))
    client = RemoteChannel(parse_bind_address(listener.address))
    server = listener.accept(PATIENCE_S)
    client.wait_opened(PATIENCE_S)
    return Ends(client, server, listener.close)


def remote_seen_from_the_server() -> Ends:
    client, server, close = remote()
    return Ends(server, client, close)


KINDS = [seqpacket, watched, watched_without_patience, remote, remote_seen_from_the_server]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def ends(request) -> Iterator[Ends]:
    made = request.param()
    yield made
    made.one.close()
    made.other.close()
    made.close()


class Sender(threading.Thread):
    """Sends from a thread of its own; `sent` counts what has been accepted."""

    def __init__(self, channel: Channel, messages: list[bytes]) -> None:
        super().__init__(daemon=True)
        self._channel = channel
        self._messages = messages
        self.sent = 0

    def run(self) -> None:
        for message in self._messages:
            self._channel.send(message)
            self.sent += 1


def send_all(channel: Channel, messages: list[bytes]) -> Sender:
    sender = Sender(channel, messages)
    sender.start()
    return sender


@pytest.mark.parametrize("size", SIZES)
def test_a_message_arrives_whole(ends, size):
    message = os.urandom(size - 1) + b"."
    sender = send_all(ends.one, [b"\x00" + message[1:]])
    assert bytes(ends.other.receive(PATIENCE_S)) == b"\x00" + message[1:]
    sender.join(PATIENCE_S)


def test_messages_arrive_in_order_and_apart(ends):
    messages = [bytes([number % 100]) * (1 + number % 7) for number in range(1000)]
    sender = send_all(ends.one, messages)
    assert [bytes(ends.other.receive(PATIENCE_S)) for _ in messages] == messages
    sender.join(PATIENCE_S)


def test_both_directions_are_independent(ends):
    ends.one.send(b"question")
    ends.other.send(b"news")
    assert bytes(ends.one.receive(PATIENCE_S)) == b"news"
    assert bytes(ends.other.receive(PATIENCE_S)) == b"question"


def test_a_hundred_turns_are_taken(ends):
    for turn in range(100):
        ends.one.send(b"%d" % turn)
        ends.other.send(bytes(ends.other.receive(PATIENCE_S)) + b"!")
        assert bytes(ends.one.receive(PATIENCE_S)) == b"%d!" % turn


def test_a_receive_that_gets_nothing_times_out_and_the_channel_goes_on(ends):
    with pytest.raises(TimeoutError):
        ends.other.receive(0.01)
    ends.one.send(b"late")
    assert bytes(ends.other.receive(PATIENCE_S)) == b"late"


def test_a_receive_without_a_timeout_waits(ends):
    sender = send_all(ends.one, [b"here"])
    assert bytes(ends.other.receive()) == b"here"
    sender.join(PATIENCE_S)


def test_what_was_sent_before_a_close_is_read_before_it_is_told(ends):
    ends.one.send(b"first")
    ends.one.send(b"last")
    ends.one.close()
    assert bytes(ends.other.receive(PATIENCE_S)) == b"first"
    assert bytes(ends.other.receive(PATIENCE_S)) == b"last"
    with pytest.raises(ChannelClosed):
        ends.other.receive(PATIENCE_S)


def test_sending_to_a_closed_peer_is_told(ends):
    ends.one.close()
    with pytest.raises(ChannelClosed):
        ends.other.receive(PATIENCE_S)
    with pytest.raises(ChannelClosed):
        ends.other.send(b"anyone?")


def test_closing_twice_is_allowed(ends):
    ends.one.close()
    ends.one.close()


def test_a_message_that_is_too_large_is_refused_by_its_sender_and_the_channel_goes_on(ends):
    with pytest.raises(ProtocolError, match="over the limit"):
        ends.one.send(bytes(MAX_MESSAGE_BYTES + 1))
    ends.one.send(b"small")
    assert bytes(ends.other.receive(PATIENCE_S)) == b"small"


def test_a_sender_waits_while_its_peer_does_not_read(ends):
    size, count = 1 << 20, 80
    sender = send_all(ends.one, [bytes([number]) * size for number in range(count)])
    # Some are on the way; that not all are can be seen once it stops getting on.
    seen = -1
    while sender.sent != seen:
        seen = sender.sent
        sender.join(0.3)
    assert sender.sent < count
    received = [bytes(ends.other.receive(PATIENCE_S)) for _ in range(count)]
    assert [message[0] for message in received] == list(range(count))
    assert {len(message) for message in received} == {size}
    sender.join(PATIENCE_S)


def test_its_descriptor_is_readable_while_messages_wait(ends):
    for _ in range(3):
        ends.one.send(b"one")
        ends.one.send(b"two")
        for expected in (b"one", b"two"):
            deadline = time.monotonic() + PATIENCE_S
            message = None
            # It may be readable for something else, such as an acknowledgement, but never silent with a message here.
            while message is None:
                assert select.select([ends.other.fileno()], [], [], deadline - time.monotonic())[0]
                try:
                    message = bytes(ends.other.receive(0.001))
                except TimeoutError:
                    continue
            assert message == expected
        ends.other.send(b"back")
        assert bytes(ends.one.receive(PATIENCE_S)) == b"back"
