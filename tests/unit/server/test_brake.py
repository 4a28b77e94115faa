"""When a process that ended is started again."""

from __future__ import annotations

from hybrid_runtime.server.brake import MOST_S, WELL_AFTER_S, Brake


def waits(lives: list[float]) -> list[float]:
    """The wait after each of these lives of one process."""
    brake, now, found = Brake(), 0.0, []
    for life in lives:
        started, now = now, now + life
        again = brake.ended(started, now)
        found.append(round(again - now, 6))
        now = again
    return found


def test_a_process_that_ended_once_is_started_again_at_once():
    assert waits([100.0]) == [0.0]
    assert waits([0.0]) == [0.0]


def test_a_process_that_keeps_ending_is_started_ever_later_up_to_a_bound():
    found = waits([0.0] * 30)
    assert found == sorted(found)
    assert found[1] < 1.0
    assert found[-1] == MOST_S


def test_a_process_that_was_well_for_a_while_is_forgiven():
    assert waits([0.0, 0.0, 0.0, 0.0, WELL_AFTER_S])[-1] == 0.0
