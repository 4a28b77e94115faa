"""The books of a remote quantum runtime: what it runs, once, and what it remembers."""

from __future__ import annotations

import math

import msgspec
import pytest

from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.protocol.messages import CircuitCall, Execute, FromQuantum, decode, decoder
from hybrid_runtime.quantum import sessions as module
from hybrid_runtime.quantum.sessions import KEEP_S, MAX_ANSWERS, MAX_SESSIONS, MAX_WAITING, Sessions, refusal

BODY = msgspec.Raw(b"\x90" * 10)


class Client:
    """Stands for a channel to a client: sessions only tell one from the other."""


@pytest.fixture
def sessions():
    return Sessions()


def execute(number, timeout_s=60.0):
    return Execute(number, [CircuitCall(1, 10)], 7, timeout_s)


def attached(sessions, name="a"):
    client = Client()
    return client, sessions.attach(client, name)[0]


def test_requests_run_one_at_a_time_in_the_order_they_came(sessions):
    _, one = attached(sessions, "one")
    _, two = attached(sessions, "two")
    for session, number in ((one, 1), (two, 1), (one, 2)):
        assert sessions.execute(session, execute(number), 0.0) is None
    order = []
    while (request := sessions.begin()) is not None:
        assert sessions.begin() is None
        order.append((request.session, request.message.request))
        sessions.finish(request, b"answer")
    assert order == [(one, 1), (two, 1), (one, 2)]


def test_a_request_that_is_sent_again_while_it_waits_or_runs_is_not_run_twice(sessions):
    _, session = attached(sessions)
    sessions.execute(session, execute(1), 0.0)
    assert sessions.execute(session, execute(1), 0.0) is None
    assert sessions.waiting == 1
    running = sessions.begin()
    assert sessions.execute(session, execute(1), 0.0) is None
    assert (sessions.waiting, sessions.running) == (0, running)


def test_a_request_that_was_answered_is_given_the_same_answer_again(sessions):
    _, session = attached(sessions)
    sessions.execute(session, execute(1), 0.0)
    sessions.finish(sessions.begin(), b"answer")
    assert sessions.execute(session, execute(1), 0.0) == b"answer"
    assert sessions.begin() is None


def test_the_same_number_of_another_session_is_another_request(sessions):
    _, one = attached(sessions, "one")
    _, two = attached(sessions, "two")
    sessions.execute(one, execute(1), 0.0)
    sessions.finish(sessions.begin(), b"answer")
    assert sessions.execute(two, execute(1), 0.0) is None


def test_an_answer_goes_to_the_channel_that_carries_the_session_now(sessions):
    first, session = attached(sessions)
    sessions.execute(session, execute(1), 0.0)
    running = sessions.begin()
    sessions.lose(first, 1.0)
    second = Client()
    assert sessions.attach(second, "a")[0] is session
    sessions.execute(session, execute(1), 2.0)
    assert sessions.finish(running, b"answer") is second


def test_an_answer_for_a_client_that_is_away_is_kept(sessions):
    client, session = attached(sessions)
    sessions.execute(session, execute(1), 0.0)
    running = sessions.begin()
    sessions.lose(client, 1.0)
    assert sessions.finish(running, b"answer") is None
    assert sessions.execute(session, execute(1), 2.0) == b"answer"


def test_attaching_again_forgets_programs_and_what_has_not_begun(sessions):
    client, session = attached(sessions)
    session.define(1, BODY)
    for number in (1, 2):
        sessions.execute(session, execute(number), 0.0)
    running = sessions.begin()
    again, before, dropped = sessions.attach(Client(), "a")
    assert (again, before, [program.body for program in dropped]) == (session, client, [BODY])
    assert (sessions.running, sessions.waiting, session.programs) == (running, 0, {})


def test_a_channel_carries_one_session(sessions):
    client, _ = attached(sessions)
    with pytest.raises(ProtocolError, match="carries a session already"):
        sessions.attach(client, "b")


def test_a_channel_that_was_replaced_carries_nothing_any_more(sessions):
    client, _ = attached(sessions)
    sessions.attach(Client(), "a")
    assert sessions.of(client) is None
    assert sessions.lose(client, 0.0) is None
    assert sessions.attached == 1


def test_requests_whose_time_is_up_are_not_begun(sessions):
    _, session = attached(sessions)
    sessions.execute(session, execute(1, timeout_s=5.0), 0.0)
    sessions.execute(session, execute(2, timeout_s=50.0), 0.0)
    assert sessions.overdue(4.9) == []
    assert sessions.patience(3.0) == 2.0
    (late,) = sessions.overdue(5.0)
    answer = decode(decoder(FromQuantum), refusal(late))
    assert (answer.request, answer.error.kind, answer.transient) == (1, "BackendTimeout", True)
    assert sessions.begin().message.request == 2


def test_a_request_that_is_withdrawn_before_it_begins_is_refused(sessions):
    _, session = attached(sessions)
    sessions.execute(session, execute(1), 0.0)
    sessions.withdraw(session, 1)
    (unwanted,) = sessions.overdue(0.0)
    answer = decode(decoder(FromQuantum), refusal(unwanted))
    assert (answer.error.kind, answer.transient) == ("BackendFailed", False)
    assert "withdrawn" in answer.error.text


def test_only_the_session_itself_withdraws_its_requests(sessions):
    _, one = attached(sessions, "one")
    _, two = attached(sessions, "two")
    sessions.execute(one, execute(1), 0.0)
    running = sessions.begin()
    sessions.withdraw(two, 1)
    assert not running.unwanted
    sessions.withdraw(one, 1)
    assert running.unwanted


def test_a_client_that_does_not_come_back_is_given_up(sessions):
    client, session = attached(sessions)
    session.define(1, BODY)
    for number in (1, 2):
        sessions.execute(session, execute(number), 0.0)
    running = sessions.begin()
    sessions.lose(client, 100.0)
    assert sessions.expire(100.0 + KEEP_S - 1) == []
    assert sessions.expire(100.0 + KEEP_S) == [session]
    assert running.unwanted
    assert sessions.waiting == 0
    assert sessions.attach(Client(), "a")[0] is not session


def test_a_session_keeps_its_newest_answers(sessions):
    _, session = attached(sessions)
    for number in range(MAX_ANSWERS + 3):
        session.keep_answer(number, b"%d" % number)
    assert [session.answer(number) is not None for number in range(MAX_ANSWERS + 3)] == [False] * 3 + [
        True
    ] * MAX_ANSWERS


def test_answers_are_kept_within_a_size_but_the_newest_always(sessions, monkeypatch):
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 10)
    _, session = attached(sessions)
    session.keep_answer(1, b"x" * 6)
    session.keep_answer(2, b"x" * 6)
    assert (session.answer(1), session.answer(2)) == (None, b"x" * 6)
    session.keep_answer(3, b"x" * 100)
    assert session.answer(3) == b"x" * 100


def test_programs_beyond_what_a_session_may_hold_are_left_out(sessions, monkeypatch):
    monkeypatch.setattr(module, "MAX_PROGRAM_BYTES", 25)
    _, session = attached(sessions)
    for number in (1, 2, 3):
        session.define(number, BODY)
    assert sorted(session.programs) == [1, 2]
    assert len(list(session.forget([1, 7]))) == 1
    session.define(3, BODY)
    assert sorted(session.programs) == [2, 3]


def test_a_request_keeps_the_programs_that_it_was_sent_with(sessions):
    _, session = attached(sessions)
    session.define(1, BODY)
    sessions.execute(session, execute(1), 0.0)
    (program,) = session.forget([1])
    request = sessions.begin()
    assert request.programs == {1: program}
    assert program.dropped
    session.define(1, msgspec.Raw(b"\x91\x01"))
    assert request.programs[1].body == BODY


def test_more_programs_than_a_session_may_hold_are_left_out(sessions, monkeypatch):
    monkeypatch.setattr(module, "MAX_PROGRAMS", 2)
    _, session = attached(sessions)
    for number in (1, 2, 3):
        session.define(number, BODY)
    assert sorted(session.programs) == [1, 2]


def test_there_are_so_many_sessions_and_no_more(sessions):
    for number in range(MAX_SESSIONS):
        attached(sessions, f"client {number}")
    with pytest.raises(ProtocolError, match="try again later"):
        attached(sessions, "one more")


def test_a_session_has_so_many_requests_waiting_and_no_more(sessions):
    _, session = attached(sessions)
    for number in range(MAX_WAITING + 1):
        sessions.execute(session, execute(number), 0.0)
    with pytest.raises(ProtocolError, match="wait for their answers"):
        sessions.execute(session, execute(99), 0.0)


def test_a_request_without_an_end_waits_for_ever(sessions):
    _, session = attached(sessions)
    sessions.execute(session, execute(1, timeout_s=math.inf), 0.0)
    assert sessions.overdue(1e12) == []
