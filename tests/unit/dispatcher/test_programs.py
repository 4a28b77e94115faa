"""A job's programs, between a worker that may say anything and the quantum runtime."""

from __future__ import annotations

import itertools
import math
import struct

import msgspec
import pytest

from hybrid_runtime.dispatcher import programs as module
from hybrid_runtime.dispatcher.programs import Programs
from hybrid_runtime.errors import CircuitRejected, ProtocolError
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.messages import MAX_CIRCUITS_PER_STEP, MAX_PROGRAMS_PER_STEP, CircuitCall

from .conftest import BACKEND, PROGRAM, make_step


def fresh() -> Programs:
    return Programs(BACKEND, itertools.count(1000).__next__)


def call(program: int, rows: int = 1, shots: int = 10, angle: float = 0.5) -> CircuitCall:
    return CircuitCall(program, shots, rows, struct.pack("<d", angle) * rows)


def test_programs_get_numbers_of_their_own_and_are_told_once():
    programs = fresh()
    programs.define(make_step(1, programs=[(3, PROGRAM), (4, PROGRAM)]))
    define, forget = programs.take_changes()
    assert [one.program for one in define] == [1000, 1001]
    assert forget == []
    assert programs.take_changes() == ([], [])
    assert sorted(programs.all_numbers()) == [1000, 1001]


def test_calls_are_translated_and_their_shots_counted():
    programs = fresh()
    programs.define(make_step(1, programs=[(3, PROGRAM), (4, PROGRAM)]))
    calls, shots = programs.calls(make_step(1, calls=[call(4, rows=3), call(3, shots=5)]))
    assert [(one.program, one.rows, one.shots) for one in calls] == [(1001, 3, 10), (1000, 1, 5)]
    assert shots == 35


def test_what_is_forgotten_is_told_and_may_be_defined_again():
    programs = fresh()
    programs.define(make_step(1, programs=[(3, PROGRAM)]))
    programs.take_changes()
    programs.forget([3, 99])
    assert programs.take_changes() == ([], [1000])
    assert programs.all_numbers() == []
    programs.define(make_step(2, programs=[(3, PROGRAM)]))
    assert programs.all_numbers() == [1001]


def test_a_program_that_cannot_be_run_is_refused_each_time_until_it_is_forgotten():
    programs = fresh()
    wide = Program(6, 1, 0, ())
    programs.define(make_step(1, programs=[(3, wide), (4, PROGRAM)]))
    for _ in range(2):
        with pytest.raises(CircuitRejected, match="6 qubits"):
            programs.calls(make_step(1, calls=[call(4), call(3)]))
    assert [one.program for one in programs.take_changes()[0]] == [1000]
    programs.forget([3])
    with pytest.raises(ProtocolError, match="program 3 was never defined"):
        programs.calls(make_step(1, calls=[call(3)]))


@pytest.mark.parametrize("other", [PROGRAM, Program(6, 1, 0, ())], ids=["good", "refused"])
def test_a_number_cannot_be_used_twice(other):
    programs = fresh()
    programs.define(make_step(1, programs=[(3, other)]))
    with pytest.raises(ProtocolError, match="program 3 is defined twice"):
        programs.define(make_step(2, programs=[(3, PROGRAM)]))


def test_an_honest_worker_never_reaches_the_bound_on_programs():
    assert MAX_PROGRAMS_PER_STEP * 2 < module.MAX_PROGRAMS


@pytest.mark.parametrize("other", [PROGRAM, Program(6, 1, 0, ())], ids=["good", "refused"])
def test_programs_are_bounded_in_number(monkeypatch, other):
    monkeypatch.setattr(module, "MAX_PROGRAMS", 3)
    programs = fresh()
    programs.define(make_step(1, programs=[(number, other) for number in range(3)]))
    with pytest.raises(ProtocolError, match="more than 3 programs"):
        programs.define(make_step(2, programs=[(3, PROGRAM)]))
    programs.forget([0])
    programs.define(make_step(2, programs=[(3, PROGRAM)]))


def test_programs_are_bounded_in_size(monkeypatch):
    monkeypatch.setattr(module, "MAX_OPERATIONS_HELD", 3)
    programs = fresh()
    programs.define(make_step(1, programs=[(0, PROGRAM), (1, PROGRAM)]))
    with pytest.raises(ProtocolError, match="too large ones"):
        programs.define(make_step(2, programs=[(2, PROGRAM)]))
    programs.forget([0])
    programs.define(make_step(2, programs=[(2, PROGRAM)]))


@pytest.mark.parametrize(
    ("calls", "error", "why"),
    [
        ([], ProtocolError, "without circuits"),
        ([call(9)], ProtocolError, "never defined"),
        ([CircuitCall(3, 10, 2, bytes(8))], ProtocolError, "do not fit"),
        ([CircuitCall(3, 10, 1, bytes(9))], ProtocolError, "do not fit"),
        ([CircuitCall(3, 10, 0, b"")], CircuitRejected, "1 to 100000 circuits"),
        ([CircuitCall(3, 10, -1, b"")], CircuitRejected, "1 to 100000 circuits"),
        ([call(3, rows=MAX_CIRCUITS_PER_STEP), call(3)], CircuitRejected, "1 to 100000 circuits"),
        ([call(3, shots=-1)], CircuitRejected, "takes 1 to 10000"),
        ([call(3, shots=0)], CircuitRejected, "does not compute exact probabilities: name a number of shots"),
        ([call(3, shots=1 << 62)], CircuitRejected, "takes 1 to 10000"),
        ([call(3, angle=math.nan)], CircuitRejected, "not a finite number"),
        ([call(3, angle=-math.inf)], CircuitRejected, "not a finite number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_calls_that_cannot_be_run(calls, error, why):
    programs = fresh()
    programs.define(make_step(1, programs=[(3, PROGRAM)]))
    with pytest.raises(error, match=why):
        programs.calls(make_step(1, calls=calls))


def test_numbers_whose_sum_no_float_can_hold_are_still_numbers():
    programs = fresh()
    program = Program(1, 1, 2, (Operation("Rx", (0,), (0,)), Operation("Rx", (0,), (1,))))
    programs.define(make_step(1, programs=[(3, program)]))
    calls, _ = programs.calls(make_step(1, calls=[CircuitCall(3, 10, 1, struct.pack("<2d", 1.7e308, 1.7e308))]))
    assert len(calls) == 1


def exact_on(**abilities: bool) -> Programs:
    return Programs(msgspec.structs.replace(BACKEND, **abilities), itertools.count(1000).__next__)


OBSERVED = Program(1, 0, 1, (Operation("Rx", (0,), (0,)),), ((1.0, "Z"),))


@pytest.mark.parametrize(
    ("abilities", "calls", "why"),
    [
        ({}, [call(4, shots=0)], "does not evaluate observables: measure each term with shots"),
        ({"exact": True}, [call(4, shots=0)], "does not evaluate observables"),
        ({"observables": True}, [call(3, shots=0)], "does not compute exact probabilities"),
        ({"observables": True}, [call(4, shots=5)], "without shots, not with 5"),
        ({"exact": True, "raw": True}, [CircuitCall(3, 0, 1, bytes(8), raw=True)], "no shots that could be given raw"),
    ],
)
def test_exact_results_are_refused_where_the_backend_has_none(abilities, calls, why):
    programs = exact_on(**abilities)
    programs.define(make_step(1, programs=[(3, PROGRAM), (4, OBSERVED)]))
    with pytest.raises(CircuitRejected, match=why):
        programs.calls(make_step(1, calls=calls))


def test_exact_results_take_no_shots():
    programs = exact_on(exact=True, observables=True)
    programs.define(make_step(1, programs=[(3, PROGRAM), (4, OBSERVED)]))
    calls, shots = programs.calls(make_step(1, calls=[call(3, shots=0, rows=2), call(4, shots=0)]))
    assert ([one.shots for one in calls], shots) == ([0, 0], 0)
