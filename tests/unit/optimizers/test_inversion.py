"""A blocking function as a generator: what crosses, and how it ends."""

from __future__ import annotations

import signal
import threading
from contextvars import ContextVar

import pytest

from hybrid_runtime.errors import UserCodeError
from hybrid_runtime.optimizers.inversion import called_by_consumer, invert
from hybrid_runtime.optimizers.objective import Unwind


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def finished(generator, answer):
    with pytest.raises(StopIteration) as end:
        generator.send(answer)
    return end.value.value


def test_questions_come_out_and_answers_go_in():
    def run(ask):
        return [ask("first"), ask("second")]

    generator = invert(run)
    assert next(generator) == "first"
    assert generator.send(1) == "second"
    assert finished(generator, 2) == [1, 2]


def test_nothing_runs_before_the_first_question_is_wanted():
    started = []
    generator = invert(lambda ask: started.append(ask))
    generator.close()
    assert started == []


def test_the_function_sees_the_context_of_its_caller():
    shots = ContextVar("shots", default=0)
    token = shots.set(512)
    generator = invert(lambda ask: ask(shots.get()))
    assert next(generator) == 512
    shots.reset(token)
    assert finished(generator, None) is None


def test_an_exception_of_the_function_comes_out_with_its_traceback():
    def fails():
        raise LookupError("inside")

    def run(ask):
        ask("question")
        fails()

    generator = invert(run)
    next(generator)
    with pytest.raises(LookupError, match="inside") as caught:
        generator.send(None)
    assert [entry.name for entry in caught.traceback][-2:] == ["run", "fails"]


def test_closing_leaves_the_function_by_way_of_its_finally_blocks():
    left = []

    def run(ask):
        try:
            ask("question")
        finally:
            left.append("finally")

    generator = invert(run)
    next(generator)
    generator.close()
    assert left == ["finally"]


def test_a_function_that_swallows_the_end_is_told_again():
    refused = []

    def run(ask):
        for number in range(3):
            try:
                ask(number)
            except Unwind:
                refused.append(number)

    generator = invert(run)
    next(generator)
    generator.close()
    assert refused == [0, 1, 2]


def test_an_exception_thrown_in_comes_out_again():
    generator = invert(lambda ask: ask("question"))
    next(generator)
    with pytest.raises(KeyError, match="mine"):
        generator.throw(KeyError("mine"))


def test_an_interrupt_while_the_function_computes_ends_it():
    main = threading.main_thread()
    assert main.ident is not None
    ident = main.ident

    def run(ask):
        ask("question")
        # The consumer waits for the next question now; the signal reaches it there.
        signal.pthread_kill(ident, signal.SIGINT)
        ask("never answered")

    generator = invert(run)
    next(generator)
    with pytest.raises(KeyboardInterrupt):
        generator.send(None)


def test_a_function_may_be_called_by_the_consumer():
    threads = []

    def where(x, *, y):
        threads.append(threading.current_thread())
        if y < 0:
            raise StopIteration
        return x + y

    def run(ask):
        stand_in = called_by_consumer(where, ask)
        total = stand_in(1, y=2)
        with pytest.raises(StopIteration):
            stand_in(1, y=-1)
        return total + ask("question")

    generator = invert(run)
    assert next(generator) == "question"
    assert finished(generator, 10) == 13
    assert threads == [threading.current_thread()] * 2


def test_a_thread_that_cannot_start_is_explained(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(UserCodeError, match="close optimizers that are not needed"):
        next(invert(lambda ask: None))
