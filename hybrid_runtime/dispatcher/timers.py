"""When the loop has to wake up by itself, and for which job."""

from __future__ import annotations

import heapq

NEVER = float("inf")


class Timers:
    """Points in time, each with a name. One that is no longer wanted is left to pass.

    Names and not objects are kept, so that an ended job is not held in memory until its last timer has passed.

    Attributes:
        next: When the first of them is; infinite while there is none.
    """

    def __init__(self) -> None:
        self.next = NEVER
        self._heap: list[tuple[float, str]] = []

    def add(self, at: float, name: str) -> None:
        """Wake up at this time; never, where it is infinite."""
        if at != NEVER:
            heapq.heappush(self._heap, (at, name))
            self.next = self._heap[0][0]

    def due(self, now: float) -> list[str]:
        """The names of those that have passed; they are dropped."""
        passed = []
        while self._heap and self._heap[0][0] <= now:
            passed.append(heapq.heappop(self._heap)[1])
        self.next = self._heap[0][0] if self._heap else NEVER
        return passed

    def __len__(self) -> int:
        return len(self._heap)
