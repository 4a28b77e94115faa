"""A step of many rows in two halves: one is run by the backend's process, the other meanwhile in this one.

Rows do not know of each other: each has a seed of its own, so the answer is the same as if one had run them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.protocol.messages import CircuitCall, Executed, Failure
from hybrid_runtime.protocol.results import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of a briefer step, a half is hardly more than it takes to wake the process.
_FROM_S = 0.001
# How the rows are divided: measured, with a thousand of them.
_HERE, _THERE = 8, 7
# Where the process has no core of its own it takes longer than this, as a share of what the half here took.
_MOST_WAITED = 0.5
# So many times as often is it left out each further time, and again less often each time it pays.
_MORE, _MOST_LEFT_OUT = 4, 255


class Halving:
    """Whether steps are run in halves, as it has paid so far."""

    def __init__(self) -> None:
        self._left_out = self._after_waiting = 0

    def wanted(self, seconds: float) -> bool:
        """Whether to halve a step that would take so long here."""
        if seconds <= _FROM_S:
            return False
        if self._left_out:
            self._left_out -= 1
            return False
        return True

    def waited(self, waited_s: float, here_s: float) -> None:
        """The process answered so long after the half here was done, which took so long itself."""
        if waited_s <= _MOST_WAITED * here_s:
            self._after_waiting //= _MORE
        else:
            self._left_out = self._after_waiting = min(_MORE * (self._after_waiting + 1) - 1, _MOST_LEFT_OUT)


class Half(msgspec.Struct, frozen=True):
    """The answer to the half that was run here, and when it was begun and done."""

    answer: Executed | Failure
    began: float
    done: float


def halves(calls: Sequence[CircuitCall]) -> tuple[list[CircuitCall], list[CircuitCall], int]:
    """The first half of the rows, the others, and how many the first are: a few more, for the others travel."""
    left = first = sum(call.rows for call in calls) * _HERE // (_HERE + _THERE)
    one: list[CircuitCall] = []
    other: list[CircuitCall] = []
    for call in calls:
        rows = min(call.rows, left)
        cut = len(call.values) // call.rows * rows
        if rows:
            one.append(CircuitCall(call.program, call.shots, rows, call.values[:cut], call.raw))
        if rows < call.rows:
            other.append(CircuitCall(call.program, call.shots, call.rows - rows, call.values[cut:], call.raw))
        left -= rows
    return one, other, first


def whole(here: Executed | Failure, there: Executed | Failure) -> Executed | Failure:
    """The answer to the whole step: what went wrong in either half, or the results of both, first those from here."""
    if type(here) is not Executed or type(there) is not Executed:
        return there if type(there) is Failure else here
    items = msgspec.Raw(joined(here.items, there.items))
    return Executed(there.request, here.shots + there.shots, here.duration_s + there.duration_s, items)
