"""A channel that is written to without waiting for its reader."""

from __future__ import annotations

import select
from collections.abc import Iterator

import msgspec
import pytest

from hybrid_runtime.dispatcher import link as module
from hybrid_runtime.dispatcher.link import Link
from hybrid_runtime.errors import ChannelClosed
from hybrid_runtime.protocol.messages import Note, decode, decoder
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

NOTES = decoder(Note)


@pytest.fixture
def ends() -> Iterator[tuple[Link, SeqPacketChannel, select.epoll]]:
    ours, theirs = SeqPacketChannel.pair()
    epoll = select.epoll()
    yield Link(ours, epoll), theirs, epoll
    ours.close()
    theirs.close()
    epoll.close()


def note(number: int, size: int = 0) -> Note:
    return Note([("n", float(number))], ["x" * size])


def events(epoll: select.epoll) -> int:
    return sum(mask for _, mask in epoll.poll(0))


def test_a_small_message_is_sent_at_once(ends):
    link, theirs, epoll = ends
    link.send(note(1))
    assert decode(NOTES, theirs.receive(5)) == note(1)
    assert not events(epoll) & select.EPOLLOUT


@pytest.mark.parametrize("size", [0, 1000, 300_000])
def test_what_a_slow_reader_does_not_take_is_kept_in_order(ends, size):
    link, theirs, epoll = ends
    for number in range(500):
        link.send(note(number, size))
    for number in range(500):
        # The reader makes room, the loop is told of it.
        if events(epoll) & select.EPOLLOUT:
            link.on_writable()
        message = None
        while message is None:
            message = theirs.receive_nowait()
            link.on_writable()
        assert decode(NOTES, message).metrics == [("n", float(number))]
    assert not events(epoll) & select.EPOLLOUT


def test_a_reader_that_never_reads_is_cut_off(ends, monkeypatch):
    monkeypatch.setattr(module, "MAX_BACKLOG_BYTES", 1_000_000)
    link, _, _ = ends
    message = note(1, 900_000)
    link.send(message)
    with pytest.raises(ChannelClosed, match="does not read"):
        link.send(message)


def test_a_reader_that_is_gone_is_told(ends):
    link, theirs, _ = ends
    theirs.close()
    with pytest.raises(ChannelClosed):
        link.send(note(1))


@pytest.mark.parametrize("size", [0, 300_000])
def test_a_link_that_was_given_up_sends_nothing(ends, size):
    link, theirs, _ = ends
    link.close()
    link.close()
    with pytest.raises(ChannelClosed, match="given up"):
        link.send(note(1, size))
    assert theirs.receive_nowait() is None


def test_messages_are_encoded_once_however_they_are_sent(ends):
    link, theirs, _ = ends
    link.send(note(1, 100_000))
    packets = []
    while (message := theirs.receive_nowait()) is None:
        link.on_writable()
    packets.append(bytes(message))
    assert packets == [msgspec.msgpack.encode(note(1, 100_000))]
