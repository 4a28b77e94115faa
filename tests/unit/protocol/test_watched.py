"""What a watched channel promises beyond what all channels do: its two ways keep one order, and nobody sleeps on."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from hybrid_runtime.errors import ChannelClosed
from hybrid_runtime.protocol import lines
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.protocol.watched import WatchedChannel

TIMEOUT_S = 30.0
LARGE = bytes(lines.MOST_BYTES + 1)


@pytest.fixture
def ends() -> Iterator[tuple[WatchedChannel, WatchedChannel]]:
    one, other = WatchedChannel.pair()
    yield one, other
    one.close()
    other.close()


def by_the_socket(channel: WatchedChannel) -> bytes | None:
    """What a channel without lines would find there."""
    data = SeqPacketChannel.receive_nowait(channel)
    return None if data is None else bytes(data)


def test_a_small_message_to_a_receiver_that_looks_does_not_go_by_the_socket(ends):
    one, other = ends
    other.line.wake()
    one.send(b"hello")
    assert by_the_socket(other) is None
    assert other.receive_nowait() == b"hello"


def test_messages_to_a_receiver_that_sleeps_go_by_the_socket(ends):
    one, other = ends
    one.send(b"hello")
    assert other.line.take() is None
    assert by_the_socket(other) == b"hello"


@pytest.mark.parametrize("order", ["small large", "large small", "small small", "small small large small"])
def test_messages_are_taken_in_the_order_in_which_they_were_sent(ends, order):
    one, other = ends
    other.line.wake()
    sent = [f"{number}".encode() + (LARGE if size == "large" else b"") for number, size in enumerate(order.split())]
    for message in sent:
        one.send(message)
    assert [bytes(other.receive(TIMEOUT_S)) for _ in sent] == sent
    assert other.receive_nowait() is None


def test_a_message_put_down_while_the_next_one_is_read_from_the_socket_comes_first(ends, monkeypatch):
    one, other = ends
    other.line.wake()
    read = SeqPacketChannel.receive_nowait

    def read_late(channel: SeqPacketChannel) -> bytes | memoryview | None:
        monkeypatch.undo()
        one.send(b"first")
        one.send(LARGE)
        return read(channel)

    monkeypatch.setattr(SeqPacketChannel, "receive_nowait", read_late)
    assert other.receive_nowait() == b"first"
    assert other.holding
    assert other.receive_nowait() == LARGE
    assert not other.holding


def test_whoever_falls_asleep_as_a_message_is_put_down_is_told_by_a_bell(ends, monkeypatch):
    one, other = ends
    other.line.wake()
    put = lines.Outgoing.put

    def put_late(line: lines.Outgoing, data: bytes) -> bool:
        done = put(line, data)
        other.line.doze()
        return done

    monkeypatch.setattr(lines.Outgoing, "put", put_late)
    one.send(b"hello")
    monkeypatch.undo()
    assert SeqPacketChannel.receive(other, TIMEOUT_S) == b"\xc0"  # the bell
    assert other.receive(TIMEOUT_S) == b"hello"


def test_bells_that_ring_in_vain_are_no_messages(ends):
    one, other = ends
    for _ in range(3):
        one.send_nowait(b"\xc0")
    one.send(b"hello")
    assert other.receive(TIMEOUT_S) == b"hello"
    one.send_nowait(b"\xc0")
    assert other.receive_nowait() is None


def test_a_bell_between_the_parts_of_a_message_does_not_break_it(ends):
    one, other = ends
    message = bytes(range(256)) * 1000
    from hybrid_runtime.protocol.seqpacket import chunks

    first, *others = chunks(message)
    one.post(message)  # which is too large: it is counted, and left to the socket
    assert one.send_nowait(first)
    assert one.send_nowait(b"\xc0")
    assert all(map(one.send_nowait, others))
    assert other.receive(TIMEOUT_S) == message


def test_the_peers_death_is_seen_while_looking(ends):
    one, other = ends
    one.grant(TIMEOUT_S)
    threading.Timer(0.0, one.close).start()
    with pytest.raises(ChannelClosed):
        other.receive()


def test_after_it_was_closed_messages_to_it_fail(ends):
    one, other = ends
    other.line.wake()
    other.close()
    with pytest.raises(ChannelClosed):
        one.send(b"hello")


def test_a_receiver_without_patience_times_out(ends):
    _, other = ends
    with pytest.raises(TimeoutError):
        other.receive(0.001)


def test_a_receiver_with_patience_times_out(ends):
    one, other = ends
    one.grant(0.0001)
    with pytest.raises(TimeoutError):
        other.receive(0.001)


@pytest.mark.parametrize("seed", range(4))
def test_two_that_look_and_sleep_as_it_comes_never_miss_each_other(ends, seed):
    one, other = ends
    one.grant(0.00005)  # so short that both fall asleep all the time
    chance = random.Random(seed)
    sizes = [1, 2, 100, 100, 100, 20_000, 70_000]
    messages = [b"m" + chance.randbytes(chance.choice(sizes)) for _ in range(2000)]

    def give_back() -> None:
        for _ in messages:
            other.send(bytes(other.receive(TIMEOUT_S)))

    thread = threading.Thread(target=give_back)
    thread.start()
    for message in messages:
        one.send(message)
        assert one.receive(TIMEOUT_S) == message
    thread.join()
