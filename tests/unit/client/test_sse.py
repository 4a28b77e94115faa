from __future__ import annotations

import random

import pytest

from hybrid_runtime.client import sse
from hybrid_runtime.client.sse import EventStream
from hybrid_runtime.errors import ServerError

TEXT = (
    '\ufeffid: 1\nevent: state\ndata: {"a": 1}\n\n'
    ": a comment\n\n"
    "id: 2\r\nevent: log\r\ndata: first\r\ndata:second\r\n\r\n"
    "data: no type\r\r"
    "event: nothing\n\n"
    "id: 3\ndata: caf\u00e9\n\n"
).encode()
EVENTS = [
    ("1", "state", '{"a": 1}'),
    ("2", "log", "first\nsecond"),
    ("2", "message", "no type"),
    ("3", "message", "café"),
]


def test_events_are_cut_from_a_stream():
    assert EventStream().feed(TEXT) == EVENTS


def test_it_does_not_matter_where_the_stream_is_cut():
    chance = random.Random(1)
    for _ in range(200):
        stream, found, rest = EventStream(), [], TEXT
        while rest:
            size = chance.choice([1, 1, 2, 3, 7, 50])
            found += stream.feed(rest[:size])
            rest = rest[size:]
        assert found == EVENTS


def test_an_unfinished_event_is_kept_back():
    stream = EventStream()
    assert stream.feed(b"id: 1\ndata: half") == []
    assert stream.feed(b" and half\n") == []
    assert stream.feed(b"\n") == [("1", "message", "half and half")]


def test_an_id_with_a_null_is_ignored():
    stream = EventStream()
    stream.feed(b"id: 1\ndata: x\n\nid: 2\x003\ndata: y\n\n")
    assert stream.last_id == "1"


def test_the_time_to_reconnect_is_heeded_within_reason():
    stream = EventStream()
    stream.feed(b"retry: 2500\nretry: soon\nretry: -1\n")
    assert stream.retry_s == 2.5
    stream.feed(b"retry: 999999999999\n")
    assert stream.retry_s == 60


def test_bytes_that_are_no_text_do_no_harm():
    assert EventStream().feed(b"data: \xff\xfe\n\n") == [("", "message", "\ufffd\ufffd")]


@pytest.mark.parametrize("piece", [b"x" * 1000, b"data: " + b"x" * 1000 + b"\n", b"data:\n" * 500])
def test_an_event_without_end_is_refused_before_memory_is_full(piece, monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 20_000)
    stream = EventStream()

    def flood():
        for _ in range(50):
            stream.feed(piece)

    with pytest.raises(ServerError, match="check the URL"):
        flood()


def test_a_stream_of_comments_is_not_kept():
    stream = EventStream()
    for _ in range(1000):
        assert stream.feed(b": " + b"x" * 20_000 + b"\n") == []
    assert len(stream._rest) == 0


def test_long_lines_are_looked_through_once():
    stream = EventStream()
    looked = 0
    for _ in range(100):
        stream.feed(b"x" * 1000)
        looked += len(stream._rest) - stream._searched
    assert looked <= 100
