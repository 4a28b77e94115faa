"""Messages: what is decoded is of its type, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.errors import ErrorData, ProtocolError
from hybrid_runtime.limits import Limits
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.messages import (
    Capabilities,
    CircuitCall,
    Failed,
    Finished,
    FromWorker,
    Load,
    Note,
    Ready,
    ReceivedResults,
    ResultData,
    ResultItem,
    Results,
    Step,
    Stop,
    ToWorker,
    decode,
    decoder,
    derive_seed,
    derive_seeds,
    encode,
)

FROM_WORKER = decoder(FromWorker)
TO_WORKER = decoder(ToWorker)


@pytest.mark.parametrize(
    "message",
    [
        Ready(1, 42, "strict"),
        Note([("energy", -1.5)], ["line"]),
        Step(1, [CircuitCall(3, 100, 2, b"12345678" * 2)], [(3, Program(1, 1, 1, (Operation("Rx", (0,), (0,)),)))]),
        Finished(b"\xc0"),
        Failed("execute", ErrorData(kind="ValueError", text="x", family="UserCodeError")),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_of_a_worker_arrive_as_they_were(message):
    assert decode(FROM_WORKER, encode(message)) == message


def test_a_job_arrives_with_its_limits_and_its_backend():
    backend = Capabilities(name="b", driver="d", qubits=3, max_shots=10, operations=("H",))
    load = Load("j", b"bundle", b"\xc0", 7, 100, Limits(steps=3, plateau=("e", 0.1, 5)), backend)
    assert decode(TO_WORKER, encode(load)) == load


def test_results_pass_the_dispatcher_without_being_decoded():
    items: list[ResultItem] = [ResultData({"0": 3}, 3, 0.5, 7)]
    raw = decode(decoder(Results), encode(ReceivedResults(1, items)))
    assert decode(TO_WORKER, encode(Results(1, raw.items))) == ReceivedResults(1, items)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        encode(Stop("wall")),
        encode(["step", "one", []]),
        encode(["finished"]),
        encode(["note", [["x", "y"]], []]),
        encode(["ready", 1.5, 1, "x"]),
        encode(["unheard-of"]),
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 50_000,
        encode(["note", [], ["\xff"]]).replace("\xff".encode(), b"\xff\xff"),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_whatever_else_a_worker_sends_breaks_the_protocol(data):
    with pytest.raises(ProtocolError, match="malformed message"):
        decode(FROM_WORKER, data)


@given(st.binary(max_size=100))
def test_no_bytes_do_any_harm(data):
    with pytest.raises(ProtocolError):
        decode(FROM_WORKER, b"\x91" + data)


@given(st.integers(0, (1 << 63) - 1), st.integers(0, 100_000))
def test_derived_seeds_are_31_bits_and_repeatable(seed, index):
    derived = derive_seed(seed, index)
    assert 0 <= derived < 1 << 31
    assert derive_seed(seed, index) == derived


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 100_000), st.integers(1, 100))
def test_seeds_derived_together_are_those_derived_alone(seed, first, rows):
    assert derive_seeds(seed, first, rows) == [derive_seed(seed, first + row) for row in range(rows)]


def test_seeds_of_a_large_request_are_those_derived_alone():
    assert derive_seeds(99, 7, 2500) == [derive_seed(99, 7 + row) for row in range(2500)]


def test_derived_seeds_differ():
    seeds = {derive_seed(seed, index) for seed in range(100) for index in range(100)}
    assert len(seeds) == 10_000
