"""Private journals go from job to job, and nothing of what was in them goes along."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid_runtime.dispatcher.journal import Journal, Noted, read
from hybrid_runtime.dispatcher.spares import PrivateJournal, Spares
from hybrid_runtime.errors import JournalError


@pytest.fixture
def spares():
    found = Spares()
    yield found
    found.close()


def note(text: str) -> Noted:
    return Noted([], [text])


def test_the_next_job_has_the_file_of_the_last_one_without_its_records(spares, tmp_path):
    first = spares.take(tmp_path / "first.bin")
    first.append(note("of the first job"))
    spares.put(first)

    second = spares.take(tmp_path / "second.bin")
    before = list(read(tmp_path / "second.bin"))
    second.append(note("two"))

    assert second is first
    assert before == []
    assert list(read(tmp_path / "second.bin")) == [note("two")]
    assert b"first job" not in (tmp_path / "second.bin").read_bytes()
    assert not (tmp_path / "first.bin").exists()
    second.close()


def test_what_a_job_recorded_can_be_read_until_another_job_begins(spares, tmp_path):
    journal = spares.take(tmp_path / "first.bin")
    journal.append(note("one"))
    spares.put(journal)

    assert list(read(tmp_path / "first.bin")) == [note("one")]


def test_a_journal_in_use_again_is_locked_under_its_new_name(spares, tmp_path):
    spares.put(spares.take(tmp_path / "first.bin"))
    journal = spares.take(tmp_path / "second.bin")

    with pytest.raises(JournalError, match="in use"):
        Journal(tmp_path / "second.bin")
    journal.close()


def test_a_large_journal_is_removed(spares, tmp_path):
    journal = spares.take(tmp_path / "large.bin")
    for _ in range(20):
        journal.append(note("x" * 60_000))
    spares.put(journal)

    assert len(spares) == 0
    assert not (tmp_path / "large.bin").exists()


def test_a_few_are_kept_and_further_ones_are_removed(spares, tmp_path):
    journals = [spares.take(tmp_path / f"{number}.bin") for number in range(20)]
    for journal in journals:
        spares.put(journal)

    assert len(spares) == len(list(tmp_path.iterdir())) < 20


def test_a_job_gets_a_new_journal_where_the_old_one_has_been_removed(spares, tmp_path):
    spares.put(spares.take(tmp_path / "first.bin"))
    (tmp_path / "first.bin").unlink()
    journal = spares.take(tmp_path / "second.bin")
    journal.append(note("two"))

    assert list(read(tmp_path / "second.bin")) == [note("two")]
    journal.close()


def test_none_is_left_when_they_are_closed(spares, tmp_path):
    spares.put(spares.take(tmp_path / "first.bin"))
    spares.close()

    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_was_discarded_can_be_closed(tmp_path: Path):
    journal = PrivateJournal(tmp_path / "one.bin")
    journal.discard()
    journal.close()

    assert list(tmp_path.iterdir()) == []
