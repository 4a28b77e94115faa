"""Answers an algorithm's steps from what is recorded of them, as long as it asks for the same again."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, TypeAlias

from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.protocol.messages import (
    MAX_SHOWN_PROGRAMS,
    Diverged,
    More,
    Replay,
    Special,
    Stop,
    encode,
)
from hybrid_runtime.protocol.replay import Canonical, same_request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import msgspec

    from hybrid_runtime.program import Program
    from hybrid_runtime.protocol.messages import Capabilities


# So many steps come to pass in so short a time that the collector of garbage, which looks at what they leave in the
# algorithm's history, would take a fifth of it.
_COLLECT_AFTER = 20_000
# One recorded step: what answered it, the shots and seconds that it took, and what is more about it.
Recorded: TypeAlias = "tuple[msgspec.Raw, tuple[int, float], Special | None]"


class Replayer:
    """The recorded past of one job, as the worker goes through it.

    Args:
        exchange: Sends a message to the dispatcher and returns its answer.

    Attributes:
        canonical: How requests are put into the form that is recorded.
        moved_to: The backend that is asked after all recorded steps, where it is another than before.
    """

    def __init__(self, exchange: Callable[[bytes], Any]) -> None:
        self._exchange = exchange
        self.canonical = Canonical()
        # What was fetched last, and how much of it has been used.
        self._requests: list[bytes] = []
        self._items: list[msgspec.Raw] = []
        self._spent: list[tuple[int, float]] = []
        self._used = 0
        self._special: dict[int, Special] = {}
        self._last = False
        # Answers before those, and refusals among all that were used.
        self._before = 0
        self._refused = 0
        self.moved_to: Capabilities | None = None
        self._tail: list[float | bytes] = []
        self._stop: Stop | None = None
        self._collected_after = gc.get_threshold()
        gc.set_threshold(_COLLECT_AFTER, *self._collected_after[1:])

    @property
    def over(self) -> bool:
        """Whether all recorded steps have been used."""
        return self._last and self._used == len(self._requests)

    def answer(self, asked: bytes, programs: Collection[tuple[int, Program]]) -> Recorded | Stop | None:
        """What is recorded for the step that asks for this; None when nothing is: it is to be asked for real.

        Does not return when something else is recorded: the dispatcher then ends the job, and this process with it.

        Args:
            asked: The request, as `canonical` makes it.
            programs: Those that it calls, to be shown.
        """
        number = self._used
        if number == len(self._requests):
            stop = self._fetch()
            if stop is not None:
                return stop
            number = self._used
            if number == len(self._requests):
                return None
        request = self._requests[number]
        if request != asked and not same_request(request, asked):
            self._diverge(asked, programs)
        self._used = number + 1
        if not self._special:
            return self._items[number], self._spent[number], None
        special = self._special.pop(number, None)
        if special is not None and special.error is not None:
            self._refused += 1
        return self._items[number], self._spent[number], special

    def leave(self) -> None:
        """The algorithm asks for real from here on."""
        if gc.get_threshold()[0] == _COLLECT_AFTER:  # as it is unless the algorithm has changed it
            gc.set_threshold(*self._collected_after)

    def drawn(self) -> float | bytes | None:
        """What was drawn next before the next recorded step; None where nothing is recorded."""
        self._fetch()
        special = self._special.get(self._used)
        return special.drawn.pop(0) if special is not None and special.drawn else None

    def drawn_last(self) -> float | bytes | None:
        """What was drawn next after the last recorded step; None where that is not recorded, or not reached."""
        return self._tail.pop(0) if self.over and self._tail else None

    def finish(self) -> None:
        """The algorithm has ended. Does not return when more steps are recorded."""
        if self._fetch() is None and self._used < len(self._requests):
            self._diverge(b"", ())

    def _fetch(self) -> Stop | None:
        """Have a step at hand if there is one; what the dispatcher says when it stops the job instead."""
        while self._used == len(self._requests) and not self._last and self._stop is None:
            message = self._exchange(encode(More()))
            if isinstance(message, Stop):
                self._stop = message
            elif isinstance(message, Replay):
                self._take(message)
            else:
                raise ProtocolError(f"a request for recorded steps was answered by {type(message).__name__}")
        return self._stop

    def _take(self, replay: Replay) -> None:
        self._before += self._used
        self._requests, self._items, self._spent = replay.requests, replay.items, replay.used
        self._used = 0
        self._special = {special.index: special for special in replay.special}
        self._last = replay.last
        self.moved_to, self._tail = replay.backend, replay.drawn

    def _diverge(self, asked: bytes, programs: Collection[tuple[int, Program]]) -> None:
        position = self._before + self._used
        # Those that are asked for the first time are enough to show what is new.
        shown = [(self.canonical.hash_of(key), body) for key, body in [*programs][:MAX_SHOWN_PROGRAMS]]
        self._exchange(
            encode(Diverged(position - self._refused + 1, self._requests[self._used], asked, position, shown))
        )
        raise ProtocolError("the dispatcher answered the last message of a worker")
