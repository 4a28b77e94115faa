"""A server that is a list: what a flow asks is answered with what the test says, and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hybrid_runtime.client.exchange import Answer, Flow, Lost, Pause, Request


class Script:
    """Drives flows without a connection or a clock.

    Attributes:
        asked: The requests, in order.
        slept: The pauses, in order.
    """

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.slept: list[float] = []

    def run(self, flow: Flow[Any], *answers: Answer | Lost) -> Any:
        """What the flow returns when it gets these answers; it must want neither more nor fewer."""
        waiting = list(answers)
        came: Answer | Lost | None = None
        while True:
            try:
                wanted = flow.send(came)
            except StopIteration as end:
                assert waiting == []
                return end.value
            if isinstance(wanted, Pause):
                self.slept.append(wanted.seconds)
                came = None
            else:
                self.asked.append(wanted)
                came = waiting.pop(0)

    @property
    def lines(self) -> list[str]:
        """The requests as their first lines."""
        return [f"{request.method} {request.path}" for request in self.asked]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def answer() -> Callable[..., Answer]:
    """Makes an answer with a JSON body."""

    def make(value: Any = None, status: int = 200, **headers: str) -> Answer:
        kind = "application/json" if status < 300 else "application/problem+json"
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return Answer(status=status, headers={"content-type": kind} | named, content=msgspec.json.encode(value))

    return make
