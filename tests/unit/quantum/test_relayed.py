"""What a relay keeps, sends again and gives up."""

from __future__ import annotations

import math

import pytest

from hybrid_runtime.protocol.messages import Execute, Forget, encode
from hybrid_runtime.quantum.relayed import Down, Relayed

RECONNECT_S = 60.0
GRACE_S = 8.0
DOWN = Down(100.0, "tcp://there: nothing listens", False)


@pytest.fixture
def relayed():
    return Relayed(RECONNECT_S)


def ask(relayed, number, *, timeout_s=1000.0, now=0.0):
    relayed.execute(Execute(number, [], 0, timeout_s), b"request %d" % number, now)


def test_a_new_link_needs_the_programs_and_then_the_unanswered_requests(relayed):
    ask(relayed, 1)
    relayed.define(5, b"program 5")
    relayed.define(6, b"program 6")
    ask(relayed, 2)
    assert list(relayed.again()) == [b"program 5", b"program 6", b"request 1", b"request 2"]
    assert relayed.answered(1)
    assert relayed.answered(2)
    relayed.forget([5, 77])
    assert list(relayed.again()) == [b"program 6"]


def test_a_program_that_is_forgotten_is_kept_for_the_requests_before(relayed):
    relayed.define(5, b"program 5")
    ask(relayed, 1)
    relayed.forget([5])
    assert list(relayed.again()) == [b"program 5", b"request 1", encode(Forget([5]))]
    assert relayed.answered(1)
    assert list(relayed.again()) == []


def test_only_the_first_answer_counts(relayed):
    ask(relayed, 1)
    assert relayed.answered(1)
    assert not relayed.answered(1)
    assert not relayed.answered(2)


def test_a_request_is_given_up_when_its_time_and_some_more_is_over(relayed):
    ask(relayed, 1, timeout_s=5.0, now=100.0)
    assert relayed.patience(100.0, None) == 5.0 + GRACE_S
    assert relayed.overdue(104.0 + GRACE_S, None) == []
    ((number, failure),) = relayed.overdue(105.0 + GRACE_S, None)
    assert (number, failure.request, failure.error.kind) == (1, 1, "BackendTimeout")
    assert relayed.unanswered() == []


def test_a_request_waits_so_long_for_a_link_that_is_down(relayed):
    ask(relayed, 1, now=90.0)
    assert relayed.overdue(159.0, DOWN) == []
    assert relayed.patience(159.0, DOWN) == 1.0
    ((_, failure),) = relayed.overdue(160.0, DOWN)
    assert failure.error.kind == "BackendFailed"
    assert "down for 60 s: tcp://there: nothing listens" in failure.error.text
    assert failure.transient


def test_a_request_that_comes_while_the_link_is_down_has_as_long_as_any_other(relayed):
    ask(relayed, 1, now=500.0)
    assert relayed.patience(500.0, DOWN) == RECONNECT_S


def test_a_link_that_cannot_come_back_is_not_waited_for(relayed):
    ask(relayed, 1, now=100.0)
    ((_, failure),) = relayed.overdue(100.0, DOWN._replace(hopeless=True))
    assert "is down: tcp://there" in failure.error.text


def test_without_requests_there_is_nothing_to_wait_for(relayed):
    assert relayed.patience(0.0, DOWN) == math.inf


def test_giving_up_a_request_answers_it_once(relayed):
    ask(relayed, 1)
    assert relayed.failed(1, "withdrawn").error.text == "withdrawn"
    assert relayed.failed(1, "withdrawn") is None
