"""Processes that are killed while they write."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap

import pytest

from hybrid_runtime.jobs.store import Store

SUBMITS = """
    import os, sys, threading
    from pathlib import Path
    from hybrid_runtime.jobs.store import Store
    from hybrid_runtime.resources.jobs import JobRequest

    store = Store(sys.argv[1], data=Path(sys.argv[2]))
    who = store.accounts.authenticate(sys.argv[3])
    request = JobRequest(backend="emulator", circuit="x")

    def submit():
        while True:
            # One write each: a line is whole or not there.
            os.write(1, f"{store.jobs.submit(who, request).id}\\n".encode())

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
"""
RUNS = """
    import os, sys
    from pathlib import Path
    from hybrid_runtime.job import JobState
    from hybrid_runtime.jobs.store import Store
    from hybrid_runtime.limits import StopReason
    from hybrid_runtime.resources.records import Result

    store = Store(sys.argv[1], data=Path(sys.argv[2]))
    held = store.runs.take_over("emulator", "runner", 10)
    while claimed := held.pop() if held else store.runs.claim("emulator", "runner", 10):
        store.runs.report(claimed.job_id, claimed.fence, state=JobState.RUNNING, steps=1, logs=[("stdout", "x")])
        store.runs.report(claimed.job_id, claimed.fence, state=JobState.FINALIZING, steps=2)
        store.runs.finish(claimed.job_id, claimed.fence, Result(
            job_id=claimed.job_id, state=JobState.COMPLETED, stop_reason=StopReason.DONE, result=claimed.attempts,
            error=None, steps=2, shots=2, metrics={}, backend="emulator", seed=1, isolation="strict", timing={},
        ))
        os.write(1, f"{claimed.job_id}\\n".encode())
"""


def started(script, *arguments):
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def acknowledged_until_killed(process, lines):
    """What a process says that is killed after so many lines; it is in the middle of something else then."""
    told = b"".join(process.stdout.readline() for _ in range(lines))
    process.kill()
    told += process.stdout.read()
    process.stdout.close()
    process.wait()
    return told.decode().split()


@pytest.mark.parametrize("lines", [1, 40])
def test_an_accepted_job_outlives_the_process_that_accepted_it(world, url, tmp_path, lines):
    acknowledged = []
    for _ in range(2):
        process = started(SUBMITS, url, tmp_path / "data", world.token("ann"))
        acknowledged += acknowledged_until_killed(process, lines)
    kept = {job.id: job for job in world.store.jobs.list(world.ann, limit=1000).items}
    assert len(set(acknowledged)) == len(acknowledged) >= 2 * lines
    assert set(acknowledged) <= set(kept)
    # Nothing is there by half: each has its history, its event and its place.
    assert sorted(job.position for job in kept.values()) == [*range(1, len(kept) + 1)]
    for job in kept.values():
        assert len(world.store.jobs.history(world.ann, job.id)) == 1
        assert len(world.store.jobs.events(world.ann, job.id)) == 1
    assert world.store.usage.report(world.ann)[0].jobs == len(kept)


def test_jobs_of_a_runner_that_is_killed_again_and_again_end_once_each(world, url, tmp_path):
    made = [world.submit(world.ann if number % 2 else world.bob).id for number in range(30)]
    ended = []
    for lines in (1, 2, 5, 3):
        process = started(RUNS, url, tmp_path / "data")
        ended += acknowledged_until_killed(process, lines)
    last = started(RUNS, url, tmp_path / "data")
    ended += last.stdout.read().decode().split()
    last.stdout.close()
    assert last.wait() == 0
    # A job whose end was acknowledged does not come again; one may have ended without that being heard.
    assert len(set(ended)) == len(ended)
    for job_id in made:
        assert world.state(job_id) == "completed"
        result = world.store.jobs.result(world.admin, job_id)
        assert result.result == world.store.jobs.get(world.admin, job_id).attempts
        entered = [change.state for change in world.store.jobs.history(world.admin, job_id)]
        assert entered.count("completed") == 1
        assert [event.type for event in world.store.jobs.events(world.admin, job_id)].count("ended") == 1
    assert world.store.runs.take_over("emulator", "late", 10) == []
    used = world.store.usage.report(world.admin)
    assert [(one.jobs, one.steps) for one in used] == [(15, 30), (15, 30)]


def test_a_database_survives_the_kill_and_is_sound(tmp_path, world, url):
    process = started(SUBMITS, url, tmp_path / "data", world.token("ann"))
    acknowledged_until_killed(process, 5)
    again = Store(url, data=tmp_path / "data")
    again.ping()
    if url.startswith("sqlite"):
        connection = sqlite3.connect(tmp_path / "jobs.sqlite")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
    assert again.jobs.list(again.accounts.authenticate(world.secret)).items
    again.close()
