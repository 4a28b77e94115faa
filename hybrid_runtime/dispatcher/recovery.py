"""What is done about a failure: try again, go elsewhere, or give up. Pure; tabled in docs/explanation/recovery.md."""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import NamedTuple

# Of one step on one backend, which says that the same step may succeed later.
MOST_ATTEMPTS = 5
# A step that ends its quantum runtime so often is not sent there again: it may be what ends it.
MOST_CRASHES = 2
# Of a quantum runtime, with nothing answered between: it is not started again.
MOST_CRASHES_IN_A_ROW = 5
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 30.0
# Waits are lengthened by up to this share, so that jobs which failed together do not all come back together.
JITTER = 0.5


class Remedy(Enum):
    """What to do with a step that failed."""

    AGAIN = auto()
    ELSEWHERE = auto()
    GIVE_UP = auto()


class Answer(NamedTuple):
    """A remedy, and how long to wait before it."""

    remedy: Remedy
    wait_s: float = 0.0


class Trouble:
    """What has befallen one step on one backend."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.attempts = 0
        self.crashes = 0

    def failed(self, *, transient: bool, held: bool, elsewhere: bool, draw: float) -> Answer:
        """The backend answered that it failed.

        Args:
            transient: Whether it said that the same step may succeed.
            held: Whether it was calibrating: that is waited for, and is no attempt.
            elsewhere: Whether there is another backend.
            draw: A number from 0 to 1, drawn at random.
        """
        if transient and held:
            return Answer(Remedy.AGAIN, wait_s(1, draw))
        self.attempts += 1
        if transient and self.attempts < MOST_ATTEMPTS:
            return Answer(Remedy.AGAIN, wait_s(self.attempts, draw))
        return _or_give_up(elsewhere)

    def crashed(self, *, elsewhere: bool) -> Answer:
        """The quantum runtime ended while it ran the step."""
        self.crashes += 1
        return Answer(Remedy.AGAIN) if self.crashes < MOST_CRASHES else _or_give_up(elsewhere)


def restart_after_s(crashes: int, draw: float) -> float | None:
    """How long to wait before a quantum runtime is started again that has ended so often in a row; None for not."""
    if crashes >= MOST_CRASHES_IN_A_ROW:
        return None
    return 0.0 if crashes == 1 else wait_s(crashes - 1, draw)


def wait_s(times: int, draw: float) -> float:
    """How long to wait after something has failed so many times: twice as long each time, and a little at random."""
    return min(LONGEST_WAIT_S, math.ldexp(FIRST_WAIT_S, min(times - 1, 30))) * (1 + JITTER * draw)


def _or_give_up(elsewhere: bool) -> Answer:
    return Answer(Remedy.ELSEWHERE if elsewhere else Remedy.GIVE_UP)
