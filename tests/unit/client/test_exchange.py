from __future__ import annotations

import pytest

from hybrid_runtime.client.exchange import Answer, Lost, Request, ask, decoded, retry_after
from hybrid_runtime.errors import Conflict, QuotaExceeded, ServerError, Unavailable

GET = Request(method="GET", path="/v1/jobs")
POST = Request(method="POST", path="/v1/jobs/x/cancel", repeatable=False)
REFUSED = Lost(why="cannot connect", sent=False)
BROKEN = Lost(why="the connection broke", sent=True)


def test_an_answer_is_decoded(script, answer):
    assert script.run(ask(GET, dict[str, int]), answer({"jobs": 3})) == {"jobs": 3}


def test_a_server_that_comes_back_is_asked_again(script, answer):
    told = script.run(ask(GET, list[int]), REFUSED, BROKEN, answer({"kind": "Unavailable"}, 503), answer([1]))
    assert told == [1]
    assert len(script.slept) == 3


def test_pauses_grow_and_differ_from_client_to_client(script):
    with pytest.raises(Unavailable):
        script.run(ask(GET, list[int]), *[REFUSED] * 6)
    assert all(later > earlier / 2 for earlier, later in zip(script.slept, script.slept[1:], strict=False))
    assert script.slept[-1] > script.slept[0]


def test_a_server_that_stays_away_is_an_error_that_says_why(script):
    with pytest.raises(Unavailable, match="cannot connect"):
        script.run(ask(GET, list[int]), *[REFUSED] * 6)


def test_a_request_that_may_have_been_heard_is_not_repeated_when_that_could_do_it_twice(script):
    with pytest.raises(Unavailable, match="the connection broke"):
        script.run(ask(POST, dict), BROKEN)
    assert len(script.asked) == 1


def test_a_request_that_was_never_sent_is_repeated_whatever_it_does(script, answer):
    assert script.run(ask(POST, dict), REFUSED, answer({})) == {}


def test_a_gateway_that_lost_the_server_may_have_passed_the_request_on(script, answer):
    with pytest.raises(Unavailable):
        script.run(ask(POST, dict), answer({}, 502))


def test_the_time_that_a_server_asks_for_is_waited(script, answer):
    script.run(ask(GET, list[int]), answer({"detail": "slower"}, 429, retry_after="4"), answer([]))
    assert script.slept[0] >= 4


def test_a_quota_that_does_not_pass_by_itself_is_told_at_once(script, answer):
    with pytest.raises(QuotaExceeded, match="10000 jobs are queued"):
        script.run(ask(GET, list[int]), answer({"detail": "10000 jobs are queued"}, 429))


def test_a_wait_that_is_too_long_is_left_to_the_user(script, answer):
    with pytest.raises(QuotaExceeded) as caught:
        script.run(ask(GET, list[int]), answer({"detail": "tomorrow"}, 429, retry_after="3600"))
    assert caught.value.retry_after_s == 3600


def test_a_refusal_is_not_asked_again(script, answer):
    with pytest.raises(Conflict):
        script.run(ask(GET, list[int]), answer({"detail": "it has ended", "kind": "Conflict"}, 409))
    assert len(script.asked) == 1


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"jobs": "three"}', b"[" * 100_000, b"\xff"])
def test_an_answer_of_something_else_is_told_as_such(content):
    with pytest.raises(ServerError, match="is not understood"):
        decoded(Answer(status=200, headers={}, content=content), dict[str, int])


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "Wed, 21 Oct 2026 07:28:00 GMT", "1e300"])
def test_a_time_to_wait_that_is_none_is_ignored(text):
    assert retry_after(Answer(status=503, headers={"retry-after": text}, content=b"")) is None
