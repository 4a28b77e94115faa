"""A worker's way through its recorded steps, with the dispatcher's answers given by the test."""

from __future__ import annotations

from typing import Any

import pytest

from hybrid_runtime.classical.replaying import Replayer
from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.messages import (
    CircuitCall,
    Diverged,
    FromWorker,
    More,
    ReceivedReplay,
    ReceivedStep,
    Refused,
    Stop,
    decode,
    decoder,
)
from hybrid_runtime.protocol.replay import canonical, program_hash

PROGRAM = Program(1, 1, 0, (Operation("measure", (0,), bit=0),))
OTHER = Program(2, 1, 0, (Operation("measure", (0,), bit=0),))
CALLS = [CircuitCall(4, 10)]
REQUEST = canonical(CALLS, {4: program_hash(PROGRAM)})


class Dispatcher:
    """Gives these answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.heard: list[Any] = []

    def __call__(self, data: bytes) -> Any:
        self.heard.append(decode(decoder(FromWorker), data))
        return self.answers.pop(0)


def recorded(request: bytes = REQUEST) -> ReceivedStep:
    return ReceivedStep(request, [])


def test_recorded_steps_are_given_in_order_and_fetched_as_they_are_needed():
    first, second = ReceivedStep(REQUEST, []), ReceivedStep(REQUEST, [])
    dispatcher = Dispatcher(ReceivedReplay([first], False), ReceivedReplay([second], True))
    replayer = Replayer(dispatcher)
    assert replayer.answer(CALLS, {4: PROGRAM}) is first
    assert dispatcher.heard == [More()]
    assert not replayer.over
    assert replayer.answer(CALLS, {4: PROGRAM}) is second
    assert replayer.over


def test_an_empty_past_is_over_at_the_first_step():
    replayer = Replayer(Dispatcher(ReceivedReplay([], True)))
    assert replayer.answer(CALLS, {4: PROGRAM}) is None
    assert replayer.over


def test_a_stop_ends_the_replay():
    assert Replayer(Dispatcher(Stop("wall"))).answer(CALLS, {4: PROGRAM}) == Stop("wall")


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
    dispatcher = Dispatcher(ReceivedReplay([recorded(), recorded()], True), None)
    replayer = Replayer(dispatcher)
    replayer.answer(CALLS, {4: PROGRAM})
    replayer.forget([4])
    with pytest.raises(ProtocolError):
        replayer.answer(calls, {4: program})
    asked = canonical(calls, {4: program_hash(program)})
    assert dispatcher.heard[-1] == Diverged(2, REQUEST, asked, 1, [(program_hash(program), program)])


def test_the_number_of_a_program_does_not_matter():
    replayer = Replayer(Dispatcher(ReceivedReplay([recorded()], True)))
    assert replayer.answer([CircuitCall(9, 10)], {9: PROGRAM}) == recorded()


def test_an_algorithm_that_ends_before_its_past_has_diverged():
    dispatcher = Dispatcher(ReceivedReplay([recorded()], True), None)
    with pytest.raises(ProtocolError):
        Replayer(dispatcher).finish()
    assert dispatcher.heard[-1] == Diverged(1, REQUEST, b"")


def test_an_algorithm_that_ends_with_its_past_has_not():
    dispatcher = Dispatcher(ReceivedReplay([], True))
    Replayer(dispatcher).finish()
    assert dispatcher.heard == [More()]


def test_any_other_answer_breaks_the_protocol():
    with pytest.raises(ProtocolError, match="answered by Refused"):
        Replayer(Dispatcher(Refused(1, None))).answer(CALLS, {4: PROGRAM})  # type: ignore[arg-type]
