"""What the local channel does beyond the promises of every channel."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

import pytest

from hybrid_runtime.errors import ChannelClosed, ProtocolError
from hybrid_runtime.protocol.seqpacket import PACKET_BYTES, SeqPacketChannel, chunks

HEAD = struct.Struct("<BI")
MARK = 0xC1


@pytest.fixture
def peer() -> Iterator[tuple[SeqPacketChannel, socket.socket]]:
    """A channel, and the bare socket of a peer that may send anything."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = SeqPacketChannel(ours, max_message_bytes=1_000_000)
    yield channel, theirs
    channel.close()
    theirs.close()


def part(total: int, body: bytes) -> bytes:
    return HEAD.pack(MARK, total) + body


def test_parts_are_put_together(peer):
    channel, theirs = peer
    theirs.send(part(6, b"abc"))
    theirs.send(part(6, b"def"))
    assert bytes(channel.receive(5)) == b"abcdef"


@pytest.mark.parametrize(
    ("packets", "why"),
    [
        ([part(6, b"abc"), b"next"], "cut short"),
        ([part(6, b"abc"), part(7, b"def")], "disagree"),
        ([part(3, b"abcdef")], "longer than it"),
        ([part(4, b"abc"), part(4, b"de")], "longer than it"),
        ([part(0, b"a")], "longer than it"),
        ([part(3, b"")], "empty part"),
        ([bytes([MARK])], "empty part"),
        ([bytes([MARK]) * 4], "empty part"),
        ([part(1_000_001, b"a")], "over the limit"),
        ([part(0xFFFFFFFF, b"a")], "over the limit"),
    ],
)
def test_broken_framing_is_refused(peer, packets, why):
    channel, theirs = peer
    for packet in packets:
        theirs.send(packet)
    with pytest.raises(ProtocolError, match=why):
        channel.receive(5)


def test_a_time_out_between_two_parts_loses_nothing(peer):
    channel, theirs = peer
    theirs.send(part(6, b"abc"))
    with pytest.raises(TimeoutError):
        channel.receive(0.001)
    theirs.send(part(6, b"def"))
    assert bytes(channel.receive(5)) == b"abcdef"


def test_an_empty_packet_ends_the_channel(peer):
    channel, theirs = peer
    theirs.send(b"")
    with pytest.raises(ChannelClosed):
        channel.receive(5)


def test_descriptors_that_a_peer_passes_are_closed_unseen(peer):
    channel, theirs = peer
    read, write = os.pipe()
    socket.send_fds(theirs, [b"a gift"], [write])
    os.close(write)
    assert bytes(channel.receive(5)) == b"a gift"
    # The writing end is nobody's any more, so reading ends at once.
    assert os.read(read, 1) == b""
    os.close(read)


def test_a_peer_that_left_with_messages_unread_is_a_closed_peer(peer):
    channel, theirs = peer
    channel.send(b"unread")
    theirs.close()
    with pytest.raises(ChannelClosed, match="other end"):
        channel.receive(5)
    with pytest.raises(ChannelClosed, match="other end"):
        channel.receive_nowait()


@pytest.mark.parametrize(
    "use",
    [
        lambda channel: channel.send(b"x"),
        lambda channel: channel.send(bytes(PACKET_BYTES + 1)),
        lambda channel: channel.send_nowait(b"x"),
        lambda channel: channel.receive(),
        lambda channel: channel.receive(1.0),
        lambda channel: channel.receive_nowait(),
    ],
)
def test_a_channel_that_was_closed_here_says_so(peer, use):
    channel, _ = peer
    channel.close()
    with pytest.raises(ChannelClosed, match="this end"):
        use(channel)


@pytest.mark.parametrize("timeout_s", [0, -1, 1e-9])
def test_a_timeout_that_has_passed_takes_what_is_there(peer, timeout_s):
    channel, theirs = peer
    with pytest.raises(TimeoutError):
        channel.receive(timeout_s)
    theirs.send(b"here")
    assert bytes(channel.receive(timeout_s)) == b"here"


def test_a_timeout_of_centuries_is_taken(peer):
    channel, theirs = peer
    theirs.send(b"here")
    assert bytes(channel.receive(1e300)) == b"here"


def test_nothing_is_waited_for_where_it_is_not_wanted(peer):
    channel, theirs = peer
    assert channel.receive_nowait() is None
    theirs.send(part(6, b"abc"))
    assert channel.receive_nowait() is None
    theirs.send(part(6, b"def"))
    assert bytes(channel.receive_nowait()) == b"abcdef"


def test_a_full_peer_is_told_at_once_where_nothing_is_waited_for(peer):
    channel, theirs = peer
    sent = 0
    while channel.send_nowait(bytes(1000)):
        sent += 1
    assert sent > 0
    while sent:
        theirs.recv(2000)
        sent -= 1
    assert channel.send_nowait(b"room again")


@pytest.mark.parametrize("size", [1, PACKET_BYTES, PACKET_BYTES + 1, 5 * PACKET_BYTES])
def test_the_packets_of_a_message_fit_and_make_it_again(peer, size):
    channel, theirs = peer
    message = b"\x01" + os.urandom(size - 1)
    packets = chunks(message)
    assert max(map(len, packets)) <= PACKET_BYTES
    whole = None
    for packet in packets:
        assert whole is None
        theirs.send(packet)
        whole = channel.receive_nowait()
    assert whole is not None
    assert bytes(whole) == message


def test_a_channel_can_be_given_away_by_its_descriptor():
    one, other = SeqPacketChannel.pair()
    again = SeqPacketChannel.from_fd(other.detach())
    one.send(b"hello")
    assert bytes(again.receive(5)) == b"hello"
    one.close()
    again.close()
