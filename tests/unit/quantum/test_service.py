from __future__ import annotations

import logging
import math
import struct
import threading

import msgspec
import pytest

from hybrid_runtime.errors import BackendFailed, BackendTimeout, CircuitRejected
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.messages import (
    MAX_CIRCUITS_PER_STEP,
    PROTOCOL_VERSION,
    CircuitCall,
    Define,
    Execute,
    Executed,
    Failure,
    Forget,
    FromQuantum,
    ResultData,
    ResultTable,
    Serving,
    decode,
    decoder,
    derive_seed,
    encode,
)
from hybrid_runtime.protocol.results import decode_results
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.quantum.drivers.scripted import NullDriver, ScriptedDriver
from hybrid_runtime.quantum.service import serve


class Peer:
    """What the dispatcher is to a quantum runtime."""

    def __init__(self, channel):
        self.channel = channel
        self.serving = self.next()
        self._requests = iter(range(1, 1000))

    def next(self):
        return decode(decoder(FromQuantum), self.channel.receive(30.0))

    def define(self, number, program):
        self.channel.send(encode(Define(number, program)))

    def execute(self, *calls, seed=1, timeout_s=30.0):
        request = next(self._requests)
        self.channel.send(encode(Execute(request, list(calls), seed, timeout_s)))
        answer = self.next()
        assert answer.request == request
        return answer

    def results(self, *calls, **words):
        answer = self.execute(*calls, **words)
        assert isinstance(answer, Executed), answer
        return decode_results(answer.items)

    def failure(self, *calls, **words):
        answer = self.execute(*calls, **words)
        assert isinstance(answer, Failure)
        return answer


class Recorded:
    """A driver around another one that tells whether it was closed."""

    def __init__(self, inner):
        self.capabilities = inner.capabilities
        self.execute = inner.execute
        self.interrupt = inner.interrupt
        self.closed = 0
        self._inner = inner

    def close(self):
        self.closed += 1
        self._inner.close()


@pytest.fixture
def serving():
    """Serve drivers on threads; give their peers."""
    running = []

    def start(driver, **words):
        ours, theirs = SeqPacketChannel.pair()
        recorded = Recorded(driver)
        thread = threading.Thread(target=serve, args=(recorded, theirs), kwargs=words)
        thread.start()
        running.append((ours, theirs, thread, recorded))
        return Peer(ours)

    yield start
    for ours, theirs, thread, recorded in running:
        ours.close()
        thread.join(30)
        assert not thread.is_alive()
        assert recorded.closed == 1
        theirs.close()


@pytest.fixture
def null(serving, bell):
    """A peer of the null driver, with the bell pair defined as program 1."""
    peer = serving(NullDriver(capabilities={"qubits": 5, "max_shots": 1000}))
    peer.define(1, bell)
    return peer


def scripted(*answers, **words):
    return ScriptedDriver(list(answers), **words)


# ------------------------------------------------------------------ answers


def test_it_announces_the_driver_first(serving):
    peer = serving(NullDriver(), name="starmon")
    assert isinstance(peer.serving, Serving)
    assert peer.serving.version == PROTOCOL_VERSION
    assert (peer.serving.capabilities.name, peer.serving.capabilities.driver) == ("starmon", "null")


def test_each_row_of_each_call_is_answered_in_order(serving, ladder):
    driver = scripted({"0": 1}, {"1": 2}, {"0": 3})
    peer = serving(driver)
    peer.define(7, ladder(1))
    calls = [CircuitCall(7, 10, 2, struct.pack("<2d", 0.5, 1.5)), CircuitCall(7, 20, 1, struct.pack("<d", 2.5))]
    answer = peer.execute(*calls)
    assert answer.shots == 6
    items = decode_results(answer.items)
    assert [item.counts for item in items] == [{"0": 1}, {"1": 2}, {"0": 3}]
    assert [(call.values, call.shots) for call in driver.calls] == [([0.5], 10), ([1.5], 10), ([2.5], 20)]


def test_row_k_of_a_request_uses_the_kth_seed_derived_from_its_own(null):
    items = null.results(CircuitCall(1, 5), CircuitCall(1, 5, 2), seed=99)
    assert [item.seed for item in items] == [derive_seed(99, row) for row in range(3)]


@pytest.mark.parametrize("rows", [1, 15, 16, 70_000])
def test_as_many_results_come_as_rows_were_asked_for(null, rows):
    assert len(null.results(CircuitCall(1, 5, rows))) == rows


def test_a_request_without_circuits_has_no_results(null):
    assert null.results() == []


def test_duration_is_the_sum_of_what_the_driver_told(serving, bell):
    peer = serving(SlowSaying(0.25))
    peer.define(1, bell)
    assert peer.execute(CircuitCall(1, 5, 4)).duration_s == 1.0


class SlowSaying(NullDriver):
    """Says that each row took a while."""

    def __init__(self, duration_s):
        super().__init__()
        self._duration_s = duration_s

    def execute(self, batch):
        return [msgspec.structs.replace(row, duration_s=self._duration_s) for row in super().execute(batch)]


def test_raw_shots_come_when_asked_for(null):
    (item,) = null.results(CircuitCall(1, 3, 1, b"", True))
    assert item.raw == ["00", "00", "00"]


# ------------------------------------------------------------------ requests that are refused


@pytest.mark.parametrize(
    ("call", "why"),
    [
        pytest.param(CircuitCall(1, -1), "takes 1 to 1000 shots, not -1", id="fewer shots than none"),
        pytest.param(CircuitCall(1, 1001), "takes 1 to 1000 shots, not 1001", id="too many shots"),
        pytest.param(CircuitCall(1, 5, 0), "1 to 100000 circuits", id="no rows"),
        pytest.param(CircuitCall(1, 5, -1), "1 to 100000 circuits", id="fewer rows than none"),
        pytest.param(CircuitCall(1, 5, MAX_CIRCUITS_PER_STEP), "1 to 100000 circuits", id="too many rows"),
        pytest.param(CircuitCall(1, 5, 1, b"12345678"), "take 0 bytes, not 8", id="too many parameters"),
        pytest.param(CircuitCall(2, 5, 1, b"1234567"), "take 8 bytes, not 7", id="half a parameter"),
        pytest.param(
            CircuitCall(2, 5, 2, struct.pack("<2d", 1, math.nan)), "parameter 0 of row 1 is nan", id="not a number"
        ),
        pytest.param(CircuitCall(2, 5, 1, struct.pack("<d", -math.inf)), "parameter 0 of row 0 is -inf", id="infinity"),
        pytest.param(CircuitCall(3, 5), "it has 6 qubits; backend 'null' has 5", id="too many qubits"),
        pytest.param(CircuitCall(4, 5), r"operation 0 \(H\): a qubit is outside", id="malformed program"),
    ],
)
def test_what_is_wrong_is_refused_by_the_index_of_its_circuit(null, ladder, call, why):
    null.define(2, ladder(1))
    null.define(3, ladder(6))
    null.define(4, Program(1, 1, 0, (Operation("H", (1,)),)))
    failure = null.failure(CircuitCall(1, 5), call)
    assert failure.error.kind == "CircuitRejected"
    assert not failure.transient
    assert failure.error.text.startswith("circuit 1: ")
    with pytest.raises(CircuitRejected, match=why):
        raise CircuitRejected(failure.error.text)
    assert null.results(CircuitCall(1, 5))


def test_a_refused_request_has_cost_no_time_on_the_backend(serving, bell):
    driver = scripted({"00": 1}, repeat=True)
    peer = serving(driver)
    peer.define(1, bell)
    peer.failure(CircuitCall(1, 5), CircuitCall(1, 0))
    assert driver.calls == []


def test_large_values_whose_sum_overflows_are_finite_all_the_same(null, ladder):
    null.define(2, ladder(2))
    assert null.results(CircuitCall(2, 5, 1, struct.pack("<2d", 1e308, 1e308)))


@pytest.mark.parametrize(
    ("capabilities", "operations", "why"),
    [
        ({"operations": ("H", "measure")}, (Operation("X", (0,)), Operation("Y", (0,))), "operations X, Y"),
        ({"mid_circuit": False}, (Operation("measure", (0,), (), 0), Operation("H", (0,))), "at the end"),
        ({"mid_circuit": False}, (Operation("H", (0,)), Operation("reset", (0,))), "at the end"),
    ],
)
def test_programs_beyond_the_backend_are_refused(serving, capabilities, operations, why):
    peer = serving(NullDriver(capabilities=capabilities))
    peer.define(1, Program(1, 1, 0, operations))
    assert why in peer.failure(CircuitCall(1, 5)).error.text


def test_measurements_at_the_end_run_on_a_backend_that_only_has_those(serving):
    peer = serving(NullDriver(capabilities={"mid_circuit": False}))
    operations = (Operation("reset", (0,)), Operation("H", (0,)), Operation("measure", (0,), (), 0))
    peer.define(1, Program(2, 2, 0, (*operations, Operation("H", (1,)), Operation("barrier", (0, 1)))))
    assert peer.results(CircuitCall(1, 5))


def test_raw_shots_are_refused_where_the_backend_has_none(serving, bell):
    peer = serving(NullDriver(capabilities={"raw": False}))
    peer.define(1, bell)
    assert "raw shots" in peer.failure(CircuitCall(1, 5, 1, b"", True)).error.text


def test_raw_shots_beyond_a_message_are_refused_before_they_are_made(serving, bell):
    driver = scripted({"00": 1}, repeat=True)
    peer = serving(driver)
    peer.define(1, bell)
    call = CircuitCall(1, 4_000_000, 2, b"", True)
    assert "circuit 2: the raw shots" in peer.failure(call, call).error.text
    assert driver.calls == []


def test_results_beyond_a_message_are_refused(serving):
    program = Program(1, 1024, 0, ())
    peer = serving(scripted({"0" * 1024: 5}, repeat=True))
    peer.define(1, program)
    assert "take more than 64 MiB" in peer.failure(CircuitCall(1, 5, 70_000)).error.text


def test_an_unknown_program_breaks_the_protocol(null):
    failure = null.failure(CircuitCall(99, 5))
    assert (failure.error.kind, failure.error.text) == ("ProtocolError", "program 99 is not defined")


def test_a_forgotten_program_is_unknown(null):
    null.channel.send(encode(Forget([1, 2])))
    assert null.failure(CircuitCall(1, 5)).error.kind == "ProtocolError"


def test_a_program_can_be_defined_anew(null, ladder):
    null.define(1, ladder(1))
    assert null.results(CircuitCall(1, 5, 1, struct.pack("<d", 0.5)))[0].counts == {"0": 5}


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, math.nan, math.inf])
def test_a_timeout_that_cannot_be_breaks_the_protocol(null, timeout_s):
    assert null.failure(CircuitCall(1, 5), timeout_s=timeout_s).error.kind == "ProtocolError"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"hello", id="not MessagePack"),
        pytest.param(msgspec.msgpack.encode(["execute", 1]), id="fields are missing"),
        pytest.param(msgspec.msgpack.encode(["serving", 1, None]), id="not for a quantum runtime"),
        pytest.param(msgspec.msgpack.encode(["define", 1, [1, 1, 0, [["H", ["0"]]]]]), id="a qubit that is text"),
        pytest.param(b"\x91" * 5000, id="nested too deeply"),
    ],
)
def test_a_malformed_message_is_answered_and_the_next_one_runs(null, data):
    null.channel.send(data)
    answer = null.next()
    assert (answer.request, answer.error.kind) == (0, "ProtocolError")
    assert null.results(CircuitCall(1, 5))


# ------------------------------------------------------------------ drivers that fail


@pytest.mark.parametrize(
    ("error", "kind", "transient"),
    [
        (BackendFailed("lost"), "BackendFailed", True),
        (BackendTimeout("late"), "BackendTimeout", True),
        (CircuitRejected("too deep"), "CircuitRejected", False),
        (MemoryError(), "CircuitRejected", False),
        (ZeroDivisionError("oops"), "BackendFailed", False),
        (StopIteration(), "BackendFailed", False),
    ],
)
def test_what_a_driver_raises_becomes_a_failure_and_the_next_request_runs(serving, bell, error, kind, transient):
    peer = serving(scripted(error, {"00": 5}))
    peer.define(1, bell)
    failure = peer.failure(CircuitCall(1, 5))
    assert (failure.error.kind, failure.transient) == (kind, transient)
    assert peer.results(CircuitCall(1, 5))[0].counts == {"00": 5}


def test_a_rejection_by_the_driver_names_the_circuit(serving, bell):
    peer = serving(scripted({"00": 5}, {"00": 5}, CircuitRejected("too deep")))
    peer.define(1, bell)
    assert peer.failure(CircuitCall(1, 5), CircuitCall(1, 5, 3)).error.text == "circuit 2: too deep"


def test_a_foreign_exception_is_told_and_logged(serving, bell, caplog):
    peer = serving(scripted(ZeroDivisionError("oops")))
    peer.define(1, bell)
    with caplog.at_level(logging.ERROR):
        assert peer.failure(CircuitCall(1, 5)).error.text == "the driver raised ZeroDivisionError: oops"
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("rows", [[], ["result"], ["good", "good", "good"], ["good"], [{"00": 5}, {"00": 5}]])
def test_a_driver_that_gives_other_than_one_result_a_row_has_failed(serving, bell, rows):
    good = ResultData({"00": 5}, 5, 0.0, 1)
    peer = serving(Giving([good if row == "good" else row for row in rows]))
    peer.define(1, bell)
    assert "for 2 rows it gave" in peer.failure(CircuitCall(1, 5, 2)).error.text


class Giving(NullDriver):
    """Gives whatever it was told to."""

    def __init__(self, rows):
        super().__init__()
        self._rows = rows

    def execute(self, batch):
        return self._rows


# ------------------------------------------------------------------ exact results, and many rows in one item


def test_exact_results_come_from_a_backend_that_has_them(serving, bell):
    peer = serving(NullDriver())
    peer.define(1, bell)
    peer.define(2, Program(2, 0, 0, bell.operations[:2], ((0.5, "ZZ"), (2.0, "XI"), (0.25, "II"))))
    exact, value = peer.results(CircuitCall(1, 0), CircuitCall(2, 0))
    assert (exact.counts, exact.probabilities, exact.shots_done) == ({}, {"00": 1.0}, 0)
    assert (value.counts, value.value) == ({}, 0.75)


def test_exact_results_are_refused_by_a_backend_that_has_none(serving, bell):
    peer = serving(scripted({"00": 5}))
    peer.define(1, bell)
    peer.define(2, Program(2, 0, 0, bell.operations[:2], ((0.5, "ZZ"),)))
    assert "does not compute exact probabilities" in peer.failure(CircuitCall(1, 0)).error.text
    assert "does not evaluate observables" in peer.failure(CircuitCall(2, 0)).error.text
    assert peer.results(CircuitCall(1, 5))


TABLE = ResultTable(struct.pack("<3I", 1, 2, 3), 5, 0.5, ["00"], struct.pack("<3I", 5, 5, 5))


def test_a_driver_may_give_many_rows_in_one_item(serving, bell):
    peer = serving(Giving([TABLE, ResultData({"00": 5}, 5, 0.5, 4)]))
    peer.define(1, bell)
    answer = peer.execute(CircuitCall(1, 5, 4))
    assert (answer.shots, answer.duration_s) == (20, 2.0)
    assert [result.seed for result in decode_results(answer.items)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("rows", "table", "why"),
    [
        (2, TABLE, "for 2 rows it gave"),
        (4, TABLE, "for 4 rows it gave 3"),
        (3, ResultTable(b"", 5, 0.5), "for 3 rows it gave"),
        (3, msgspec.structs.replace(TABLE, counts=b"1234"), "not of one length"),
    ],
)
def test_a_driver_whose_table_is_not_of_its_rows_has_failed(serving, bell, rows, table, why):
    peer = serving(Giving([table]))
    peer.define(1, bell)
    assert why in peer.failure(CircuitCall(1, 5, rows)).error.text
