"""Generators side by side: one list out, everyone's part of the answer back."""

from __future__ import annotations

import pytest

from hybrid_runtime.algorithm import Done
from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.optimizers.lockstep import in_lockstep

A, B, C, D = (Circuit(name) for name in "ABCD")


def asks(*requests):
    """A run that makes these requests and returns what it was sent."""
    answers = []
    for request in requests:
        answers.append((yield request))
    return answers


def result_of(request):
    return f"result of {request.source}" if isinstance(request, Circuit) else [result_of(item) for item in request]


def play(generator, answer=result_of):
    requests = []
    try:
        request = next(generator)
        while True:
            requests.append(request)
            request = generator.send(answer(request))
    except StopIteration as end:
        return end.value, requests


def test_a_round_is_one_list_and_each_run_gets_its_own_shape_back():
    values, requests = play(in_lockstep([asks(A), asks([B, C]), asks((D,)), asks([])]))
    assert requests == [[A, B, C, D]]
    assert values == [["result of A"], [["result of B", "result of C"]], [["result of D"]], [[]]]


def test_runs_may_end_at_different_times():
    values, requests = play(in_lockstep([asks(A, B), asks(C), asks(), asks(D, [A, B], D)]))
    assert requests == [[A, C, D], [B, A, B], D]
    a, b, c, d = result_of([A, B, C, D])
    assert values == [[a, b], [c], [], [d, [a, b], d]]


def test_the_last_one_left_asks_in_its_own_shape():
    _, requests = play(in_lockstep([asks(A), asks(B, C)]), lambda request: [1, 2] if isinstance(request, list) else 3)
    assert requests == [[A, B], C]


def test_one_run_alone_passes_unchanged():
    request = (A, B)
    values, requests = play(in_lockstep([asks(request)]))
    assert requests[0] is request
    assert values == [[["result of A", "result of B"]]]


def test_circuits_may_come_from_a_generator_expression():
    values, requests = play(in_lockstep([asks(circuit for circuit in (A, B)), asks(C)]))
    assert requests == [[A, B, C]]
    assert values[0] == [["result of A", "result of B"]]


def test_what_is_no_circuit_goes_up_by_itself():
    done = Done(3)
    values, requests = play(
        in_lockstep([asks(A), asks(B), asks(done)]), lambda request: "told" if request is done else result_of(request)
    )
    assert requests == [done, [A, B]]
    assert values == [["result of A"], ["result of B"], ["told"]]


def test_an_exception_is_raised_in_every_run_that_waits():
    handled = []

    def careful(name):
        try:
            yield A
        except RuntimeError:
            handled.append(name)
        return name

    generator = in_lockstep([careful("one"), careful("two")])
    next(generator)
    with pytest.raises(StopIteration) as end:
        generator.throw(RuntimeError("refused"))
    assert end.value.value == ["one", "two"]
    assert handled == ["one", "two"]


def test_an_exception_that_a_run_does_not_handle_ends_all():
    closed = []

    def run(name):
        try:
            yield A
        finally:
            closed.append(name)

    generator = in_lockstep([run("one"), run("two")])
    next(generator)
    with pytest.raises(RuntimeError, match="refused"):
        generator.throw(RuntimeError("refused"))
    assert closed == ["one", "two"]


def test_closing_closes_every_run():
    closed = []

    def run(name):
        try:
            yield A
        finally:
            closed.append(name)

    generator = in_lockstep([run("one"), run("two")])
    next(generator)
    generator.close()
    assert closed == ["one", "two"]


def test_an_answer_of_another_length_is_refused():
    with pytest.raises(InvalidInput, match="2 circuits were asked for"):
        play(in_lockstep([asks(A), asks(B)]), lambda request: ["only one"])
