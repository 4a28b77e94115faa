"""What a runner does about one job, case by case."""

from __future__ import annotations

from typing import Any

from hybrid_runtime.errors import ErrorData
from hybrid_runtime.protocol.control import Cancel, Pause
from hybrid_runtime.server.runs import MOST_DEATHS, Forget, GiveUp, Phase, Release, Run, SetPaused, Tell

WHY = "the service was stopped"


def new() -> Run:
    return Run("j", begun=False)


def running() -> Run:
    run = new()
    assert run.on_handed() == []
    return run


def told(actions: list[Any]) -> list[Any]:
    return [action.message for action in actions if isinstance(action, Tell)]


def test_a_job_that_ends_has_its_result_written():
    run = running()
    assert run.on_ended()
    assert run.phase is Phase.GONE


# ------------------------------------------------------------------ cancelling


def test_the_dispatcher_is_told_to_cancel_a_running_job():
    assert told(running().on_cancel(False)) == [Cancel("j", False)]
    assert told(running().on_cancel(True)) == [Cancel("j", True)]


def test_a_job_that_was_never_handed_over_is_cancelled_at_once():
    (action,) = new().on_cancel(False)
    assert isinstance(action, GiveUp)
    assert (action.cancelled, action.error.family) == (True, "JobCancelled")


def test_a_job_with_a_journal_finalizes_when_it_is_cancelled_while_it_waits():
    run = Run("j", begun=True)
    assert run.on_cancel(False) == []
    assert told(run.on_handed()) == [Cancel("j", False)]


def test_a_job_with_a_journal_is_killed_while_it_waits():
    (action,) = Run("j", begun=True).on_cancel(True)
    assert isinstance(action, GiveUp)
    assert action.cancelled


# ------------------------------------------------------------------ pausing and leaving


def test_a_running_job_is_paused_by_its_dispatcher():
    run = running()
    assert told(run.on_pause()) == [Pause("j")]
    assert run.on_paused() == [SetPaused()]


def test_a_waiting_job_is_paused_at_once():
    assert new().on_pause() == [SetPaused()]


def test_a_job_is_released_when_the_runner_ends():
    run = running()
    assert told(run.on_leave(WHY)) == [Pause("j")]
    assert run.on_paused() == [Release(WHY)]
    assert new().on_leave(WHY) == [Release(WHY)]


def test_a_job_that_its_user_paused_stays_paused_when_the_runner_ends():
    run = running()
    run.on_pause()
    assert run.on_leave(WHY) == []
    assert run.on_paused() == [SetPaused()]


def test_a_job_that_ends_while_it_is_being_paused_has_its_result():
    run = running()
    run.on_pause()
    assert run.on_ended()


# ------------------------------------------------------------------ lost leases


def test_a_job_whose_lease_is_lost_is_stopped_and_nothing_is_said_of_it():
    run = running()
    assert told(run.on_lease_lost()) == [Pause("j")]
    assert run.on_paused() == [Forget()]
    run = running()
    run.on_lease_lost()
    assert not run.on_ended()
    assert new().on_lease_lost() == [Forget()]


# ------------------------------------------------------------------ lost dispatchers


def test_a_job_whose_dispatcher_died_waits_for_the_next_one():
    run = running()
    assert run.on_dispatcher_lost("died") == []
    assert run.phase is Phase.WAITING
    assert run.begun


def test_a_job_under_which_dispatchers_die_again_and_again_is_given_up():
    run = new()
    for _ in range(MOST_DEATHS - 1):
        run.on_handed()
        assert run.on_dispatcher_lost("died") == []
    run.on_handed()
    (action,) = run.on_dispatcher_lost("died by SIGSEGV")
    assert isinstance(action, GiveUp)
    assert "died by SIGSEGV" in action.error.text


def test_a_job_that_makes_steps_between_survives_any_number_of_deaths():
    run = new()
    for steps in range(1, 5 * MOST_DEATHS):
        run.on_handed()
        run.on_steps(steps)
        assert run.on_dispatcher_lost("died") == []


def test_a_job_that_waits_has_nothing_to_do_with_a_dispatcher_that_dies():
    run = new()
    assert run.on_dispatcher_lost("died") == []
    assert run.phase is Phase.WAITING


def test_a_dispatcher_that_dies_while_a_job_pauses_has_paused_it():
    run = running()
    run.on_pause()
    assert run.on_dispatcher_lost("died") == [SetPaused()]
    run = running()
    run.on_leave(WHY)
    assert run.on_dispatcher_lost("died") == [Release(WHY)]
    run = running()
    run.on_lease_lost()
    assert run.on_dispatcher_lost("died") == [Forget()]


def test_a_job_that_cannot_be_handed_over_is_given_up():
    error = ErrorData(kind="InvalidInput", text="no", family="InvalidInput")
    assert new().on_refused(error) == [GiveUp(error)]
