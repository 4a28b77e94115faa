from __future__ import annotations

import errno
import mmap
import os

import pytest

from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.protocol import lines

# A line's words, by their place in its memory, as anyone could write them who has it.
NUMBER, LENGTH = slice(0, 4), slice(4, 8)


@pytest.fixture
def memory():
    fd = lines.new_memory()
    yield lines.map_memory(fd)
    os.close(fd)


@pytest.fixture
def ends(memory):
    """A line's two ends; the receiver is awake."""
    incoming = lines.Incoming(memory, second=False)
    incoming.wake()
    return lines.Outgoing(memory, second=False), incoming


def word(number: int) -> bytes:
    return number.to_bytes(4, "little")


def test_what_is_put_down_is_taken_once(ends):
    outgoing, incoming = ends
    assert incoming.take() is None
    assert outgoing.put(b"hello")
    assert incoming.ready
    assert incoming.take() == b"hello"
    assert incoming.take() is None


def test_a_line_holds_one_message_at_a_time(ends):
    outgoing, incoming = ends
    assert outgoing.put(b"one")
    assert not outgoing.put(b"two")
    assert incoming.take() == b"one"
    assert outgoing.put(b"two")


def test_nothing_is_put_down_for_a_receiver_that_sleeps(ends):
    outgoing, incoming = ends
    incoming.doze()
    assert outgoing.asleep
    assert not outgoing.put(b"hello")
    incoming.wake()
    assert outgoing.put(b"hello")


def test_the_largest_message_fits_and_one_byte_more_does_not(ends):
    outgoing, incoming = ends
    largest = os.urandom(lines.MOST_BYTES)
    assert not outgoing.put(largest + b"x")
    assert outgoing.put(largest)
    assert incoming.take() == largest


def test_a_message_that_comes_after_others_by_the_socket_has_to_wait_for_them(ends):
    outgoing, incoming = ends
    outgoing.count()
    assert outgoing.put(b"second")
    assert incoming.take() is None
    incoming.count()
    assert incoming.take() == b"second"


def test_the_two_directions_do_not_meet(memory):
    there, back = lines.Outgoing(memory, second=False), lines.Outgoing(memory, second=True)
    first, second = lines.Incoming(memory, second=False), lines.Incoming(memory, second=True)
    first.wake()
    second.wake()
    assert there.put(b"a" * lines.MOST_BYTES)
    assert back.put(b"b" * lines.MOST_BYTES)
    assert first.take() == b"a" * lines.MOST_BYTES
    assert second.take() == b"b" * lines.MOST_BYTES


def test_numbers_begin_anew_when_there_are_no_larger_ones(ends):
    outgoing, incoming = ends
    outgoing._next = incoming._next = 0xFFFF_FFFF
    for message in (b"last", b"first", b"second"):
        assert outgoing.put(message)
        assert incoming.take() == message


def test_a_length_that_cannot_be_is_refused(ends, memory):
    outgoing, incoming = ends
    outgoing.put(b"hello")
    memory[LENGTH] = word(lines.MOST_BYTES + 1)
    with pytest.raises(ProtocolError, match="cannot hold"):
        incoming.take()


def test_a_number_that_is_not_the_next_is_no_message(ends, memory):
    _, incoming = ends
    for number in (2, 7, 0xFFFF_FFFF):
        memory[NUMBER] = word(number)
        assert not incoming.ready
        assert incoming.take() is None


def test_what_was_taken_does_not_change_when_the_memory_does(ends, memory):
    outgoing, incoming = ends
    outgoing.put(b"hello")
    taken = incoming.take()
    memory[:] = bytes(len(memory))
    assert taken == b"hello"


def test_patience_is_told_to_the_receiver(ends):
    outgoing, incoming = ends
    assert incoming.patience_us == 0
    outgoing.grant(0.0005)
    assert incoming.patience_us == 500


def test_nobody_can_make_the_memory_smaller_under_the_others_hands():
    fd = lines.new_memory()
    for size in (0, lines.MEMORY_BYTES - 1, lines.MEMORY_BYTES + 1):
        with pytest.raises(PermissionError) as refused:
            os.ftruncate(fd, size)
        assert refused.value.errno == errno.EPERM
    os.close(fd)


def test_memory_that_could_become_smaller_is_not_used():
    fd = os.memfd_create("not sealed", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, lines.MEMORY_BYTES)
    with pytest.raises(ProtocolError, match="change its size"):
        lines.map_memory(fd)
    os.close(fd)


def test_what_is_no_memory_is_not_used():
    read, write = os.pipe()
    with pytest.raises(ProtocolError, match="cannot be used"):
        lines.map_memory(read)
    os.close(read)
    os.close(write)


def test_a_mapping_outlives_its_descriptor():
    fd = lines.new_memory()
    mapped = lines.map_memory(fd)
    os.close(fd)
    assert isinstance(mapped, mmap.mmap)
    assert len(mapped) == lines.MEMORY_BYTES
