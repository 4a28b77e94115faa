"""A job with a journal: what is recorded when, and how it is taken up again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hybrid_runtime.dispatcher.actions import End, Interrupt, Kill, ReadAhead, Restart, Run, Tell
from hybrid_runtime.dispatcher.journal import Began, Defined, Noted, Over, Resumed, Stepped, Turned, read
from hybrid_runtime.dispatcher.machine import Machine
from hybrid_runtime.dispatcher.programs import Programs
from hybrid_runtime.dispatcher.recorder import Recorder
from hybrid_runtime.dispatcher.spares import Spares
from hybrid_runtime.dispatcher.surveying import WORKER_LOST, survey
from hybrid_runtime.errors import CircuitRejected, JournalError, as_data
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import Limits, StopReason
from hybrid_runtime.protocol.control import Submit
from hybrid_runtime.protocol.messages import (
    Diverged,
    Failure,
    Finished,
    More,
    Note,
    Refused,
    Replay,
    Results,
    Stop,
    encode,
)
from hybrid_runtime.protocol.replay import canonical, program_hash
from hybrid_runtime.values import encode_value

from .conftest import BACKEND, PROGRAM, START, make_executed, make_step

KILLED = -signal.SIGKILL
Make = Callable[..., Machine]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.bin"


@pytest.fixture
def make(path: Path) -> Iterator[Make]:
    """Makes the machine of a job with a journal at `path`; a former one's recorder is closed."""
    recorders: list[Recorder] = []

    def make(resume: str = "", **limits: Any) -> Machine:
        for recorder in recorders:
            recorder.close()
        submit = Submit("job", b"bundle", encode_value({}), 7, 10, Limits(**limits), str(path), "never", resume)
        recorders.append(Recorder(submit, BACKEND, Spares()))
        programs = Programs(BACKEND, count(1000).__next__)
        return Machine("job", submit.limits, programs, START, recorder=recorders[-1])

    yield make
    for recorder in recorders:
        recorder.close()


def run_steps(machine: Machine, *numbers: int) -> None:
    for number in numbers:
        programs = [(7, PROGRAM)] if number == numbers[0] else []
        step = make_step(number, angle=number, programs=programs, metrics=[("m", float(number))])
        assert isinstance(machine.on_message(step, START)[0], Run)
        assert isinstance(machine.on_executed(make_executed(number), START)[0], Tell)


def request(angle: float) -> bytes:
    return canonical(make_step(1, angle=angle).calls, {7: program_hash(PROGRAM)})


def kinds(path: Path) -> list[type]:
    return [type(record) for record in read(path)]


def test_a_step_is_in_the_journal_before_its_results_are_delivered(make, path):
    machine = make()
    machine.on_message(make_step(1, angle=3.0), START)
    assert kinds(path) == [Began, Defined]
    machine.on_executed(make_executed(1), START)
    step = list(read(path))[-1]
    assert isinstance(step, Stepped)
    assert (step.number, step.request, step.shots) == (1, request(3.0), 10)


def test_the_end_is_in_the_journal(make, path):
    machine = make()
    run_steps(machine, 1)
    machine.on_message(Finished(encode_value(42), [("last", 1.0)], []), START)
    *_, noted, over = read(path)
    assert noted == Noted([("last", 1.0)], [])
    assert over == Over("completed", "done", encode_value(42), None)


def test_a_completed_job_is_not_resumed(make):
    machine = make()
    machine.on_message(Finished(encode_value(42)), START)
    with pytest.raises(JournalError, match="has completed"):
        make("asked")


def test_a_journal_is_not_given_to_a_new_job(make):
    make()
    with pytest.raises(JournalError, match="holds job job already"):
        make()


def test_recorded_steps_are_replayed_and_count(make):
    run_steps(make(), 1, 2, 3)
    machine = make("asked", steps=4)
    (tell,) = machine.on_message(More(), START)
    replay = tell.message
    assert isinstance(replay, Replay)
    assert replay.requests == [request(1.0), request(2.0), request(3.0)]
    assert replay.last
    assert (machine.usage.steps, machine.usage.shots, machine.number) == (3, 30, 3)
    assert machine.notes.fresh()[0] == [("m", 1.0), ("m", 2.0), ("m", 3.0)]
    run_steps(machine, 4)
    assert machine.on_message(make_step(5, programs=[]), START) == [Tell(Stop(StopReason.STEPS.value))]


def test_a_long_past_comes_in_pieces_and_counts_as_it_is_given(make):
    machine = make()
    items = encode([["x" * 80_000]])
    for number in range(1, 8):
        machine.on_message(make_step(number, programs=[(7, PROGRAM)] if number == 1 else []), START)
        machine.on_executed(msgspec.structs.replace(make_executed(number), items=msgspec.Raw(items)), START)
    machine = make("asked")
    tell, ahead = machine.on_message(More(), START)
    assert (len(tell.message.requests), tell.message.last, ahead) == (4, False, ReadAhead())
    machine.read_ahead()
    assert machine.usage.steps == 4
    (tell,) = machine.on_message(More(), START)
    assert (len(tell.message.requests), tell.message.last) == (3, True)
    assert machine.usage.steps == 7


def test_a_journal_that_cannot_be_read_further_ends_the_job_where_that_is_reached(make, path):
    machine = make()
    items = msgspec.Raw(encode([["x" * 900_000]]))
    for number in range(1, 10):
        machine.on_message(make_step(number, programs=[(7, PROGRAM)] if number == 1 else []), START)
        machine.on_executed(msgspec.structs.replace(make_executed(number), items=items), START)
    machine = make("asked")
    machine.on_message(More(), START)
    with path.open("r+b") as file:
        file.seek(6 * 900_000 + 450_000)
        file.write(b"otherwise")
    for _ in range(5):
        machine.read_ahead()
        assert isinstance(machine.on_message(More(), START)[0].message, Replay)
    machine.read_ahead()
    assert machine.on_message(More(), START) == [Tell(Stop("error"))]
    (end,) = machine.on_message(Finished(encode_value(None)), START)
    assert end.report.steps == 6
    assert "is corrupt at offset" in end.report.error.text


def test_a_refused_step_is_told_again(make, path):
    machine = make()
    machine.on_message(make_step(1, shots=BACKEND.max_shots + 1), START)
    machine.on_message(make_step(1, programs=[]), START)
    (tell,) = machine.on_failure(Failure(1, as_data(CircuitRejected("not today"))), START)
    assert isinstance(tell.message, Refused)
    assert [type(record) for record in read(path)][-2:] == [Turned, Turned]
    replay = make("asked").on_message(More(), START)[0].message
    assert [(one.index, one.error.text) for one in replay.special][1] == (1, "not today")


def test_notes_after_the_last_step_are_taken_back(make):
    machine = make()
    run_steps(machine, 1)
    machine.on_message(Note([("lost", 1.0)], []), START)
    machine = make("asked")
    machine.on_message(More(), START)
    assert machine.notes.fresh()[0] == [("m", 1.0)]
    machine.on_message(Note([("again", 1.0)], []), START)
    run_steps(machine, 2)
    machine = make("asked")
    machine.on_message(More(), START)
    assert machine.notes.fresh()[0] == [("m", 1.0), ("again", 1.0), ("m", 2.0)]


def test_a_step_before_the_recorded_ones_were_fetched_is_out_of_turn(make):
    run_steps(make(), 1)
    actions = make("asked").on_message(make_step(1), START)
    assert [type(action) for action in actions] == [Kill, End]


def test_recorded_steps_are_given_to_jobs_that_have_some(make):
    machine = make()
    assert [type(action) for action in machine.on_message(More(), START)] == [Kill, End]


def test_a_job_that_is_stopped_while_it_replays_has_its_past_first(make):
    run_steps(make(), 1)
    machine = make("asked")
    assert machine.on_cancel(False, START) == []
    assert isinstance(machine.on_message(More(), START)[0].message, Replay)
    assert machine.on_message(make_step(2, programs=[(7, PROGRAM)]), START) == [Tell(Stop("cancelled"))]


def test_a_job_that_does_not_come_through_its_past_in_time_is_signalled(make):
    run_steps(make(), 1)
    machine = make("asked", finalize_s=3.0)
    machine.on_message(More(), START)
    assert machine.on_cancel(False, START) == []
    assert machine.on_deadline(START + 3) == [Interrupt(StopReason.CANCELLED)]


def test_a_stop_that_was_sent_is_the_answer_to_a_worker_that_replays(make):
    run_steps(make(), 1)
    machine = make("asked", think_s=2.0)
    assert machine.on_deadline(START + 2) == [Interrupt(StopReason.THINK)]
    assert machine.on_message(More(), START + 2) == []


def test_an_algorithm_that_asks_for_something_else_fails_with_both_requests(make):
    run_steps(make(), 1)
    machine = make("asked")
    machine.on_message(More(), START)
    *_, end = machine.on_message(Diverged(1, request(1.0), request(2.5)), START)
    error = end.report.error
    assert (error.kind, error.family) == ("ReplayDiverged", "ReplayDiverged")
    assert "step 1 was 1 circuit" in error.text
    assert " at 1.0)" in error.text
    assert " at 2.5)" in error.text


def test_what_a_worker_says_of_a_divergence_may_be_nonsense(make):
    machine = make()
    *_, end = machine.on_message(Diverged(1, b"\xff\x00", b""), START)
    assert "something unreadable; now it ends" in end.report.error.text


@pytest.mark.parametrize("status", [KILLED, -signal.SIGSEGV, -signal.SIGABRT])
def test_a_job_goes_on_in_another_worker_when_its_own_was_struck_down(make, status):
    machine = make()
    run_steps(machine, 1)
    (restart,) = machine.on_lost(status, None, START)
    assert isinstance(restart, Restart)
    assert signal.Signals(-status).name in restart.why


@pytest.mark.parametrize("status", [0, 3, 137, -signal.SIGSYS, -signal.SIGXCPU])
def test_a_job_that_ended_its_own_worker_has_failed(make, status):
    (end,) = make().on_lost(status, None, START)
    assert end.report.error.kind == "WorkerLost"


def test_a_worker_lost_twice_at_the_same_step_is_lost(make):
    run_steps(make(), 1)
    (end,) = make(WORKER_LOST).on_lost(KILLED, None, START)
    assert end.report.error.kind == "WorkerLost"


def test_a_worker_lost_again_after_another_step_is_replaced_again(make):
    run_steps(make(), 1)
    machine = make(WORKER_LOST)
    machine.on_message(More(), START)
    run_steps(machine, 2)
    assert isinstance(machine.on_lost(KILLED, None, START)[0], Restart)


def test_a_job_that_was_killed_by_its_user_stays_dead(make):
    machine = make()
    machine.on_cancel(True, START)
    (end,) = machine.on_lost(KILLED, None, START)
    assert end.report.state is JobState.CANCELLED


def test_without_space_the_step_is_not_acknowledged_and_the_job_keeps_what_it_has(make, path, monkeypatch):
    machine = make()
    run_steps(machine, 1)
    machine.on_message(make_step(2, programs=[]), START)
    with monkeypatch.context() as patched:
        patched.setattr("hybrid_runtime.dispatcher.journal._encode", lambda record: b"x" * 400_000)
        patched.setattr("os.posix_fallocate", _no_space)
        assert machine.on_executed(make_executed(2), START) == [Tell(Stop("error"))]
    (end,) = machine.on_message(Finished(encode_value("partial")), START)
    assert end.report.state is JobState.FAILED
    assert end.report.error.kind == "JournalFull"
    assert (end.report.steps, end.report.value) == (1, encode_value("partial"))
    assert survey(path).steps == 1
    machine = make("asked")
    machine.on_message(More(), START)
    run_steps(machine, 2)


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_job_without_a_journal_is_lost_with_its_worker(make_machine):
    (end,) = make_machine().on_lost(KILLED, None, START)
    assert end.report.error.kind == "WorkerLost"


def test_a_resumed_job_says_so_in_its_journal(make, path):
    run_steps(make(), 1)
    make("asked")
    assert list(read(path))[-1] == Resumed(1, "asked")


def test_results_are_told_as_they_were_executed(make):
    machine = make()
    machine.on_message(make_step(1), START)
    executed = make_executed(1)
    assert machine.on_executed(executed, START) == [Tell(Results(1, executed.items))]
