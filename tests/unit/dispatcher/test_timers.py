"""When the loop wakes up by itself."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.dispatcher.timers import NEVER, Timers


def test_without_timers_there_is_no_next_one():
    timers = Timers()
    assert timers.next == NEVER == math.inf
    assert timers.due(1e9) == []


def test_what_never_comes_is_not_kept():
    timers = Timers()
    timers.add(math.inf, "a")
    assert (len(timers), timers.next) == (0, NEVER)


@given(st.lists(st.floats(0, 100)), st.floats(0, 100))
def test_those_that_have_passed_are_given_in_order_and_dropped(times, now):
    timers = Timers()
    for at in times:
        timers.add(at, str(at))
    assert timers.next == min(times, default=NEVER)
    assert timers.due(now) == [str(at) for at in sorted(times) if at <= now]
    assert timers.next == min((at for at in times if at > now), default=NEVER)
    assert timers.due(now) == []


def test_names_that_nobody_waits_for_do_not_pile_up():
    timers = Timers()
    timers.add(5.0, "kept")
    for number in range(10_000):
        for times in range(4):
            timers.add(600.0 + number + times, f"job {number}")
        timers.drop(f"job {number}")
    assert len(timers) < 1000
    assert timers.due(5.0) == ["kept"]


def test_a_name_that_is_wanted_again_keeps_its_timers():
    timers = Timers()
    timers.add(1.0, "again")
    timers.drop("again")
    timers.add(2.0, "again")
    for number in range(1000):
        timers.drop(f"job {number}")
    assert timers.due(2.0)[-1:] == ["again"]
