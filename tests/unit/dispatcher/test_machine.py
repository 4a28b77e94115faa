"""What a job does next, for everything that can happen to it in every state."""

from __future__ import annotations

import math
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.dispatcher.actions import Action, Dump, End, Interrupt, Kill, Run, Tell
from hybrid_runtime.dispatcher.books import NIL
from hybrid_runtime.dispatcher.disturbances import DUMP_S
from hybrid_runtime.dispatcher.machine import Machine
from hybrid_runtime.dispatcher.programs import Programs
from hybrid_runtime.errors import BackendFailed, CircuitRejected, ErrorData, ProtocolError, as_data, exit_code
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import Limits, StopReason
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.control import Ended
from hybrid_runtime.protocol.messages import (
    CircuitCall,
    Failed,
    Failure,
    Finalizing,
    Finished,
    Note,
    Ready,
    Refused,
    Results,
    Stop,
)
from hybrid_runtime.values import MAX_VALUE_BYTES, decode_value, encode_value

from .conftest import BACKEND, PROGRAM, START, make_executed, make_step

VALUE = encode_value(42)


def ended(actions: list[Action]) -> Ended:
    """The report of the job's end, which these actions come down to."""
    assert [type(action) for action in actions if not isinstance(action, Kill)] == [End]
    end = actions[-1]
    assert isinstance(end, End)
    return end.report


def told(actions: list[Action]) -> Any:
    """The one message that these actions send to the worker."""
    assert [type(action) for action in actions] == [Tell]
    assert isinstance(actions[0], Tell)
    return actions[0].message


def step_through(machine: Machine, steps: int, now: float = START) -> None:
    """Steps that are asked for and answered."""
    for number in range(1, steps + 1):
        assert isinstance(machine.on_message(make_step(number), now)[0], Run)
        assert isinstance(told(machine.on_executed(make_executed(number), now)), Results)


def user_error(
    kind: str = "ValueError", family: str = "UserCodeError", text: str = "x (a.py, line 3, in f)"
) -> ErrorData:
    return ErrorData(kind=kind, text=text, traceback="trace", family=family)


# ------------------------------------------------------------------ the plain way


def test_a_job_goes_through_its_states(make_machine):
    machine = make_machine()
    states = [machine.state]
    machine.on_message(Ready(1, 42, "strict"), START)
    states.append(machine.state)
    step_through(machine, 2)
    states.append(machine.state)
    machine.on_message(Finalizing(), START)
    states.append(machine.state)
    report = ended(machine.on_message(Finished(VALUE), START))
    states.append(machine.state)
    assert states == ["starting", "starting", "running", "finalizing", "completed"]
    assert (report.state, report.stop_reason, report.error) == (JobState.COMPLETED, StopReason.DONE, None)
    assert (report.steps, report.shots, report.isolation, report.value) == (2, 20, "strict", VALUE)


def test_a_job_may_end_without_a_step(make_machine):
    report = ended(make_machine().on_message(Finished(VALUE), START))
    assert (report.state, report.steps) == (JobState.COMPLETED, 0)


def test_a_step_is_run_with_the_programs_it_brings(make_machine):
    machine = make_machine()
    (run,) = machine.on_message(make_step(1, shots=30), START)
    assert isinstance(run, Run)
    assert [(one.program, one.body) for one in run.define] == [(1000, PROGRAM)]
    assert [(call.program, call.shots, call.rows) for call in run.calls] == [(1000, 30, 1)]
    machine.on_executed(make_executed(), START)
    (run,) = machine.on_message(make_step(2, forget=[7]), START)
    assert isinstance(run, Run)
    assert (run.define, run.forget) == ([], [1000])


def test_results_are_passed_on_as_they_came(make_machine):
    machine = make_machine()
    machine.on_message(make_step(1), START)
    executed = make_executed()
    results = told(machine.on_executed(executed, START))
    assert (results.number, results.items) == (1, executed.items)


def test_metrics_and_logs_are_taken_from_every_message(make_machine):
    machine = make_machine()
    machine.on_message(Note([("energy", 1.0)], ["note"]), START)
    machine.on_message(make_step(1, metrics=[("energy", 2.0)], logs=["step"]), START)
    machine.on_executed(make_executed(), START)
    machine.on_message(Finished(NIL, [("energy", 3.0)], ["end"]), START)
    assert machine.notes.fresh() == ([("energy", 1.0), ("energy", 2.0), ("energy", 3.0)], ["note", "step", "end"])
    assert machine.notes.last == {"energy": 3.0}


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("limits", "reason", "steps"),
    [
        ({"steps": 2}, "steps", 2),
        ({"shots": 25}, "shots", 2),
        ({"shots": 20}, "shots", 2),
        ({"shots": 5}, "shots", 0),
        ({"qpu_s": 0.25}, "qpu", 3),
        ({"wall_s": 2.5}, "wall", 3),
        ({"plateau": ("flat", 0.0, 3)}, "plateau", 3),
        ({"plateau": ("falling", 1.0, 2)}, "plateau", 2),
        ({"plateau": ("rough", 100.0, 2)}, "never", 10),
        ({"plateau": ("unheard", 0.0, 2)}, "never", 10),
    ],
    ids=repr,
)
def test_a_limit_is_the_answer_to_the_step_after_it(make_machine, limits, reason, steps):
    machine = make_machine(**limits)
    for number in range(1, 11):
        now = START + number - 1
        metrics = [("flat", 1.0), ("falling", float(-number)), ("rough", math.nan)] if number > 1 else []
        actions = machine.on_message(make_step(number, metrics=metrics), now)
        if isinstance(actions[0], Tell):
            break
        machine.on_executed(make_executed(number, duration_s=0.1), now)
    else:
        assert reason == "never"
        return
    assert told(actions) == Stop(reason)
    assert machine.usage.steps == steps
    report = ended(machine.on_message(Finished(VALUE), START + 20))
    assert (report.state, report.stop_reason, report.steps) == (JobState.COMPLETED, StopReason(reason), steps)


def test_a_job_that_ends_as_it_reaches_its_limit_was_not_stopped(make_machine):
    machine = make_machine(steps=2)
    step_through(machine, 2)
    assert ended(machine.on_message(Finished(VALUE), START)).stop_reason is StopReason.DONE


def test_steps_after_a_stop_are_refused_without_another_word(make_machine):
    machine = make_machine(steps=1)
    step_through(machine, 1)
    assert told(machine.on_message(make_step(2), START)) == Stop("steps")
    # The worker never asks again, but what if it did.
    assert machine.on_message(make_step(2), START) == []


def test_an_algorithm_that_thinks_too_long_is_interrupted_then_dumped_then_killed(make_machine):
    machine = make_machine(think_s=5, finalize_s=3)
    step_through(machine, 1)
    assert machine.deadline == START + 5
    assert machine.on_deadline(START + 4) == []
    assert machine.on_deadline(START + 5) == [Interrupt(StopReason.THINK)]
    assert machine.deadline == START + 8
    assert machine.on_deadline(START + 8) == [Dump()]
    assert machine.deadline == START + 8 + DUMP_S
    assert machine.on_deadline(machine.deadline) == [Kill()]
    assert machine.deadline == math.inf
    report = ended(machine.on_lost(-9, ("a.py, line 3, in f", "trace"), START + 9))
    assert (report.state, report.stop_reason) == (JobState.FAILED, StopReason.THINK)
    assert report.error == ErrorData(
        kind="AlgorithmTimeout",
        text=(
            "its think limit of 5.0 s a step was reached, and the algorithm did not stop within 3 s: it was killed"
            " (a.py, line 3, in f)"
        ),
        traceback="trace",
        family="AlgorithmTimeout",
    )


def test_thinking_is_timed_from_the_start_and_from_every_answer(make_machine):
    machine = make_machine(think_s=5)
    assert machine.deadline == START + 5
    machine.on_message(make_step(1), START + 4)
    assert machine.deadline == math.inf  # waiting is not thinking
    machine.on_executed(make_executed(), START + 50)
    assert machine.deadline == START + 55


def test_the_wall_comes_before_a_later_end_of_thinking(make_machine):
    machine = make_machine(think_s=5, wall_s=7)
    machine.on_message(make_step(1), START + 4)
    assert machine.deadline == START + 7
    machine.on_executed(make_executed(), START + 5)
    assert machine.deadline == START + 7
    assert machine.on_deadline(START + 7) == [Interrupt(StopReason.WALL)]


def test_without_limits_nothing_is_waited_for(make_machine):
    machine = make_machine(think_s=None)
    assert machine.deadline == math.inf


def test_a_wall_that_passes_while_circuits_run_lets_them_end(make_machine):
    machine = make_machine(wall_s=5, finalize_s=3)
    machine.on_message(make_step(1), START + 1)
    assert machine.on_deadline(START + 5) == []
    assert isinstance(told(machine.on_executed(make_executed(), START + 7)), Results)
    # The algorithm has its time for ending from the results on.
    assert machine.deadline == START + 10
    assert told(machine.on_message(make_step(2), START + 8)) == Stop("wall")
    assert machine.deadline == START + 11


def test_a_backend_that_does_not_answer_is_not_waited_for_beyond_the_wall(make_machine):
    machine = make_machine(wall_s=5, finalize_s=3)
    machine.on_message(make_step(1), START + 1)
    machine.on_deadline(START + 5)
    assert told(machine.on_deadline(START + 8)) == Stop("wall")
    assert machine.deadline == START + 11
    # Its answer comes after all.
    assert machine.on_executed(make_executed(), START + 9) == []
    report = ended(machine.on_message(Finished(VALUE), START + 9))
    assert (report.state, report.stop_reason, report.steps) == (JobState.COMPLETED, StopReason.WALL, 0)


def test_finalize_has_its_own_time(make_machine):
    machine = make_machine(finalize_s=3, think_s=100)
    step_through(machine, 1)
    machine.on_message(Finalizing(), START + 10)
    assert machine.deadline == START + 13
    assert machine.on_deadline(START + 13) == [Dump()]
    assert machine.on_deadline(machine.deadline) == [Kill()]
    report = ended(machine.on_lost(-9, None, START + 14))
    assert (report.state, report.stop_reason) == (JobState.FAILED, StopReason.ERROR)
    assert report.error is not None
    assert report.error.text == "finalize did not return within 3 s"


def test_finalize_may_run_circuits_and_has_its_time_again_after_them(make_machine):
    machine = make_machine(finalize_s=3)
    step_through(machine, 1)
    machine.on_message(Finalizing(), START)
    assert isinstance(machine.on_message(make_step(2), START + 1)[0], Run)
    assert machine.deadline == math.inf
    machine.on_executed(make_executed(), START + 50)
    assert machine.deadline == START + 53
    assert machine.state is JobState.FINALIZING


def test_a_wall_that_passes_while_finalize_waits_for_circuits_is_named(make_machine):
    machine = make_machine(wall_s=5, finalize_s=3)
    machine.on_message(Finalizing(), START)
    machine.on_message(make_step(1), START + 1)
    assert machine.on_deadline(START + 5) == []
    assert told(machine.on_deadline(START + 8)) == Stop("wall")
    assert ended(machine.on_message(Finished(VALUE), START + 8)).stop_reason is StopReason.WALL


# ------------------------------------------------------------------ being stopped in the wrong moment


def test_a_step_that_crosses_an_interrupt_gets_no_second_stop(make_machine):
    machine = make_machine(think_s=5)
    step_through(machine, 1)
    assert machine.on_deadline(START + 5) == [Interrupt(StopReason.THINK)]
    # The worker reads the interrupt's stop as the answer to this.
    assert machine.on_message(make_step(2), START + 5) == []
    assert machine.state is JobState.FINALIZING


def test_a_refused_step_that_crosses_an_interrupt_gets_no_answer_either(make_machine):
    machine = make_machine(think_s=5)
    step_through(machine, 1)
    machine.on_deadline(START + 5)
    assert machine.on_message(make_step(2, shots=0), START + 5) == []


def test_an_algorithm_cannot_put_off_its_end_by_steps_that_are_refused(make_machine):
    machine = make_machine(finalize_s=3)
    step_through(machine, 1)
    machine.on_message(make_step(2), START)
    machine.on_cancel(False, START)
    machine.on_executed(make_executed(), START)
    assert told(machine.on_message(make_step(3, shots=0), START + 1)) == Stop("cancelled")
    deadline = machine.deadline
    for later in (2, 3):
        assert machine.on_message(make_step(3, shots=0), START + later) == []
    assert machine.deadline == deadline == START + 4


def test_an_algorithm_that_finishes_as_it_is_interrupted_is_completed(make_machine):
    machine = make_machine(think_s=5)
    machine.on_deadline(START + 5)
    report = ended(machine.on_message(Finished(VALUE), START + 5))
    assert (report.state, report.stop_reason, report.value) == (JobState.COMPLETED, StopReason.THINK, VALUE)


# ------------------------------------------------------------------ cancels


def test_a_cancel_interrupts_an_algorithm_that_computes(make_machine):
    machine = make_machine(finalize_s=3)
    step_through(machine, 1)
    assert machine.on_cancel(False, START + 1) == [Interrupt(StopReason.CANCELLED)]
    assert machine.deadline == START + 4
    report = ended(machine.on_message(Finished(VALUE), START + 2))
    assert (report.state, report.stop_reason, report.error) == (JobState.COMPLETED, StopReason.CANCELLED, None)


def test_a_cancel_of_a_job_that_waits_is_the_answer_to_its_next_step(make_machine):
    machine = make_machine()
    machine.on_message(make_step(1), START)
    assert machine.on_cancel(False, START) == []
    assert isinstance(told(machine.on_executed(make_executed(), START + 1)), Results)
    assert told(machine.on_message(make_step(2), START + 1)) == Stop("cancelled")


def test_a_second_cancel_changes_nothing(make_machine):
    machine = make_machine(finalize_s=3)
    machine.on_cancel(False, START)
    assert machine.on_cancel(False, START + 2) == []
    assert machine.deadline == START + 3


def test_a_cancel_does_not_cut_finalize_short(make_machine):
    machine = make_machine(finalize_s=3)
    machine.on_message(Finalizing(), START)
    assert machine.on_cancel(False, START + 1) == []
    report = ended(machine.on_message(Finished(VALUE), START + 2))
    assert (report.state, report.stop_reason) == (JobState.COMPLETED, StopReason.DONE)


def test_a_cancel_while_finalize_waits_for_circuits_is_heeded(make_machine):
    machine = make_machine(finalize_s=3)
    machine.on_message(Finalizing(), START)
    machine.on_message(make_step(1), START)
    assert machine.on_cancel(False, START + 1) == []
    assert told(machine.on_deadline(START + 4)) == Stop("cancelled")


def test_a_kill_is_the_end(make_machine):
    machine = make_machine()
    step_through(machine, 1)
    machine.on_message(Note([("energy", 2.0)], []), START)
    assert machine.on_cancel(True, START) == [Kill()]
    report = ended(machine.on_lost(-9, None, START))
    assert (report.state, report.stop_reason) == (JobState.CANCELLED, StopReason.CANCELLED)
    assert report.error is not None
    assert exit_code(report.error) == 4
    assert decode_value(report.value) == {"energy": 2.0}


def test_a_kill_after_a_cancel_is_heeded(make_machine):
    machine = make_machine()
    machine.on_cancel(False, START)
    assert machine.on_cancel(True, START) == [Kill()]
    assert ended(machine.on_lost(-9, None, START)).state is JobState.CANCELLED


def test_an_algorithm_that_does_not_mind_a_cancel_is_killed_and_cancelled(make_machine):
    machine = make_machine(finalize_s=3)
    machine.on_cancel(False, START)
    assert machine.on_deadline(START + 3) == [Dump()]
    assert machine.on_deadline(machine.deadline) == [Kill()]
    report = ended(machine.on_lost(-9, ("a.py, line 3, in f", "trace"), START + 4))
    assert report.state is JobState.CANCELLED
    assert report.error is not None
    assert report.error.text.startswith("the algorithm did not stop within 3 s of being cancelled, and was killed")


# ------------------------------------------------------------------ failures of the algorithm


def test_a_failed_algorithm_has_its_own_error_and_what_could_be_saved(make_machine):
    machine = make_machine()
    step_through(machine, 1)
    report = ended(machine.on_message(Failed("execute", user_error(), VALUE), START))
    assert (report.state, report.stop_reason, report.value) == (JobState.FAILED, StopReason.ERROR, VALUE)
    assert report.error == user_error()


def test_a_limit_before_the_first_step_says_which_and_where(make_machine):
    machine = make_machine(think_s=5)
    machine.on_deadline(START + 5)
    late = user_error("AlgorithmTimeout", "AlgorithmTimeout", "think (a.py, line 3, in f)")
    report = ended(machine.on_message(Failed("initialize", late), START + 5))
    assert report.error is not None
    assert report.error.text == (
        "its think limit of 5.0 s a step was reached before the algorithm's first step (a.py, line 3, in f)"
    )
    assert (report.state, exit_code(report.error)) == (JobState.FAILED, 1)


def test_a_cancel_before_the_first_step_is_a_cancel(make_machine):
    machine = make_machine()
    machine.on_cancel(False, START)
    late = user_error("AlgorithmTimeout", "AlgorithmTimeout", "cancelled (a.py, line 3, in f)")
    report = ended(machine.on_message(Failed("initialize", late), START))
    assert report.error is not None
    assert report.error.text == "cancelled before its first step (a.py, line 3, in f)"
    assert (report.state, exit_code(report.error)) == (JobState.CANCELLED, 4)


@pytest.mark.parametrize(
    ("family", "code"),
    [
        ("UserCodeError", 1),
        ("AlgorithmTimeout", 1),
        ("ResultNotEncodable", 1),
        ("CircuitRejected", 1),
        ("BundleError", 2),
        ("InvalidInput", 1),
        ("BackendFailed", 1),
        ("BackendUnknown", 1),
        ("JobCancelled", 1),
        ("SomethingOfTheUsers", 1),
    ],
)
def test_an_algorithm_cannot_pass_its_fault_for_somebody_elses(make_machine, family, code):
    report = ended(make_machine().on_message(Failed("execute", user_error("Odd", family)), START))
    assert exit_code(report.error) == code


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "ended by itself with exit code 0, without a result"),
        (3, "ended by itself with exit code 3, without a result"),
        (-11, "died by SIGSEGV: a crash in compiled code"),
        (-9, "died by SIGKILL: it was killed, by itself or for want of memory"),
        (-15, "died by SIGTERM"),
        (-200, "died by signal 200"),
    ],
)
def test_a_worker_that_is_lost_is_told_by_its_status(make_machine, status, text):
    machine = make_machine()
    machine.on_message(make_step(1, metrics=[("energy", 1.0)]), START)
    report = ended(machine.on_lost(status, None, START))
    assert (report.state, report.stop_reason) == (JobState.FAILED, StopReason.ERROR)
    assert report.error == ErrorData(kind="WorkerLost", text=f"the algorithm's process {text}", family="WorkerLost")
    assert decode_value(report.value) == {"energy": 1.0}


def test_a_crash_names_the_line_where_it_is_known(make_machine):
    report = ended(make_machine().on_lost(-11, ("a.py, line 3, in f", "trace"), START))
    assert report.error is not None
    assert report.error.text.endswith("compiled code (a.py, line 3, in f)")
    assert report.error.traceback == "trace"


def test_hostile_errors_are_made_presentable(make_machine):
    data = ErrorData(kind="K\x1b[2J" * 100, text="a\x1b[31m\nb" + "x" * 100_000, traceback="\x07" * 200_000)
    report = ended(make_machine().on_message(Failed("execute", data), START))
    assert report.error is not None
    assert report.error.text.startswith("a\\x1b[31m\nb")
    shown = report.error.kind + report.error.text + (report.error.traceback or "")
    assert not {"\x1b", "\x07"} & set(shown)
    assert len(shown) < 600_000


# ------------------------------------------------------------------ a worker that breaks the protocol


def waiting(machine: Machine) -> None:
    machine.on_message(make_step(1), START)


def finalizing(machine: Machine) -> None:
    machine.on_message(Finalizing(), START)


def ready(machine: Machine) -> None:
    machine.on_message(Ready(1, 42, "process"), START)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (None, make_step(2)),
        (None, make_step(0)),
        (waiting, make_step(1)),
        (waiting, make_step(2)),
        (None, make_step(1, calls=[])),
        (None, make_step(1, programs=[])),
        (None, make_step(1, programs=[(7, PROGRAM), (7, PROGRAM)])),
        (None, make_step(1, calls=[CircuitCall(7, 10, 1, b"")])),
        (None, make_step(1, calls=[CircuitCall(7, 10, 2, bytes(8))])),
        (None, make_step(1, calls=[CircuitCall(8, 10, 1, bytes(8))])),
        (finalizing, Finalizing()),
        (ready, Ready(1, 42, "process")),
        (None, Finished(bytes(MAX_VALUE_BYTES + 1))),
    ],
)
def test_a_worker_that_breaks_the_protocol_is_killed(make_machine, before, message):
    machine = make_machine()
    if before is not None:
        before(machine)
    actions = machine.on_message(message, START)
    assert [type(action) for action in actions] == [Kill, End]
    report = ended(actions)
    assert report.state is JobState.FAILED
    assert report.error is not None
    assert report.error.text.startswith("the algorithm's process misbehaved: ")
    assert exit_code(report.error) == 1


def test_a_message_that_could_not_be_read_is_such_a_breach(make_machine):
    actions = make_machine().on_violation(ProtocolError("malformed message: x"), START)
    assert [type(action) for action in actions] == [Kill, End]


def test_answers_that_come_after_the_end_are_given_to_nobody(make_machine):
    machine = make_machine()
    machine.on_message(make_step(1), START)
    machine.on_lost(-9, None, START)
    assert machine.on_executed(make_executed(), START) == []
    assert machine.on_failure(Failure(1, as_data(BackendFailed("x"))), START) == []


def test_a_failed_value_that_is_too_large_is_left_out(make_machine):
    failed = Failed("execute", user_error(), bytes(MAX_VALUE_BYTES + 1), [("energy", 1.0)])
    assert decode_value(ended(make_machine().on_message(failed, START)).value) == {"energy": 1.0}


# ------------------------------------------------------------------ refused circuits


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"shots": 0}, "backend 'lab' does not compute exact probabilities"),
        ({"shots": 10_001}, "10001 shots: backend lab takes 1 to 10000"),
        ({"shots": -5}, "-5 shots"),
        ({"angle": math.nan}, "not a finite number"),
        ({"angle": math.inf}, "not a finite number"),
        ({"calls": [CircuitCall(7, 10, 0, b"")]}, "1 to 100000 circuits"),
        ({"calls": [CircuitCall(7, 10, 1, bytes(8), raw=True)]}, "does not return raw shots"),
        ({"programs": [(7, Program(6, 1, 1, ()))]}, "has 6 qubits, backend lab 5"),
        ({"programs": [(7, Program(1, 1, 1, (Operation("T", (0,)),)))]}, "lab cannot execute T"),
        ({"programs": [(7, Program(1, 1, 1, (Operation("H", (3,)),)))]}, "outside 0 to 0"),
    ],
)
def test_a_circuit_that_cannot_be_run_is_refused_and_the_job_goes_on(make_machine, fields, why):
    machine = make_machine()
    answer = told(machine.on_message(make_step(1, **fields), START))
    assert isinstance(answer, Refused)
    assert (answer.number, answer.error.family) == (1, "CircuitRejected")
    assert why in answer.error.text
    good = Program(1, 1, 1, PROGRAM.operations)
    call = CircuitCall(9, 10, 1, bytes(8))
    # The number of a refused step is used again.
    assert isinstance(machine.on_message(make_step(1, programs=[(9, good)], calls=[call]), START)[0], Run)


def test_a_circuit_that_the_backend_refuses_is_refused_too(make_machine):
    machine = make_machine(think_s=5)
    machine.on_message(make_step(1), START)
    answer = told(machine.on_failure(Failure(1, as_data(CircuitRejected("circuit 0: too deep"))), START + 50))
    assert answer == Refused(1, as_data(CircuitRejected("circuit 0: too deep")))
    assert machine.deadline == START + 55
    assert isinstance(machine.on_message(make_step(1, programs=[]), START + 50)[0], Run)
    assert machine.usage.steps == 0


# ------------------------------------------------------------------ failures of the backend


BROKEN = as_data(BackendFailed("the fridge is warm"))


def test_a_backend_that_fails_stops_the_job_and_its_results_are_kept(make_machine):
    machine = make_machine()
    step_through(machine, 1)
    machine.on_message(make_step(2), START)
    assert told(machine.on_failure(Failure(2, BROKEN), START)) == Stop("error")
    report = ended(machine.on_message(Finished(VALUE), START))
    assert (report.state, report.stop_reason, report.value) == (JobState.FAILED, StopReason.ERROR, VALUE)
    assert (report.error, report.steps) == (BROKEN, 1)
    assert exit_code(report.error) == 3


def test_a_backend_that_is_lost_while_the_algorithm_computes_interrupts_it(make_machine):
    machine = make_machine()
    step_through(machine, 1)
    assert machine.on_backend_lost(BROKEN, START) == [Interrupt(StopReason.ERROR)]
    report = ended(machine.on_message(Finished(VALUE), START))
    assert (report.state, report.error) == (JobState.FAILED, BROKEN)


def test_a_backend_that_is_lost_while_it_is_waited_for_stops_the_job(make_machine):
    machine = make_machine()
    machine.on_message(make_step(1), START)
    assert told(machine.on_backend_lost(BROKEN, START)) == Stop("error")


def test_a_job_that_only_finalizes_does_not_mind_a_lost_backend(make_machine):
    machine = make_machine()
    step_through(machine, 1)
    machine.on_message(Finalizing(), START)
    assert machine.on_backend_lost(BROKEN, START) == []
    assert ended(machine.on_message(Finished(VALUE), START)).state is JobState.COMPLETED


def test_a_job_that_is_being_stopped_does_not_mind_a_lost_backend(make_machine):
    machine = make_machine()
    step_through(machine, 1)
    machine.on_cancel(False, START)
    assert machine.on_backend_lost(BROKEN, START) == []
    report = ended(machine.on_message(Finished(VALUE), START))
    assert (report.state, report.stop_reason) == (JobState.COMPLETED, StopReason.CANCELLED)


def test_the_backends_failure_is_told_rather_than_what_follows_from_it(make_machine):
    machine = make_machine()
    step_through(machine, 1)
    machine.on_backend_lost(BROKEN, START)
    assert ended(machine.on_message(Failed("finalize", user_error()), START)).error == BROKEN
    machine = make_machine()
    machine.on_backend_lost(BROKEN, START)
    assert ended(machine.on_lost(-9, None, START)).error == BROKEN


def test_a_lost_classical_runtime_ends_every_job(make_machine):
    lost = ErrorData(kind="InternalError", text="the fork server is gone")
    report = ended(make_machine().on_runtime_lost(lost, START))
    assert (report.state, report.error) == (JobState.FAILED, lost)


def test_late_answers_are_not_heeded(make_machine):
    machine = make_machine()
    assert machine.on_executed(make_executed(), START) == []
    assert machine.on_failure(Failure(1, BROKEN), START) == []
    assert machine.usage.steps == 0


# ------------------------------------------------------------------ whatever happens

HAPPENINGS = {
    "ready": lambda machine, now: machine.on_message(Ready(1, 42, "process"), now),
    "step": lambda machine, now: machine.on_message(make_step(machine.number + 1, programs=[]), now),
    "first step": lambda machine, now: machine.on_message(make_step(1), now),
    "bad step": lambda machine, now: machine.on_message(make_step(machine.number + 1, shots=0), now),
    "note": lambda machine, now: machine.on_message(Note([("energy", 1.0)], ["x"]), now),
    "finalizing": lambda machine, now: machine.on_message(Finalizing(), now),
    "finished": lambda machine, now: machine.on_message(Finished(VALUE), now),
    "failed": lambda machine, now: machine.on_message(Failed("execute", user_error()), now),
    "executed": lambda machine, now: machine.on_executed(make_executed(), now),
    "refused": lambda machine, now: machine.on_failure(Failure(1, as_data(CircuitRejected("x"))), now),
    "broken": lambda machine, now: machine.on_failure(Failure(1, BROKEN), now),
    "backend lost": lambda machine, now: machine.on_backend_lost(BROKEN, now),
    "cancel": lambda machine, now: machine.on_cancel(False, now),
    "kill": lambda machine, now: machine.on_cancel(True, now),
    "deadline": lambda machine, now: machine.on_deadline(now),
    "lost": lambda machine, now: machine.on_lost(-9, None, now),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(HAPPENINGS)), st.floats(0, 20)), max_size=30))
def test_whatever_happens_a_job_ends_at_most_once_and_is_never_stopped_twice(happenings):
    machine = Machine("job", Limits(wall_s=30, think_s=8, steps=5), Programs(BACKEND, count().__next__), START)
    now = START
    stops = 0
    for name, later in happenings:
        now += later
        actions = HAPPENINGS[name](machine, now)
        stops += sum(
            isinstance(action, Interrupt) or (isinstance(action, Tell) and isinstance(action.message, Stop))
            for action in actions
        )
        assert stops <= 1
        assert sum(isinstance(action, Tell | Run | Interrupt) for action in actions) <= 1
        if any(isinstance(action, End) for action in actions):
            report = ended(actions)
            assert report.state.final
            assert (report.error is None) == (report.state is JobState.COMPLETED)
            msgspec.msgpack.encode(report)
            return
        assert not machine.state.final
