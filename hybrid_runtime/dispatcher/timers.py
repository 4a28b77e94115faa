"""When the loop has to wake up by itself, and for which job."""

from __future__ import annotations

import heapq

NEVER = float("inf")
# Looking for those that are wanted no more is not worth it among fewer.
_FEW = 128


class Timers:
    """Points in time, each with a name. One that is no longer wanted is left to pass, unless there are many.

    Names and not objects are kept, so that an ended job is not held in memory until its last timer has passed.

    Attributes:
        next: When the first of them is; infinite while there is none.
    """

    def __init__(self) -> None:
        self.next = NEVER
        self._heap: list[tuple[float, str]] = []
        self._unwanted: set[str] = set()
        self._most = _FEW

    def add(self, at: float, name: str) -> None:
        """Wake up at this time; never, where it is infinite."""
        if at != NEVER:
            self._unwanted.discard(name)
            heapq.heappush(self._heap, (at, name))
            self.next = self._heap[0][0]

    def drop(self, name: str) -> None:
        """Nobody waits for this name any more; its timers may still pass."""
        self._unwanted.add(name)
        if len(self._heap) + len(self._unwanted) > self._most:
            self._heap = [timer for timer in self._heap if timer[1] not in self._unwanted]
            heapq.heapify(self._heap)
            self._unwanted.clear()
            # Looking through all of them is worth it again when there are twice as many.
            self._most = 2 * len(self._heap) + _FEW
            self.next = self._heap[0][0] if self._heap else NEVER

    def due(self, now: float) -> list[str]:
        """The names of those that have passed; they are dropped."""
        passed = []
        while self._heap and self._heap[0][0] <= now:
            passed.append(heapq.heappop(self._heap)[1])
        self.next = self._heap[0][0] if self._heap else NEVER
        return passed

    def __len__(self) -> int:
        return len(self._heap)
