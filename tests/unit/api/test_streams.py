"""A stream ends when there is no more, when the client leaves, and when the client takes nothing for too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from hybrid_runtime.api.streams import EventStream

PATIENCE_S = 30.0


class Pieces:
    """Pieces of a stream, and whether they were closed."""

    def __init__(self, *pieces: bytes, endless: bool = False) -> None:
        self._pieces = pieces
        self._endless = endless
        self.closed = False

    async def __call__(self):
        try:
            for piece in self._pieces:
                yield piece
            if self._endless:
                await asyncio.Event().wait()
        finally:
            self.closed = True


def serve(
    pieces: Callable[[], AsyncGenerator[bytes, None]],
    *,
    leaves: bool = False,
    takes: bool = True,
    stall_s: float = PATIENCE_S,
) -> list[dict]:
    sent: list[dict] = []

    async def receive():
        if not leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if not takes and message["type"] == "http.response.body":
            await asyncio.Event().wait()
        sent.append(message)

    async def main():
        async with asyncio.timeout(PATIENCE_S):
            await EventStream(pieces(), stall_s)({"type": "http"}, receive, send)

    asyncio.run(main())
    return sent


def test_every_piece_is_sent_and_the_answer_is_finished():
    pieces = Pieces(b"one", b"two")
    sent = serve(pieces)
    assert sent[0]["status"] == 200
    assert (b"content-type", b"text/event-stream; charset=utf-8") in sent[0]["headers"]
    assert [message["body"] for message in sent[1:]] == [b"one", b"two", b""]
    assert not sent[-1]["more_body"]
    assert pieces.closed


def test_the_length_of_a_stream_is_not_told():
    assert not [name for name, _ in serve(Pieces())[0]["headers"] if name == b"content-length"]


def test_a_client_that_leaves_ends_the_stream():
    pieces = Pieces(b"one", endless=True)
    serve(pieces, leaves=True)
    assert pieces.closed


def test_a_client_that_takes_nothing_is_dropped_without_a_proper_end():
    pieces = Pieces(b"one", endless=True)
    sent = serve(pieces, takes=False, stall_s=0.01)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert pieces.closed


def test_what_goes_wrong_in_a_stream_is_raised():
    async def broken():
        yield b"one"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        serve(broken)
