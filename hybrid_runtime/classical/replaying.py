"""Answers an algorithm's steps from what is recorded of them, as long as it asks for the same again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.protocol.messages import (
    MAX_SHOWN_PROGRAMS,
    Diverged,
    More,
    ReceivedReplay,
    ReceivedStep,
    Stop,
    encode,
)
from hybrid_runtime.protocol.replay import canonical, program_hash, same_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.program import Program
    from hybrid_runtime.protocol.messages import Capabilities, CircuitCall


class Replayer:
    """The recorded past of one job, as the worker goes through it.

    Args:
        exchange: Sends a message to the dispatcher and returns its answer.

    Attributes:
        moved_to: The backend that is asked after all recorded steps, where it is another than before.
    """

    def __init__(self, exchange: Callable[[bytes], Any]) -> None:
        self._exchange = exchange
        self._steps: deque[ReceivedStep] = deque()
        self._last = False
        self._hashes: dict[int, bytes] = {}
        self._number = 0
        self._position = 0
        self.moved_to: Capabilities | None = None
        self._tail: list[float | bytes] = []
        self._stop: Stop | None = None

    @property
    def over(self) -> bool:
        """Whether all recorded steps have been used."""
        return self._last and not self._steps

    def answer(self, calls: list[CircuitCall], programs: dict[int, Program]) -> ReceivedStep | Stop | None:
        """What is recorded for the step that asks for this; None when nothing is: it is to be asked for real.

        Does not return when something else is recorded: the dispatcher then ends the job, and this process with it.
        """
        stop = self._fetch()
        if stop is not None:
            return stop
        if not self._steps:
            return None
        hashes = self._hashes
        for key, program in programs.items():
            if key not in hashes:
                hashes[key] = program_hash(program)
        asked = canonical(calls, hashes)
        step = self._steps.popleft()
        if step.request != asked and not same_request(step.request, asked):
            self._diverge(step, asked, programs)
        self._position += 1
        if step.error is None:
            self._number += 1
        return step

    def drawn(self) -> float | bytes | None:
        """What was drawn next before the next recorded step; None where nothing is recorded."""
        self._fetch()
        if not self._steps or not self._steps[0].drawn:
            return None
        return self._steps[0].drawn.pop(0)

    def drawn_last(self) -> float | bytes | None:
        """What was drawn next after the last recorded step; None where that is not recorded, or not reached."""
        return self._tail.pop(0) if self.over and self._tail else None

    def forget(self, keys: list[int]) -> None:
        """These programs will not be called again."""
        for key in keys:
            self._hashes.pop(key, None)

    def finish(self) -> None:
        """The algorithm has ended. Does not return when more steps are recorded."""
        if self._fetch() is None and self._steps:
            self._diverge(self._steps[0], b"", {})

    def _fetch(self) -> Stop | None:
        """Have a step at hand if there is one; what the dispatcher says when it stops the job instead."""
        if self._steps or self._last or self._stop is not None:
            return self._stop
        message = self._exchange(encode(More()))
        if isinstance(message, Stop):
            self._stop = message
            return message
        if not isinstance(message, ReceivedReplay):
            raise ProtocolError(f"a request for recorded steps was answered by {type(message).__name__}")
        self._steps.extend(message.steps)
        self._last = message.last
        self.moved_to, self._tail = message.backend, message.drawn
        return None

    def _diverge(self, step: ReceivedStep, asked: bytes, programs: dict[int, Program]) -> None:
        # Those that are asked for the first time are enough to show what is new.
        shown = [(self._hashes[key], program) for key, program in [*programs.items()][:MAX_SHOWN_PROGRAMS]]
        message = Diverged(self._number + 1, step.request, asked, self._position, shown)
        self._exchange(encode(message))
        raise ProtocolError("the dispatcher answered the last message of a worker")
