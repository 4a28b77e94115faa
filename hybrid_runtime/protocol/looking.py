"""When to look for a message and when to sleep at once: looking is to take from nobody what they need."""

from __future__ import annotations

# The processor is offered to others every so many looks, and what comes another way is looked for: each is a system
# call, and takes as long as several looks at a line.
OFFER, GLANCE = 16, 64
# Whoever gets its processor back only after so long has shared it with something that computes.
HELD_UP_S = 0.001
# Looking that did not pay is left out the next time, and up to so many times when it does not pay again.
_MOST_AFTER_NOTHING = 64
# Looking that was in the way of others, or they of it, is left out so many times, and more each further time.
_FIRST_AFTER_OTHERS, _MORE, _MOST_AFTER_OTHERS = 4, 4, 4096


class Looking:
    """What one receiver has learnt from looking."""

    __slots__ = ("_after_nothing", "_after_others", "_left_out", "_paid")

    def __init__(self) -> None:
        self._left_out = 0
        self._after_nothing = 0
        self._after_others = _FIRST_AFTER_OTHERS
        self._paid = 0

    def wanted(self) -> bool:
        """Whether to look this time."""
        if self._left_out:
            self._left_out -= 1
            return False
        return True

    def paid(self) -> None:
        """A message was found."""
        self._after_nothing = 0
        if self._after_others > _FIRST_AFTER_OTHERS:
            self._paid += 1
            if self._paid >= self._after_others:
                self._paid = 0
                self._after_others //= _MORE

    def found_nothing(self) -> None:
        """No message came in all that time."""
        self._left_out = self._after_nothing = min(2 * self._after_nothing + 1, _MOST_AFTER_NOTHING)

    def was_held_up(self) -> None:
        """Others wanted the processor: looking costs them, or a turn of theirs each time."""
        self._left_out = self._after_others
        self._after_others = min(_MORE * self._after_others, _MOST_AFTER_OTHERS)
        self._paid = 0
