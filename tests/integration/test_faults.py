"""What the faults for tests do to a runtime, and what it makes of them: each is met by a job with real processes."""

from __future__ import annotations

import pytest

from hybrid_runtime import Circuit, Limits, LocalRuntime, StopReason, hybrid
from hybrid_runtime.errors import InvalidInput, JournalFull
from hybrid_runtime.testing import faults
from hybrid_runtime.testing.faults import Fault

from .conftest import QUICK

TURN = Circuit("version 3.0\nqubit q\nbit b\nRx({t}) q\nb = measure q", parameters=["t"])


@hybrid
def walk(context):
    """Each angle depends on the result before."""
    ones = 0
    for _ in range(context.parameters["steps"]):
        ones += context.run(TURN.bind(t=0.01 * ones + 0.1)).counts.get("1", 0)
        context.metric("ones", ones)
    return ones


GIVEN = {"parameters": {"steps": 20}, "shots": 20, "seed": 4}


@pytest.fixture(scope="module")
def undisturbed():
    with LocalRuntime(preload=QUICK) as runtime:
        return runtime.run(walk, **GIVEN).raise_for_error()


@pytest.fixture
def broken(tmp_path):
    """Makes runtimes with faults, on a backend that keeps a ledger."""
    made: list[faults.BreakingRuntime] = []

    def make(*given, **settings):
        folder = tmp_path / f"struck-{len(made)}"
        folder.mkdir()
        options = faults.driver(ledger=tmp_path / "ledger")
        runtime = faults.BreakingRuntime(
            "faulty", options=options, faults=given, folder=folder, preload=QUICK, **settings
        )
        made.append(runtime)
        return runtime

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(("point", "again"), [("step", 0), ("execute", 0), ("results", 1), ("deliver", 0)])
def test_a_dispatcher_that_dies_at_any_point_of_a_step_repeats_only_what_was_not_in_the_journal(
    point, again, broken, undisturbed, tmp_path
):
    result = broken(Fault(kind="kill", point=point, at=9)).run(walk, **GIVEN)
    assert (result.value, result.steps, result.metrics) == (undisturbed.value, 20, undisturbed.metrics)
    assert len(faults.repeated(tmp_path / "ledger")) == again
    assert len(faults.executed(tmp_path / "ledger")) == 20 + again


def test_a_request_that_is_lost_ends_by_the_think_limit_with_what_there_is(broken):
    result = broken(Fault(kind="drop", point="step", at=9)).run(walk, **GIVEN, limits=Limits(think_s=1.0))
    assert result.stop_reason is StopReason.THINK
    assert 0 < result.steps < 20


def test_a_step_that_comes_twice_is_a_fault_of_the_algorithms_process(broken):
    error = broken(Fault(kind="duplicate", point="step", at=9)).run(walk, **GIVEN).error
    assert error is not None
    assert "out of turn" in error.text


def test_an_answer_that_comes_twice_or_late_is_taken_once(broken, undisturbed):
    late = Fault(kind="delay", point="results", at=5, seconds=0.1)
    result = broken(Fault(kind="duplicate", point="results", at=9), late).run(walk, **GIVEN)
    assert (result.value, result.steps) == (undisturbed.value, 20)


def test_a_garbled_request_harms_its_own_job_only(broken, undisturbed):
    runtime = broken(Fault(kind="corrupt", point="step", at=2))
    assert runtime.run(walk, **GIVEN).state.final
    assert runtime.run(walk, **GIVEN).value == undisturbed.value


@pytest.mark.parametrize("target", [faults.Target.WORKER, faults.Target.DISPATCHER, faults.Target.QUANTUM])
def test_a_process_that_stood_still_goes_on_where_it_was(target, broken, undisturbed):
    runtime = broken()
    job = runtime.submit(walk, **GIVEN)
    next(job.events())
    with faults.freeze(target) as stopped:
        assert stopped
    assert job.result().value == undisturbed.value


@pytest.mark.parametrize("seconds", [4e8, -4e8])
def test_a_clock_that_is_set_ends_no_limit_and_lengthens_none(seconds, broken, undisturbed):
    jump = Fault(kind="jump", point="step", at=3, seconds=seconds)
    result = broken(jump).run(walk, **GIVEN, limits=Limits(wall_s=60.0, think_s=30.0))
    assert (result.value, result.steps, result.stop_reason) == (undisturbed.value, 20, StopReason.DONE)
    endless = {**GIVEN, "parameters": {"steps": 10**9}}
    stopped = broken(jump).run(walk, **endless, limits=Limits(wall_s=0.5))
    assert stopped.stop_reason is StopReason.WALL


def test_a_journal_without_space_ends_the_job_and_it_goes_on_when_there_is_some(broken, tmp_path):
    journal = tmp_path / "journal.bin"
    long = {"parameters": {"steps": 3000}, "shots": 5, "seed": 4}
    result = broken(most_file_bytes=300_000).run(walk, **long, journal=journal)
    assert (result.state, 0 < result.steps < 3000) == ("failed", True)
    with pytest.raises(JournalFull, match="make space"):
        result.raise_for_error()
    with LocalRuntime(preload=QUICK) as runtime:
        whole = runtime.run(walk, **long)
        resumed = runtime.resume(walk, journal).result()
    assert (resumed.value, resumed.steps) == (whole.value, 3000)


def test_a_fault_that_there_is_not_is_refused(tmp_path):
    for kind, point, at in (("bore", "step", 1), ("kill", "moon", 1), ("kill", "step", 0)):
        with pytest.raises(InvalidInput, match="a fault is one of kill"):
            faults.BreakingRuntime(faults=[Fault(kind=kind, point=point, at=at)], folder=tmp_path)
