"""The file that shows where the time of each step went."""

from __future__ import annotations

import json

import pytest

from hybrid_runtime.dispatcher import waterfall
from hybrid_runtime.dispatcher.waterfall import JobTrace, Waterfall


def stepped(job_id="one", start=10.0, steps=2, queued=False):
    """A trace of steps that take 50 us each, with 1 ms of thinking before each."""
    trace = JobTrace(job_id, start)
    now = start
    for number in range(1, steps + 1):
        now += 1e-3
        trace.received = now
        trace.asked = now + 10e-6
        trace.checked = trace.asked - 5e-6 if queued else trace.asked + 1e-6
        trace.answered(now + 40e-6, now + 50e-6, number * 20e-6)
        now += 50e-6
    return trace, now


def stages(path):
    return [event for event in json.loads(path.read_text()) if event["ph"] == "X"]


def written(path, *traces):
    file = Waterfall(path, 10.0)
    for trace, ended in traces:
        file.add(trace, ended + 1e-4)
    file.close()
    return stages(path)


def test_the_stages_of_a_job_follow_each_other_without_gaps(tmp_path):
    found = written(tmp_path / "trace.json", stepped())
    assert [event["name"] for event in found] == [
        *("initialize", "check", "execute", "deliver"),
        *("think", "check", "execute", "deliver"),
        "terminate",
    ]
    ends = [event["ts"] + event["dur"] for event in found]
    assert [event["ts"] for event in found[1:]] == pytest.approx(ends[:-1], abs=0.01)
    assert found[0]["ts"] == 0


def test_times_are_in_microseconds(tmp_path):
    found = written(tmp_path / "trace.json", stepped(steps=1))
    assert [event["dur"] for event in found] == pytest.approx([1000, 10, 30, 10, 100], abs=0.01)
    assert found[2]["args"] == {"step": 1, "backend_us": pytest.approx(20, abs=0.01)}


def test_waiting_for_another_job_is_a_stage_of_its_own(tmp_path):
    found = written(tmp_path / "trace.json", stepped(steps=1, queued=True))
    assert [event["name"] for event in found[1:4]] == ["check", "queue", "execute"]
    assert [event["dur"] for event in found[1:3]] == pytest.approx([5, 5], abs=0.01)


def test_each_job_is_a_process_of_its_own_in_the_viewer(tmp_path):
    written(tmp_path / "trace.json", stepped("first"), stepped("second"))
    events = json.loads((tmp_path / "trace.json").read_text())
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert names == {1: "job first", 2: "job second"}
    tracks = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert tracks == {1: "algorithm", 2: "dispatcher", 3: "quantum runtime"}


def test_a_job_without_steps_has_one_stage(tmp_path):
    found = written(tmp_path / "trace.json", (JobTrace("one", 10.0), 11.0))
    assert [event["name"] for event in found] == ["initialize"]


def test_a_file_without_jobs_is_an_empty_list(tmp_path):
    assert written(tmp_path / "trace.json") == []


def test_jobs_that_ended_are_in_the_file_before_it_is_complete(tmp_path):
    path = tmp_path / "trace.json"
    file = Waterfall(path, 10.0)
    file.add(*stepped())
    # The format allows for a list without its end.
    events = json.loads(path.read_text() + "]")
    file.close()
    assert len([event for event in events if event["ph"] == "X"]) == 9


def test_memory_is_bounded_and_the_file_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(waterfall, "MOST_STEPS", 3)
    found = written(tmp_path / "trace.json", stepped(steps=5))
    events = json.loads((tmp_path / "trace.json").read_text())
    assert [event["name"] for event in found].count("execute") == 3
    assert [event["name"] for event in events if event["ph"] == "i"] == ["the first 3 of 5 steps are shown"]
