from __future__ import annotations

import threading
import time

import pytest

from hybrid_runtime.errors import BackendFailed, BackendTimeout, ProtocolError
from hybrid_runtime.protocol.address import parse_address
from hybrid_runtime.protocol.messages import MAX_MESSAGE_BYTES
from hybrid_runtime.protocol.reqrep import Requester

PATIENCE_S = 30.0


@pytest.fixture
def asking():
    """Ask a server; the requester is closed after the test."""
    requesters = []

    def make(address):
        requesters.append(Requester(parse_address(address)))
        return requesters[-1]

    yield make
    for requester in requesters:
        requester.close()


def soon(seconds=PATIENCE_S):
    return time.monotonic() + seconds


def test_questions_are_answered_one_after_the_other(text_server, asking):
    requester = asking(text_server(str.upper).address)
    assert [requester.ask(text, soon()) for text in ("a", "zwei", "é")] == ["A", "ZWEI", "É"]


def test_a_server_that_does_not_answer_once_can_be_asked_again(text_server, asking):
    server = text_server(lambda text: None if text == "hard" else text)
    requester = asking(server.address)
    with pytest.raises(BackendTimeout, match="did not answer within the time given"):
        requester.ask("hard", soon(0.2))
    assert requester.ask("easy", soon()) == "easy"


def test_an_answer_that_comes_too_late_is_not_taken_for_one_to_the_next_question(text_server, asking):
    released = threading.Event()

    def answer(text):
        if text == "slow":
            assert released.wait(PATIENCE_S)
        return f"answer to {text}"

    requester = asking(text_server(answer).address)
    with pytest.raises(BackendTimeout):
        requester.ask("slow", soon(0.2))
    released.set()
    assert requester.ask("next", soon()) == "answer to next"


def test_a_server_that_dies_with_a_question_is_told_at_once(text_server, asking):
    server = text_server(lambda text: None)
    requester = asking(server.address)

    def die():
        assert server.heard.wait(PATIENCE_S)
        server.stop()

    killer = threading.Thread(target=die)
    killer.start()
    with pytest.raises(BackendFailed, match="went away while it had a request"):
        requester.ask("question", soon())
    killer.join()
    server.handler = str.upper
    server.start()
    assert requester.ask("again", soon()) == "AGAIN"


def test_a_server_that_is_started_later_is_found(text_server, asking):
    server = text_server(str.upper)
    server.stop()
    requester = asking(server.address)
    with pytest.raises(BackendTimeout, match="cannot be reached"):
        requester.ask("anyone?", soon(0.2))
    server.start()
    assert requester.ask("now", soon()) == "NOW"


def test_waiting_can_be_interrupted_from_another_thread(text_server, asking):
    server = text_server(lambda text: None)
    requester = asking(server.address)

    def interrupt():
        assert server.heard.wait(PATIENCE_S)
        requester.interrupt()

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(BackendFailed, match="interrupted"):
        requester.ask("question", soon())
    other.join()


def test_an_interrupt_that_came_too_late_is_forgotten_on_request(text_server, asking):
    requester = asking(text_server(str.upper).address)
    requester.interrupt()
    requester.clear_interrupt()
    requester.clear_interrupt()
    assert requester.ask("a", soon()) == "A"


def test_a_question_that_is_too_large_is_refused(text_server, asking):
    requester = asking(text_server(str.upper).address)
    with pytest.raises(ProtocolError, match="over the limit"):
        requester.ask("x" * (MAX_MESSAGE_BYTES + 1), soon())


def test_the_next_connection_is_known_to_be_a_new_one(text_server, asking):
    requester = asking(text_server(lambda text: None if text == "hard" else text).address)
    assert requester.fresh
    requester.ask("easy", soon())
    assert not requester.fresh
    with pytest.raises(BackendTimeout):
        requester.ask("hard", soon(0.1))
    assert requester.fresh
