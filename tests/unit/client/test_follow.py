from __future__ import annotations

import pytest

from hybrid_runtime.client.exchange import Answer, Lost
from hybrid_runtime.client.follow import PATIENCE_S, Follow, is_stream
from hybrid_runtime.errors import NotFound, ServerError, Unavailable

GONE = Lost(why="the connection broke", sent=True)
ONE = b'id: 1\nevent: state\ndata: {"state": "running", "reason": ""}\n\n'
TWO = b'id: 2\nevent: progress\ndata: {"steps": 4, "shots": 40}\n\n'
END = b'id: 3\nevent: ended\ndata: {"state": "completed"}\n\n'


def test_events_come_in_their_order_until_the_job_has_ended():
    follow = Follow("j")
    events = list(follow.feed(ONE + TWO + END + TWO))
    assert [(event.id, event.type) for event in events] == [(1, "state"), (2, "progress"), (3, "ended")]
    assert events[1].data == {"steps": 4, "shots": 40}
    assert follow.over


def test_a_new_connection_goes_on_where_the_last_one_broke():
    follow = Follow("j")
    list(follow.feed(ONE + TWO[:-1]))
    assert follow.broken(GONE) > 0
    assert follow.request().headers["last-event-id"] == "1"
    # The half event of the first connection is not mixed with the second one's.
    assert [event.id for event in follow.feed(TWO)] == [2]


def test_what_is_told_again_is_not_passed_on_again():
    follow = Follow("j", after=1)
    assert [event.id for event in follow.feed(ONE + TWO + TWO)] == [2]


def test_patience_ends_when_nothing_new_comes():
    follow = Follow("j")
    waited = 0.0
    while waited < PATIENCE_S:
        waited += follow.broken(GONE)
    with pytest.raises(Unavailable, match="the job goes on without you"):
        follow.broken(GONE)


def test_every_event_renews_patience():
    follow = Follow("j")
    for number in range(1, 500):
        follow.broken(GONE)
        list(follow.feed(b"id: %d\nevent: state\ndata: {}\n\n" % number))
    assert follow.after == 499


def test_a_server_that_is_not_ready_is_asked_again():
    follow = Follow("j")
    assert follow.refused(Answer(status=503, headers={"retry-after": "3"}, content=b"")) >= 3


def test_a_job_of_which_everything_is_known_is_over():
    follow = Follow("j", after=3)
    assert follow.refused(Answer(status=204, headers={}, content=b"")) == 0
    assert follow.over


def test_a_job_that_does_not_exist_is_told():
    with pytest.raises(NotFound):
        Follow("j").refused(Answer(status=404, headers={}, content=b""))


@pytest.mark.parametrize(
    "data",
    [
        b"id: one\ndata: {}\n\n",
        b"data: {}\n\n",
        b"id: 1\ndata: [1]\n\n",
        b"id: 1\ndata: {\n\n",
        b"id: 1\ndata: " + b"[" * 100_000 + b"\n\n",
        b'id: 1\ndata: {"at": "noon"}\n\n',
    ],
)
def test_events_that_are_none_of_a_job_are_refused(data):
    with pytest.raises(ServerError, match="is not understood"):
        list(Follow("j").feed(data))


def test_only_a_stream_is_taken_for_one():
    assert is_stream(Answer(status=200, headers={"content-type": "text/event-stream; charset=utf-8"}, content=b""))
    assert not is_stream(Answer(status=200, headers={"content-type": "text/html"}, content=b""))
    assert not is_stream(Answer(status=204, headers={"content-type": "text/event-stream"}, content=b""))
