"""A worker's way through its recorded steps, with the dispatcher's answers given by the test."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from hybrid_runtime.classical.replaying import Replayer
from hybrid_runtime.errors import ErrorData, ProtocolError
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.messages import (
    Capabilities,
    CircuitCall,
    Diverged,
    FromWorker,
    More,
    Refused,
    Replay,
    Special,
    Stop,
    decode,
    decoder,
)
from hybrid_runtime.protocol.replay import Canonical, canonical, program_hash

PROGRAM = Program(1, 1, 0, (Operation("measure", (0,), bit=0),))
OTHER = Program(2, 1, 0, (Operation("measure", (0,), bit=0),))
CALLS = [CircuitCall(4, 10)]
BACKEND = Capabilities(name="other", driver="other", qubits=1, max_shots=1, operations=())
REQUEST = canonical(CALLS, {4: program_hash(PROGRAM)})


@pytest.fixture(autouse=True)
def usual_collection() -> Iterator[None]:
    usual = gc.get_threshold()
    yield
    gc.set_threshold(*usual)


class Dispatcher:
    """Gives these answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.heard: list[Any] = []

    def __call__(self, data: bytes) -> Any:
        self.heard.append(decode(decoder(FromWorker), data))
        return self.answers.pop(0)


def past(*items: bytes, last: bool = True, special: Sequence[Special] = ()) -> Replay:
    """Steps that all asked for the same, and how each was answered."""
    used = [(10, 0.5)] * len(items)
    return Replay([REQUEST] * len(items), [msgspec.Raw(item) for item in items], used, last, list(special))


def ask(replayer: Replayer, calls: list[CircuitCall] = CALLS, *programs: tuple[int, Program]) -> Any:
    programs = programs or ((4, PROGRAM),)
    return replayer.answer(replayer.canonical.many(calls, programs), programs)


def test_recorded_steps_are_given_in_order_and_fetched_as_they_are_needed():
    dispatcher = Dispatcher(past(b"first", last=False), past(b"second"))
    replayer = Replayer(dispatcher)
    assert ask(replayer) == (msgspec.Raw(b"first"), (10, 0.5), None)
    assert dispatcher.heard == [More()]
    assert not replayer.over
    assert ask(replayer) == (msgspec.Raw(b"second"), (10, 0.5), None)
    assert replayer.over


def test_what_is_special_about_a_step_comes_with_it():
    moved = Special(1, backend=BACKEND, drawn=[3.0])
    replayer = Replayer(Dispatcher(past(b"0", b"1", b"2", special=[moved])))
    assert replayer.drawn() is None
    assert ask(replayer)[2] is None
    assert replayer.drawn() == 3.0
    assert ask(replayer)[2] is moved
    assert ask(replayer)[2] is None


def test_pieces_of_a_past_may_be_empty():
    replayer = Replayer(Dispatcher(past(b"first", last=False), past(last=False), past(b"second"), past()))
    assert [ask(replayer)[0] for _ in range(2)] == [msgspec.Raw(b"first"), msgspec.Raw(b"second")]
    assert replayer.over


def test_an_empty_past_is_over_at_the_first_step():
    replayer = Replayer(Dispatcher(past()))
    assert ask(replayer) is None
    assert replayer.over


def test_a_stop_ends_the_replay():
    assert ask(Replayer(Dispatcher(Stop("wall")))) == Stop("wall")


@pytest.mark.parametrize(
    ("calls", "program"),
    [
        ([CircuitCall(4, 11)], PROGRAM),
        ([CircuitCall(4, 10, 2)], PROGRAM),
        ([CircuitCall(4, 10), CircuitCall(4, 10)], PROGRAM),
        ([CircuitCall(4, 10, 1, b"\0" * 8)], PROGRAM),
        (CALLS, OTHER),
    ],
    ids=["shots", "rows", "calls", "parameters", "program"],
)
def test_whatever_is_asked_differently_is_told_with_both_requests(calls, program):
    dispatcher = Dispatcher(past(b"first", b"second"), None)
    replayer = Replayer(dispatcher)
    ask(replayer)
    replayer.canonical.forget([4])
    with pytest.raises(ProtocolError):
        ask(replayer, calls, (4, program))
    asked = canonical(calls, {4: program_hash(program)})
    assert dispatcher.heard[-1] == Diverged(2, REQUEST, asked, 1, [(program_hash(program), program)])


def test_the_number_of_a_program_does_not_matter():
    replayer = Replayer(Dispatcher(past(b"first")))
    assert ask(replayer, [CircuitCall(9, 10)], (9, PROGRAM))[0] == msgspec.Raw(b"first")


def test_a_divergence_counts_steps_and_answers_over_all_pieces():
    refused = Special(1, ErrorData(kind="CircuitRejected", text="not today"))
    dispatcher = Dispatcher(past(b"1", b"", b"2", last=False, special=[refused]), past(b"3", b"4"), None)
    replayer = Replayer(dispatcher)
    for _ in range(4):
        ask(replayer)
    with pytest.raises(ProtocolError):
        ask(replayer, [CircuitCall(4, 11)])
    diverged = dispatcher.heard[-1]
    assert (diverged.number, diverged.position) == (4, 4)


def test_an_algorithm_that_ends_before_its_past_has_diverged():
    dispatcher = Dispatcher(past(b"first"), None)
    with pytest.raises(ProtocolError):
        Replayer(dispatcher).finish()
    assert dispatcher.heard[-1] == Diverged(1, REQUEST, b"")


def test_an_algorithm_that_ends_with_its_past_has_not():
    dispatcher = Dispatcher(past())
    Replayer(dispatcher).finish()
    assert dispatcher.heard == [More()]


def test_any_other_answer_breaks_the_protocol():
    with pytest.raises(ProtocolError, match="answered by Refused"):
        ask(Replayer(Dispatcher(Refused(1, None))))  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [b"", b"\0" * 8, b"\1" * 2400, b"\2" * 80_000])
@pytest.mark.parametrize(("shots", "raw"), [(0, False), (10, True), (70_000, False)])
def test_the_request_for_one_circuit_is_that_for_a_list_of_one(values, shots, raw):
    one = Canonical().one((4, PROGRAM), shots, values, raw)
    assert one == Canonical().many([CircuitCall(4, shots, 1, values, raw)], [(4, PROGRAM)])
    again = Canonical()
    again.one((4, PROGRAM), shots, b"\3" * len(values), raw)
    assert one == again.one((4, PROGRAM), shots, values, raw)


def test_garbage_is_collected_seldom_until_the_algorithm_asks_for_real():
    usual = gc.get_threshold()
    replayer = Replayer(Dispatcher())
    assert gc.get_threshold()[0] > usual[0]
    replayer.leave()
    assert gc.get_threshold() == usual


def test_an_algorithm_may_have_its_own_way_of_collecting():
    replayer = Replayer(Dispatcher())
    gc.set_threshold(5, 5, 5)
    replayer.leave()
    assert gc.get_threshold() == (5, 5, 5)
