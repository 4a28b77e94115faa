"""A journal that begins with steps of another one."""

from __future__ import annotations

import msgspec
import pytest

from hybrid_runtime.dispatcher.forking import fork_journal
from hybrid_runtime.dispatcher.journal import (
    Began,
    Branched,
    Drawn,
    Forked,
    Fsync,
    Journal,
    Noted,
    Over,
    Record,
    Resumed,
    Steered,
    Stepped,
    Turned,
    read,
)
from hybrid_runtime.errors import ErrorData, JournalError
from hybrid_runtime.limits import Limits
from hybrid_runtime.protocol.messages import Capabilities

CAPABILITIES = Capabilities(name="b", driver="null", qubits=2, max_shots=10, operations=())


def began(job_id: str) -> Began:
    return Began(job_id, "hash", "python", 5, 10, Limits(), b"\x80", CAPABILITIES)


def step(number: int) -> Stepped:
    return Stepped(number, b"request", msgspec.Raw(b"\x90"), 10, 0.5)


def note(name: str) -> Noted:
    return Noted([(name, 1.0)], [])


REFUSED = Turned(2, b"request", ErrorData(kind="CircuitRejected", text="no", family="CircuitRejected"))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.bin"
    journal = Journal(path, Fsync.NEVER)
    records: list[Record] = [
        began("old"),
        *(note("a"), step(1)),
        *(note("lost"), Resumed(1, "why"), note("b"), REFUSED, step(2)),
        *(Steered("cancel"), note("c"), step(3)),
        *(note("d"), Over("completed", "done", b"\xc0", None)),
    ]
    for record in records:
        journal.append(record)
    journal.close()
    return path


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        (0, []),
        (1, [note("a"), step(1)]),
        (2, [note("a"), step(1), note("b"), REFUSED, step(2)]),
        (3, [note("a"), step(1), note("b"), REFUSED, step(2), note("c"), step(3)]),
    ],
)
def test_it_holds_what_belongs_to_these_steps_and_nothing_after_them(tmp_path, source, steps, kept):
    fork_journal(tmp_path / "fork.bin", source, steps, began("new"), "old")
    assert list(read(tmp_path / "fork.bin")) == [began("new"), Forked("old", steps), *kept]


def test_more_steps_than_there_are_leave_no_file(tmp_path, source):
    with pytest.raises(JournalError, match="has 3 steps, not 4"):
        fork_journal(tmp_path / "fork.bin", source, 4, began("new"), "old")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.bin"]


def test_what_a_fork_that_was_killed_left_is_replaced(tmp_path, source):
    (tmp_path / ".fork.bin.partial").write_bytes(b"a torn one")
    fork_journal(tmp_path / "fork.bin", source, 1, began("new"), "old")
    assert list(read(tmp_path / "fork.bin")) == [began("new"), Forked("old", 1), note("a"), step(1)]


def test_a_job_that_is_running_can_be_forked(tmp_path):
    running = Journal(tmp_path / "source.bin", Fsync.NEVER)
    running.append(began("old"))
    running.append(step(1))
    fork_journal(tmp_path / "fork.bin", tmp_path / "source.bin", 1, began("new"), "old")
    running.close()
    assert list(read(tmp_path / "fork.bin")) == [began("new"), Forked("old", 1), step(1)]


def test_what_its_algorithm_drew_goes_with_the_step_that_it_was_drawn_for(tmp_path):
    source = Journal(tmp_path / "source.bin", Fsync.NEVER)
    for record in (began("old"), Drawn([0.5]), step(1), Drawn([0.75]), step(2)):
        source.append(record)
    source.close()
    fork_journal(tmp_path / "fork.bin", tmp_path / "source.bin", 1, began("new"), "old")
    assert list(read(tmp_path / "fork.bin")) == [began("new"), Forked("old", 1), Drawn([0.5]), step(1)]


def test_steps_from_which_an_algorithm_went_another_way_are_left_out(tmp_path):
    source = Journal(tmp_path / "source.bin", Fsync.NEVER)
    for record in (began("old"), step(1), note("lost"), step(2), Branched(1), note("b"), step(2), step(3)):
        source.append(record)
    source.close()
    fork_journal(tmp_path / "fork.bin", tmp_path / "source.bin", 2, began("new"), "old")
    assert list(read(tmp_path / "fork.bin")) == [began("new"), Forked("old", 2), step(1), note("b"), step(2)]
