"""How soon a process that ended is started again: at once the first time, ever later while it keeps ending. Pure."""

from __future__ import annotations

FIRST_S = 0.1
MOST_S = 30.0
# A process that lived this long was well: what ends it now is another matter.
WELL_AFTER_S = 30.0


class Brake:
    """The ends of one process that is to run for ever.

    Attributes:
        failures: Ends in a row, each soon after its start.
    """

    def __init__(self) -> None:
        self.failures = 0

    def ended(self, started: float, now: float) -> float:
        """It ended: the time at which to start it again."""
        if now - started >= WELL_AFTER_S:
            self.failures = 0
        self.failures += 1
        if self.failures == 1:
            return now
        return now + min(FIRST_S * 2.0 ** min(self.failures - 2, 20), MOST_S)
