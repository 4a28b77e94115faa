"""A journal is read from any record on, also while it is written, and whatever its end looks like."""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec
import pytest

from hybrid_runtime.dispatcher.frames import FRAME, MARK
from hybrid_runtime.dispatcher.journal import Fsync, Journal, Noted, Record, Stepped, read
from hybrid_runtime.dispatcher.tail import Tail
from hybrid_runtime.errors import JournalError

RECORDS: list[Record] = [
    Noted([("energy", -1.5)], ["a line"]),
    *(Stepped(number, b"request", msgspec.Raw(b"\x91\x01"), 10, 0.5) for number in range(1, 2001)),
    # More than is read at once.
    Stepped(2001, bytes(300_000), msgspec.Raw(b"\x91\x02"), 10, 0.5),
    Stepped(2002, b"request", msgspec.Raw(b"\x91\x02"), 10, 0.5),
]


@pytest.fixture
def journal(tmp_path: Path):
    """An open journal with `RECORDS`: behind its end is space for more."""
    journal = Journal(tmp_path / "journal.bin", Fsync.NEVER)
    for record in RECORDS:
        journal.append(record)
    yield journal
    journal.close()


def test_a_journal_that_is_being_written_is_read_as_one_that_is_at_rest(journal):
    with Tail(journal.path) as tail:
        assert [record for _, _, record in tail.records()] == list(read(journal.path))


def test_reading_begins_at_any_record(journal):
    with Tail(journal.path) as tail:
        places = list(tail.records())
        for place in (0, 1, 1999, 2001, 2002):
            begun, _, record = places[place]
            assert next(tail.records(begun))[2] == record


def test_each_record_ends_where_the_next_one_begins(journal):
    with Tail(journal.path) as tail:
        places = list(tail.records())
    assert [end for _, end, _ in places[:-1]] == [begun for begun, _, _ in places[1:]]
    assert places[-1][1] == journal.end


def test_a_file_that_shrinks_while_it_is_read_ends_the_reading_and_nothing_else(journal):
    # A mapping of the file would end the process instead.
    with Tail(journal.path) as tail:
        records = tail.records()
        next(records)
        journal.close()
        assert len(list(records)) == len(RECORDS) - 1


@pytest.mark.parametrize("cut", [1, 5, 9, 12])
def test_a_torn_record_is_left_out(journal, cut):
    journal.close()
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-cut])
    with Tail(journal.path) as tail:
        assert len(list(tail.records())) == len(RECORDS) - 1


def test_a_damaged_record_ends_the_reading(journal):
    journal.close()
    content = bytearray(journal.path.read_bytes())
    content[-1] ^= 1
    journal.path.write_bytes(content)
    with Tail(journal.path) as tail:
        assert len(list(tail.records())) == len(RECORDS) - 1


def test_a_whole_record_of_another_kind_is_an_error_that_names_its_place(journal):
    journal.close()
    payload = msgspec.msgpack.encode(["something", 1])
    with journal.path.open("ab") as file:
        file.write(FRAME.pack(MARK, len(payload), zlib.crc32(payload)) + payload)
    with Tail(journal.path) as tail, pytest.raises(JournalError, match=f"corrupt at offset {journal.end}"):
        list(tail.records())


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    path = tmp_path / "journal.bin"
    path.write_bytes(b"something else")
    with pytest.raises(JournalError, match="not a journal"):
        Tail(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(JournalError, match="cannot be read"):
        Tail(tmp_path / "journal.bin")


def test_an_empty_file_has_no_records(tmp_path):
    path = tmp_path / "journal.bin"
    path.touch()
    with Tail(path) as tail:
        assert list(tail.records()) == []
