"""What a relay has to send again after its link broke: programs, and requests without an answer. No input or output."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from hybrid_runtime.errors import BackendFailed, BackendTimeout, HybridRuntimeError, as_data
from hybrid_runtime.protocol.messages import Failure, Forget, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hybrid_runtime.protocol.messages import Execute

# Time beyond a request's own, so that the remote quantum runtime's word that it ran out of time can arrive, and
# before the dispatcher's own patience ends.
_GRACE_S = 8.0


class _Unanswered:
    __slots__ = ("arrived", "deadline", "encoded", "timeout_s")

    def __init__(self, message: Execute, encoded: bytes, now: float) -> None:
        self.encoded = encoded
        self.arrived = now
        self.timeout_s = message.timeout_s
        self.deadline = now + message.timeout_s + _GRACE_S


class Down(NamedTuple):
    """That there is no link.

    Attributes:
        since: Since when.
        trouble: Why.
        hopeless: Whether waiting cannot help.
    """

    since: float
    trouble: str
    hopeless: bool


class Relayed:
    """Keeps messages as they came, and forgets them when they no longer matter.

    Args:
        reconnect_s: How long a request waits for a link that is down.
    """

    def __init__(self, reconnect_s: float) -> None:
        self._reconnect_s = reconnect_s
        self._programs: dict[int, bytes] = {}
        self._requests: dict[int, _Unanswered] = {}
        # Forgotten by the dispatcher after it had sent requests that may use them.
        self._doomed: set[int] = set()

    def define(self, number: int, encoded: bytes) -> None:
        """Keep a program."""
        self._programs[number] = encoded

    def forget(self, numbers: Iterable[int]) -> None:
        """Drop programs, when the requests before are answered."""
        self._doomed.update(numbers)
        self._drop_doomed()

    def _drop_doomed(self) -> None:
        if not self._requests:
            for number in self._doomed:
                self._programs.pop(number, None)
            self._doomed.clear()

    def execute(self, message: Execute, encoded: bytes, now: float) -> None:
        """Keep a request until it is answered."""
        self._requests[message.request] = _Unanswered(message, encoded, now)

    def answered(self, number: int) -> bool:
        """Whether this is the first answer to a request; it is forgotten."""
        found = self._requests.pop(number, None) is not None
        if found and self._doomed:
            self._drop_doomed()
        return found

    def failed(self, number: int, text: str) -> Failure | None:
        """Give up a request; None when it has its answer."""
        if not self.answered(number):
            return None
        return Failure(number, as_data(BackendFailed(text)), transient=True)

    def again(self) -> Iterator[bytes]:
        """Everything that a new link needs, in order."""
        yield from list(self._programs.values())
        yield from [request.encoded for request in self._requests.values()]
        if self._doomed:
            yield encode(Forget(sorted(self._doomed)))

    def unanswered(self) -> list[int]:
        """The requests without an answer."""
        return list(self._requests)

    def overdue(self, now: float, down: Down | None) -> list[tuple[int, Failure]]:
        """Give up the requests whose time is up. `down` is None while there is a link."""
        found: list[tuple[int, Failure]] = []
        for number, request in list(self._requests.items()):
            error: HybridRuntimeError
            if now >= request.deadline:
                error = BackendTimeout(f"the backend did not answer within {request.timeout_s:g} s")
            elif down is not None and now >= self._link_deadline(request, down):
                waited = "is down" if down.hopeless else f"was down for {self._reconnect_s:g} s"
                error = BackendFailed(f"the link to the backend {waited}: {down.trouble}")
            else:
                continue
            self.answered(number)
            found.append((number, Failure(number, as_data(error), transient=True)))
        return found

    def _link_deadline(self, request: _Unanswered, down: Down | None) -> float:
        if down is None:
            return math.inf
        return -math.inf if down.hopeless else max(down.since, request.arrived) + self._reconnect_s

    def patience(self, now: float, down: Down | None) -> float:
        """Seconds until the next request is overdue."""
        deadlines = [min(request.deadline, self._link_deadline(request, down)) for request in self._requests.values()]
        return max(min(deadlines, default=math.inf) - now, 0.0)
