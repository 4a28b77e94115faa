"""A traced runtime writes what its steps did, and serves as it would without."""

from __future__ import annotations

import json

import pytest

from hybrid_runtime import Circuit, hybrid
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.local import LocalRuntime

BELL = Circuit("version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\nCNOT q[0], q[1]\nb = measure q")


@hybrid
def five_steps(context):
    return [context.run(BELL).counts for _ in range(5)][-1]


@hybrid
def says_when_two_are_done(context):
    for _ in range(2):
        context.run(BELL)
    print("two are done", flush=True)
    context.run(BELL)


def stages(path):
    found: dict[int, list[str]] = {}
    for event in json.loads(path.read_text()):
        if event["ph"] == "X":
            assert event["dur"] >= 0
            found.setdefault(event["pid"], []).append(event["name"])
    return found


def test_every_step_of_every_job_is_in_the_trace(tmp_path):
    path = tmp_path / "trace.json"
    with LocalRuntime("null", trace=path) as client:
        jobs = [client.submit(five_steps) for _ in range(2)]
        values = [job.result().raise_for_error().value for job in jobs]
    assert values == [{"00": 1024}, {"00": 1024}]
    found = stages(path)
    assert [names.count("execute") for names in found.values()] == [5, 5]
    for names in found.values():
        assert names[0] == "initialize"
        assert names[-1] == "terminate"
        assert names.count("think") == 4


def test_a_job_that_was_killed_is_in_the_trace_with_the_steps_it_did(tmp_path):
    path = tmp_path / "trace.json"
    with LocalRuntime("scripted", options={"answers": [{"00": 1}, {"00": 1}, {"hang": True}]}, trace=path) as client:
        job = client.submit(says_when_two_are_done)
        for _ in job.events():
            if job.logs:
                job.cancel(kill=True)
        assert job.result().state == "cancelled"
    ((name, *_, last),) = stages(path).values()
    assert (name, last) == ("initialize", "terminate")
    assert stages(path)[1].count("execute") == 2


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_started(tmp_path):
    with pytest.raises(InvalidInput, match="cannot be written"):
        LocalRuntime("null", trace=tmp_path / "missing" / "trace.json")
    assert list(tmp_path.iterdir()) == []
