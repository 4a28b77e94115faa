"""When the loop has to wake up by itself, and for which job."""

from __future__ import annotations

import heapq

# epoll counts milliseconds in a C int; waking up now and then for nothing costs nothing.
MOST_PATIENCE_S = 3600.0


class Timers:
    """Points in time, each with a name. One that is no longer wanted is left to pass.

    Names and not objects are kept, so that an ended job is not held in memory until its last timer has passed.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []

    def add(self, at: float, name: str) -> None:
        """Wake up at this time; never, where it is infinite."""
        if at != float("inf"):
            heapq.heappush(self._heap, (at, name))

    def patience(self, now: float) -> float:
        """Seconds until the next one; a negative number where there is none."""
        if not self._heap:
            return -1.0
        return min(max(0.0, self._heap[0][0] - now), MOST_PATIENCE_S)

    def due(self, now: float) -> list[str]:
        """The names of those that have passed; they are dropped."""
        passed = []
        while self._heap and self._heap[0][0] <= now:
            passed.append(heapq.heappop(self._heap)[1])
        return passed

    def __bool__(self) -> bool:
        return bool(self._heap)

    def __len__(self) -> int:
        return len(self._heap)
