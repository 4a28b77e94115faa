"""The file: whole whatever kills its writer, cut at a torn end, refused when damaged before that."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from hybrid_runtime.dispatcher.frames import HEADER
from hybrid_runtime.dispatcher.journal import (
    Fsync,
    Journal,
    Noted,
    Record,
    Resumed,
    Stepped,
    read,
    valid_end,
)
from hybrid_runtime.dispatcher.locking import wait_until_free
from hybrid_runtime.errors import JournalError, JournalFull

RECORDS: list[Record] = [
    Resumed(0, "asked"),
    Noted([("energy", -1.5)], ["a line"]),
    Stepped(1, b"request", msgspec.Raw(b"\x91\x01"), 10, 0.5),
    Stepped(2, b"JQJQ", msgspec.Raw(b"\x91\x02"), 10, 0.5),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed journal with `RECORDS`."""
    path = tmp_path / "journal.bin"
    write(path, RECORDS)
    return path


def write(path: Path, records: list) -> None:
    journal = Journal(path, Fsync.NEVER)
    for record in records:
        journal.append(record)
    journal.close()


def ends(path: Path) -> list[int]:
    """Where each record ends."""
    found = [len(HEADER)]
    for count in range(1, len(RECORDS) + 1):
        part = path.with_name(f"part{count}")
        write(part, RECORDS[:count])
        found.append(part.stat().st_size)
    return found


def test_what_was_appended_is_read_in_order(path):
    assert list(read(path)) == RECORDS
    assert valid_end(path) == path.stat().st_size


def test_a_journal_is_continued(path):
    write(path, [Resumed(2, "asked")])
    assert list(read(path)) == [*RECORDS, Resumed(2, "asked")]


def test_what_stands_after_an_offset_is_left_out(path):
    end = path.stat().st_size
    write(path, [Resumed(2, "asked")])
    assert list(read(path, end)) == RECORDS


def test_records_can_be_read_while_it_is_open(tmp_path):
    journal = Journal(tmp_path / "open", Fsync.NEVER)
    journal.append(RECORDS[0])
    assert list(read(tmp_path / "open")) == RECORDS[:1]
    journal.close()


def test_what_is_written_while_it_is_read_is_not_taken_for_what_follows_a_gap(tmp_path):
    journal = Journal(tmp_path / "journal", Fsync.NEVER)
    for record in RECORDS:
        journal.append(record)
    found = []
    for number, record in enumerate(read(tmp_path / "journal")):
        found.append(record)
        if number < len(RECORDS):
            # What is read at once has been read: these are seen only by looking again.
            journal.append(RECORDS[number])
    assert found == [*RECORDS, *RECORDS]
    journal.close()


def test_its_writer_may_give_back_space_while_it_is_read(tmp_path):
    # A page that was given back must not be looked at: the kernel would end this process.
    journal = Journal(tmp_path / "open", Fsync.NEVER)
    journal.append(RECORDS[0])
    records = read(tmp_path / "open")
    assert next(records) == RECORDS[0]
    journal.close()
    assert list(records) == []


def test_cut_at_any_byte_the_whole_records_remain_and_can_be_continued(path):
    content = path.read_bytes()
    whole = ends(path)
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        kept = max((index for index, end in enumerate(whole) if end <= cut), default=0)
        assert list(read(path)) == RECORDS[:kept]
        write(path, [Resumed(9, "asked")])
        assert list(read(path)) == [*RECORDS[:kept], Resumed(9, "asked")]


def test_a_flipped_byte_before_the_last_record_is_refused_with_its_offset(path):
    content = bytearray(path.read_bytes())
    starts = ends(path)
    for at in range(len(HEADER), starts[-2]):
        content[at] ^= 0x55
        path.write_bytes(content)
        frame = max(start for start in starts if start <= at)
        with pytest.raises(JournalError, match=f"corrupt at offset {frame}"):
            valid_end(path)
        content[at] ^= 0x55


def test_a_flipped_byte_in_the_last_record_takes_only_that(path):
    content = bytearray(path.read_bytes())
    for at in range(ends(path)[-2], len(content)):
        content[at] ^= 0x55
        path.write_bytes(content)
        assert list(read(path)) == RECORDS[:-1]
        content[at] ^= 0x55


def test_a_journal_of_another_version_is_refused(path):
    path.write_bytes(HEADER[:-1] + b"\x07")
    with pytest.raises(JournalError, match="version 7; this release reads 1"):
        Journal(path)


def test_another_file_is_refused(path):
    path.write_bytes(b"something else")
    with pytest.raises(JournalError, match="is not a journal"):
        Journal(path)
    assert path.read_bytes() == b"something else"


def test_a_journal_has_one_writer(path):
    first = Journal(path)
    with pytest.raises(JournalError, match="in use"):
        Journal(path)
    with pytest.raises(JournalError, match="in use"):
        wait_until_free(path, 0.0)
    first.close()
    wait_until_free(path, 0.0)


def test_it_grows_beyond_the_space_it_began_with(tmp_path):
    records = [Noted([], ["x" * 100_000])] * 50
    write(tmp_path / "large", records)
    assert list(read(tmp_path / "large")) == records


@pytest.mark.parametrize("fsync", Fsync)
def test_every_way_to_force_it_to_the_disk_keeps_everything(tmp_path, fsync):
    journal = Journal(tmp_path / "kept", fsync)
    for record in RECORDS:
        journal.append(record)
        journal.deliver()
    journal.close()
    journal.close()
    assert list(read(tmp_path / "kept")) == RECORDS


def test_without_space_nothing_is_added_and_all_before_stays(tmp_path):
    journal = Journal(tmp_path / "full", Fsync.NEVER)
    journal.append(RECORDS[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(JournalFull, match="make space"):
            journal.append(Noted([], ["x" * 400_000]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(read(tmp_path / "full")) == RECORDS[:1]
    journal.append(RECORDS[1])
    journal.close()
    assert list(read(tmp_path / "full")) == RECORDS[:2]


def test_a_journal_does_not_become_larger_than_it_may(tmp_path):
    journal = Journal(tmp_path / "large", Fsync.NEVER, most_bytes=1 << 20)
    journal.append(RECORDS[0])
    notes = [Noted([], ["x" * 500_000]), Noted([], ["y" * 500_000])]
    for note in notes:
        journal.append(note)
    with pytest.raises(JournalFull, match="may not be larger than 1 MiB"):
        journal.append(notes[0])
    journal.close()
    assert list(read(tmp_path / "large")) == [RECORDS[0], *notes]


def test_the_death_of_its_writer_loses_nothing(tmp_path):
    path = tmp_path / "killed"
    code = (
        "import sys, os, signal; from pathlib import Path\n"
        "from hybrid_runtime.dispatcher.journal import Journal, Noted\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for number in range(1000): journal.append(Noted([('n', number)], []))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code, str(path)], env=environment).returncode == -signal.SIGKILL
    assert list(read(path)) == [Noted([("n", float(number))], []) for number in range(1000)]
    write(path, RECORDS)
    assert list(read(path))[1000:] == RECORDS


def test_a_disk_that_fails_in_the_background_is_told_by_the_next_record(tmp_path, monkeypatch):
    failing = threading.Event()

    def fails(_fd: int) -> None:
        failing.set()
        raise OSError(5, "Input/output error")

    journal = Journal(tmp_path / "failing", Fsync.GROUP)
    with monkeypatch.context() as patched:
        patched.setattr("os.fdatasync", fails)
        journal.append(RECORDS[0])
        assert failing.wait(10)
        assert journal._group is not None
        journal._group._thread.join()
    with pytest.raises(JournalError, match=r"does not take the journal .*Input/output error; see to the disk"):
        journal.append(RECORDS[1])
    with pytest.raises(JournalError, match="Input/output error"):
        journal.close()
    journal.close()
    assert list(read(tmp_path / "failing")) == RECORDS[:1]


def test_a_disk_that_fails_at_the_end_is_told_and_the_file_is_closed(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "failing", Fsync.STEP)
    journal.append(RECORDS[0])

    def fails(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", fails)
        with pytest.raises(JournalError, match="see to the disk"):
            journal.close()
    Journal(tmp_path / "failing").close()
