"""Which steps are run in the calling process, and that they are run as in the backend's own."""

from __future__ import annotations

import math
import os
import struct

import pytest

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.protocol.messages import CircuitCall, Execute, Executed, Failure
from hybrid_runtime.protocol.results import decode_results
from hybrid_runtime.quantum import inline
from hybrid_runtime.quantum.driver import Estimates
from hybrid_runtime.quantum.drivers import registry
from hybrid_runtime.quantum.drivers.scripted import NullDriver
from hybrid_runtime.quantum.executor import Executor

HEAD = "version 3.0\nqubit[{0}] q\nbit[{0}] b\n"
TURNED = HEAD.format(2) + "Ry(0.3) q[0]\nCNOT q[0], q[1]\nb = measure q"
MIDWAY = HEAD.format(2) + "H q[0]\nb[0] = measure q[0]\nX q[0]\nb[1] = measure q[0]"


def program(text):
    return Compiler().compile(Circuit(text)).program


@pytest.fixture
def emulator():
    found = inline.load("qulacs", {})
    assert found is not None
    return found


def call(number=1, *, shots=100, rows=1, raw=False, slots=1):
    return CircuitCall(number, shots, rows, struct.pack(f"<{slots * rows}d", *[0.5] * slots * rows), raw)


def test_a_brief_step_has_the_results_that_the_backends_process_would_give(emulator):
    emulator.define(1, program(TURNED))
    elsewhere = Executor(registry.open("qulacs"))
    elsewhere.define(1, program(TURNED))
    calls = [call(), call(shots=7)]
    here, there = emulator.answer(calls, 11), elsewhere.answer(Execute(5, calls, 11, 10.0))
    assert isinstance(here, Executed)
    assert isinstance(there, Executed)
    assert here.shots == 107
    assert [one.counts for one in decode_results(here.items)] == [one.counts for one in decode_results(there.items)]


def test_what_is_not_known_to_be_brief_is_left_to_the_process(emulator):
    emulator.define(1, program(TURNED))
    emulator.define(2, program(MIDWAY))
    emulator.define(3, program(HEAD.format(20) + "H q\nb = measure q"))
    emulator.define(5, program(HEAD.format(2) + "X q\n" * 1000 + "b = measure q"))
    assert emulator.seconds([call(5, slots=0)]) is None
    assert emulator.seconds([call(1, raw=True)]) is None
    assert emulator.seconds([call(2)]) is None
    assert emulator.seconds([call(3)]) is None
    assert emulator.seconds([call(1), call(4)]) is None
    assert emulator.seconds([call(1, rows=100_000)]) is None
    assert 0 < emulator.seconds([call(1)]) < emulator.seconds([call(1, rows=10)]) < inline.MOST_S


def test_a_program_that_is_forgotten_is_not_known(emulator):
    emulator.define(1, program(TURNED))
    emulator.forget([1, 9])
    assert emulator.seconds([call(1)]) is None


def test_what_goes_wrong_is_answered_as_by_the_process(emulator):
    driver = registry.open("scripted", {"answers": [{"error": "BackendFailed", "text": "tired"}]})
    here = inline.Inline(driver, NullDriver())
    here.define(1, program(TURNED))
    answer = here.answer([call(1)], 1)
    assert isinstance(answer, Failure)
    assert (answer.error.text, answer.transient) == ("tired", True)


def test_estimates_grow_with_the_circuit_and_are_open_where_shots_divide():
    driver = registry.open("qulacs")
    assert isinstance(driver, Estimates)
    small, large = (driver.estimate_s(program(HEAD.format(n) + "H q\nb = measure q")) for n in (2, 12))
    assert 0 < small < large < math.inf
    assert driver.estimate_s(program(MIDWAY)) == math.inf


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("scripted", {"answers": [{"crash": True}]}),
        ("faulty", {}),
        ("paced", {}),
        ("nonexistent", {}),
        ("tcp://localhost:1", {}),
        ("qulacs", {"max_qubits": -1}),
    ],
)
def test_drivers_that_may_wait_or_crash_or_cannot_be_opened_stay_in_their_process(name, options):
    assert inline.load(name, options) is None


def test_an_emulator_is_given_the_threads_that_it_is_to_have(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    assert inline.load("null", {}) is not None
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("1", "1")
