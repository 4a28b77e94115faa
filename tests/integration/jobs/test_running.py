"""Jobs with runners: claims, fences, reports, results, and what users ask of a job that runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from hybrid_runtime.errors import Conflict, LeaseLost
from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.reports import Report
from hybrid_runtime.resources.backends import BackendChange, BackendStatus
from hybrid_runtime.resources.jobs import Priority


def states(world, job_id):
    return [change.state for change in world.store.jobs.history(world.admin, job_id)]


def test_jobs_are_claimed_in_order_of_class_and_then_of_time(make_world):
    world = make_world(running_per_user=100)
    low, first, second = world.submit(priority=Priority.LOW), world.submit(), world.submit(world.bob)
    high = world.submit(world.admin, priority=Priority.HIGH)
    order = [world.claim().job_id for _ in range(4)]
    assert order == [high.id, first.id, second.id, low.id]
    assert world.store.runs.claim("emulator", "one", 10) is None


def test_a_user_at_the_cap_waits_and_others_are_served(make_world):
    world = make_world(running_per_user=1)
    first, second, others = world.submit(), world.submit(), world.submit(world.bob)
    claimed = world.claim()
    assert claimed.job_id == first.id
    assert world.claim().job_id == others.id
    assert world.store.runs.claim("emulator", "one", 10) is None
    assert "may not at a time" in world.store.jobs.get(world.ann, second.id).waiting_for
    world.finish(claimed)
    assert world.claim().job_id == second.id


def test_every_job_is_claimed_once_by_however_many_runners(make_world):
    world = make_world(running_per_user=1000)
    made = {world.submit().id for _ in range(60)}

    def claim(number):
        return world.store.runs.claim("emulator", f"runner-{number}", 10)

    with ThreadPoolExecutor(8) as pool:
        claimed = [one.job_id for one in pool.map(claim, range(80)) if one is not None]
    assert len(claimed) == 60
    assert set(claimed) == made


def test_a_job_lives_through_its_states_and_every_one_is_told(world):
    job = world.submit()
    claimed = world.run(steps=2)
    world.store.runs.report(job.id, claimed.fence, state=JobState.FINALIZING, reason="done")
    result = world.finish(claimed)
    assert world.store.jobs.result(world.ann, job.id) == result
    assert states(world, job.id) == ["queued", "starting", "running", "finalizing", "completed"]
    events = world.store.jobs.events(world.ann, job.id)
    assert [event.id for event in events] == [*range(1, len(events) + 1)]
    assert [event.data["state"] for event in events] == [*states(world, job.id), "completed"]
    assert events[-1].type == "ended"
    ended = world.store.jobs.get(world.ann, job.id)
    assert (ended.state, ended.steps, ended.shots_done, ended.attempts) == ("completed", 3, 30, 1)
    assert ended.ended_at > ended.started_at > ended.created_at
    assert world.store.jobs.events_of(job.id, after=events[-2].id) == events[-1:]


def test_a_second_result_is_refused(world):
    job = world.submit()
    claimed = world.run()
    result = world.finish(claimed)
    with pytest.raises(LeaseLost):
        world.finish(claimed, result={"energy": 0})
    assert world.store.jobs.result(world.ann, job.id) == result


def test_a_runner_that_was_given_up_can_do_no_harm(world):
    job = world.submit()
    old = world.run(steps=4)
    (new,) = world.store.runs.take_over("emulator", "two", 10)
    assert (new.job_id, new.fence, new.resume, new.attempts) == (job.id, old.fence + 1, True, 2)
    runs = world.store.runs
    for attempt in (
        lambda: runs.report(job.id, old.fence, steps=99),
        lambda: runs.finish(job.id, old.fence, None),
        lambda: runs.paused(job.id, old.fence),
        lambda: runs.release(job.id, old.fence, ""),
    ):
        with pytest.raises(LeaseLost):
            attempt()
    assert runs.renew("one", {job.id: old.fence, "nothing": 1}, 10) == {job.id, "nothing"}
    assert runs.renew("two", {job.id: new.fence}, 10) == set()
    good, bad = Report(job_id=job.id, fence=new.fence, steps=5), Report(job_id=job.id, fence=old.fence, steps=99)
    assert runs.report_many([bad, good]) == {job.id}
    assert world.store.jobs.get(world.ann, job.id).steps == 5
    world.finish(new)
    assert states(world, job.id) == ["queued", "starting", "running", "starting", "completed"]


def test_a_lease_that_has_run_out_is_seen_and_may_be_renewed(world):
    job = world.submit()
    claimed = world.run()
    assert world.store.jobs.get(world.ann, job.id).waiting_for is None
    world.clock.pass_s(11)
    assert "its runner" in world.store.jobs.get(world.ann, job.id).waiting_for
    assert world.store.runs.renew("one", {job.id: claimed.fence}, 10) == set()
    assert world.store.jobs.get(world.ann, job.id).waiting_for is None


def test_what_a_job_tells_is_kept_in_order_and_numbered(world):
    job = world.submit()
    claimed = world.run()
    for number in range(3):
        world.store.runs.report(
            job.id,
            claimed.fence,
            logs=[("stdout", f"line {number}"), ("stderr", "zero \0 and half \ud800")],
            metrics=[("energy", -number), ("bad", float("nan"))],
            events=[("progress", {"steps": number})],
        )
    lines = world.store.jobs.logs(world.ann, job.id)
    assert [line.sequence for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line.text for line in lines[::2]] == ["line 0", "line 1", "line 2"]
    assert "half" in lines[1].text
    assert [line.sequence for line in world.store.jobs.logs(world.ann, job.id, after=2, limit=2)] == [3, 4]
    energies = world.store.jobs.metrics(world.ann, job.id, name="energy")
    assert [point.value for point in energies] == [0.0, -1.0, -2.0]
    assert world.store.jobs.metrics(world.ann, job.id)[1].value is None


def test_what_is_told_again_takes_the_place_of_what_was_told(world):
    job = world.submit()
    claimed = world.run(steps=5)
    runs = world.store.runs
    runs.report(job.id, claimed.fence, logs=[("stdout", "once")], metrics=[("energy", 1.0)])
    (again,) = runs.take_over("emulator", "two", 10)
    runs.report(
        job.id, again.fence, events=[("restarted", {})], logs=[("stdout", "once")], metrics=[("energy", 1.0)], steps=2
    )
    assert [(line.sequence, line.text) for line in world.store.jobs.logs(world.ann, job.id)] == [(2, "once")]
    assert len(world.store.jobs.metrics(world.ann, job.id)) == 1
    # Steps that are gone through again are not used again.
    runs.report(job.id, again.fence, steps=6)
    assert world.store.usage.report(world.ann)[0].steps == 6


def test_what_a_job_tells_is_bounded(make_world):
    world = make_world(log_bytes_per_job=100, points_per_job=10)
    job = world.submit()
    claimed = world.run()
    for _ in range(5):
        told = {"logs": [("stdout", "x" * 30)] * 3, "metrics": [("m", 1.0)] * 4, "events": [("progress", {})] * 4}
        world.store.runs.report(job.id, claimed.fence, **told)
    lines = world.store.jobs.logs(world.ann, job.id)
    assert [line.stream for line in lines] == ["stdout", "stdout", "stdout", "system"]
    assert "100 characters" in lines[-1].text
    assert len(world.store.jobs.metrics(world.ann, job.id)) == 10
    assert len(world.store.jobs.events(world.ann, job.id)) == 10
    world.finish(claimed)
    assert world.store.jobs.events(world.ann, job.id)[-1].type == "ended"


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.QUEUED, JobState.PLANNED])
def test_a_state_that_cannot_be_entered_is_refused_and_nothing_is_written(world, state):
    job, other = world.submit(), world.submit(world.bob)
    claimed, second = world.run(), world.run()
    reports = [
        Report(job_id=other.id, fence=second.fence, steps=8),
        Report(job_id=job.id, fence=claimed.fence, state=state, steps=7),
    ]
    with pytest.raises(Conflict):
        world.store.runs.report_many(reports)
    assert (world.state(job.id), world.store.jobs.get(world.ann, job.id).steps) == ("running", 0)
    assert world.store.jobs.get(world.bob, other.id).steps == 0


def test_a_released_job_is_queued_again_at_its_place(world):
    job = world.submit()
    world.submit()
    claimed = world.run(steps=2)
    world.store.runs.release(job.id, claimed.fence, "the service stops")
    shown = world.store.jobs.get(world.ann, job.id)
    assert (shown.state, shown.position) == ("queued", 1)
    again = world.claim()
    assert (again.job_id, again.resume, again.fence) == (job.id, True, claimed.fence + 1)


def test_a_running_job_is_paused_by_its_runner_and_resumed_at_its_place(world):
    job = world.submit()
    later = world.submit()
    claimed = world.run()
    assert world.store.jobs.pause(world.ann, job.id).state == "pausing"
    assert world.store.jobs.pause(world.ann, job.id).state == "pausing"
    (command,) = world.store.runs.commands("emulator")
    assert (command.job_id, command.kind, command.by) == (job.id, "pause", "ann")
    # What the runner says before it knows does not undo the wish.
    world.store.runs.report(job.id, claimed.fence, state=JobState.RUNNING, steps=1)
    assert world.state(job.id) == "pausing"
    with pytest.raises(Conflict):
        world.store.jobs.resume(world.ann, job.id)
    world.store.runs.paused(job.id, claimed.fence)
    assert world.store.runs.commands("emulator") == []
    paused = world.store.jobs.get(world.ann, job.id)
    assert (paused.state, paused.waiting_for) == ("paused", "somebody to resume it")
    assert world.store.jobs.resume(world.ann, job.id).position == 1
    assert world.claim().job_id == job.id
    assert world.claim().job_id == later.id


def test_a_job_that_was_to_pause_when_its_runner_died_is_paused(world):
    job = world.submit()
    world.run()
    world.store.jobs.pause(world.ann, job.id)
    assert world.store.runs.take_over("emulator", "two", 10) == []
    assert world.state(job.id) == "paused"
    assert world.store.runs.commands("emulator") == []


def test_a_running_job_is_cancelled_by_its_runner(world):
    job = world.submit()
    claimed = world.run()
    assert world.store.jobs.cancel(world.ann, job.id).state == "running"
    world.store.jobs.cancel(world.ann, job.id)
    world.store.jobs.cancel(world.ann, job.id, kill=True)
    commands = world.store.runs.commands("emulator")
    assert [command.kind for command in commands] == ["cancel", "kill"]
    world.store.runs.acknowledge(commands[0].id)
    assert [command.kind for command in world.store.runs.commands("emulator")] == ["kill"]
    world.finish(claimed, JobState.CANCELLED)
    assert world.store.runs.commands("emulator") == []
    assert world.store.jobs.cancel(world.ann, job.id).state == "cancelled"


@pytest.mark.parametrize("how", ["queued", "planned", "paused", "orphaned"])
def test_a_job_that_nobody_runs_is_cancelled_at_once_with_a_result(world, how):
    job = world.submit(start_after=world.clock.at + 99 if how == "planned" else None)
    claimed = None
    if how in ("paused", "orphaned"):
        claimed = world.run(steps=2)
        world.store.runs.report(job.id, claimed.fence, metrics=[("energy", -1.0)])
        if how == "paused":
            world.store.runs.paused(job.id, claimed.fence)
        world.clock.pass_s(11)
    assert world.store.jobs.cancel(world.ann, job.id, kill=True).state == "cancelled"
    result = world.store.jobs.result(world.ann, job.id)
    assert (result.state, result.error.kind) == ("cancelled", "JobCancelled")
    if claimed is not None:
        assert (result.steps, result.metrics) == (2, {"energy": [-1.0]})
        with pytest.raises(LeaseLost):
            world.finish(claimed)
    assert world.store.runs.claim("emulator", "one", 10) is None


def test_what_has_ended_is_not_steered(world):
    job = world.submit()
    world.finish(world.run())
    for attempt in (world.store.jobs.cancel, world.store.jobs.pause, world.store.jobs.resume):
        with pytest.raises(Conflict, match="completed"):
            attempt(world.ann, job.id)


def test_a_backend_that_is_drained_or_busy_with_itself_starts_nothing(world):
    job = world.submit()
    backends, operator = world.store.backends, world.admin

    def waits():
        assert world.store.runs.claim("emulator", "one", 10) is None
        return world.store.jobs.get(world.ann, job.id).waiting_for

    backends.change(operator, "emulator", BackendChange(accepting=False))
    assert "drained" in waits()
    backends.change(operator, "emulator", BackendChange(accepting=True))
    changed = backends.change(
        operator,
        "emulator",
        BackendChange(status=BackendStatus.CALIBRATING, reason="T1 drifted", calibration={"t1": 3}),
    )
    assert (changed.status, changed.reason, changed.calibration) == ("calibrating", "T1 drifted", {"t1": 3})
    assert "calibrating: T1 drifted" in waits()
    # An operator's word goes before the runner's.
    world.store.runs.heartbeat("emulator", BackendStatus.IDLE)
    assert backends.get(world.ann, "emulator").status == "calibrating"
    backends.change(operator, "emulator", BackendChange(status=BackendStatus.IDLE))
    assert backends.get(world.ann, "emulator").status == "idle"
    assert world.claim().job_id == job.id


def test_a_backend_whose_runner_is_silent_is_offline_since_it_was_heard(world):
    job = world.submit()
    heard = world.store.backends.get(world.ann, "emulator").last_heartbeat
    world.clock.pass_s(11)
    shown = world.store.backends.get(world.ann, "emulator")
    assert (shown.status, shown.since, shown.queued) == ("offline", heard, 1)
    assert "offline" in world.store.jobs.get(world.ann, job.id).waiting_for
    world.store.runs.heartbeat("emulator", BackendStatus.EXECUTING)
    assert world.store.backends.list(world.ann)[0].status == "executing"
    # A runner that asks for work lives, whatever it has said last.
    world.clock.pass_s(11)
    assert world.claim().job_id == job.id
    assert world.store.backends.get(world.ann, "emulator").running == 1


def test_usage_adds_up(world):
    for _ in range(2):
        world.submit()
        claimed = world.run(steps=1)
        world.store.runs.report(claimed.job_id, claimed.fence, steps=2, shots=20, qpu_s=0.5)
        world.store.runs.report(claimed.job_id, claimed.fence, steps=3, shots=30, qpu_s=0.75)
        world.clock.pass_s(2)
        world.finish(claimed)
    (used,) = world.store.usage.report(world.ann)
    assert (used.user, used.project, used.jobs, used.steps, used.shots, used.qpu_s) == ("ann", "ann", 2, 6, 60, 1.5)
    assert used.wall_s == pytest.approx(4, abs=0.01)
    day = 86400.0
    assert world.store.usage.report(world.ann, until=world.clock.at - day) == []
    assert world.store.usage.report(world.ann, since=world.clock.at, until=world.clock.at + day) == [used]
    seen = world.store.statistics()
    assert (seen.submitted, seen.steps, seen.shots, seen.qpu_s) == (2, 6, 60, 1.5)
