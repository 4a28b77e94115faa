"""A job from its submission to its result, as it is seen over HTTP."""

from __future__ import annotations

import hashlib
import threading

import httpx
import msgspec
import pytest

from hybrid_runtime.dispatcher.journal import Fsync, Journal, Noted, Stepped
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.bundles import content_hash
from hybrid_runtime.protocol.messages import ResultData
from hybrid_runtime.protocol.replay import Request
from hybrid_runtime.resources.algorithms import Bundle
from hybrid_runtime.resources.jobs import Job, JobChange
from hybrid_runtime.resources.pages import Page
from hybrid_runtime.resources.records import LogLine, MetricPoint, Result, Step
from tests.integration.api.running import CIRCUIT, Api, bundle, submit, upload

LEASE_S = 60.0


def claim(api: Api, job_id: str):
    """Take the job as a runner does; those before it in the queue are taken, too."""
    while (claimed := api.store.runs.claim("qulacs", "runner", LEASE_S)) is not None:
        if claimed.job_id == job_id:
            return claimed
    raise AssertionError(f"job {job_id} is not in the queue")


def result_of(job_id: str, value: object = 42) -> Result:
    return Result(
        job_id=job_id,
        state=JobState.COMPLETED,
        stop_reason=StopReason.DONE,
        result=value,
        error=None,
        steps=3,
        shots=30,
        metrics={"energy": [1.0, 0.5]},
        backend="qulacs",
        seed=1,
        isolation="strict",
        timing={},
    )


def test_a_job_is_accepted_found_and_seen_in_the_queue(another):
    api = another()
    ada = api.client()
    first, second = submit(ada, name="first"), submit(ada, name="second")
    assert first["state"] == "queued"
    job = msgspec.convert(ada.get(f"/v1/jobs/{second['id']}").json(), Job)
    assert job.position == 2
    assert job.waiting_for
    found = msgspec.convert(ada.get("/v1/jobs").json(), Page[Job])
    assert [one.name for one in found.items] == ["second", "first"]
    queue = ada.get("/v1/backends/qulacs/queue").json()["items"]
    assert [(one["position"], one["job_id"]) for one in queue] == [(1, first["id"]), (2, second["id"])]
    theirs = api.client("bob").get("/v1/backends/qulacs/queue").json()["items"]
    assert [(one["position"], one["job_id"], one["user"]) for one in theirs] == [(1, None, None), (2, None, None)]


def test_a_list_is_read_page_by_page_to_its_end(another):
    ada = another().client()
    jobs = [{"backend": "qulacs", "circuit": CIRCUIT, "name": str(number)} for number in range(25)]
    accepted = ada.post("/v1/jobs/batch", json={"jobs": jobs}).json()["jobs"]
    assert [job["name"] for job in accepted] == [str(number) for number in range(25)]
    names, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        query = {"limit": 10} if cursor is None else {"limit": 10, "cursor": cursor}
        page = ada.get("/v1/jobs", params=query).json()
        names += [job["name"] for job in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert names == [str(number) for number in reversed(range(25))]
    assert pages == 3


def test_an_uploaded_bundle_is_kept_once_described_and_given_back(api):
    ada = api.client()
    data = bundle("kept")
    sha256 = content_hash(data)
    headers = {"Content-Type": "application/octet-stream"}
    answers = [ada.put(f"/v1/bundles/{sha256}", content=data, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    described = msgspec.convert(ada.get(f"/v1/bundles/{sha256}").json(), Bundle)
    assert (described.sha256, described.size, described.python) == (sha256, len(data), "3.11")
    content = ada.get(f"/v1/bundles/{sha256}/content")
    assert content.headers["content-type"] == "application/octet-stream"
    assert hashlib.sha256(content.content).hexdigest() == sha256


def test_the_versions_of_an_algorithm_count_up(api):
    ada = api.client()
    for version in (1, 2):
        body = {"name": "scan", "bundle": upload(ada, bundle(f"version{version}"))}
        answer = ada.post("/v1/algorithms", json=body)
        assert answer.status_code == 201
        assert [one["version"] for one in answer.json()["versions"]] == list(range(version, 0, -1))
    assert submit(ada, circuit=None, algorithm="scan")["algorithm"] == "scan@2"
    assert submit(ada, circuit=None, algorithm="scan@1")["algorithm"] == "scan@1"


def test_a_job_that_runs_is_followed_and_leaves_its_result(another):
    api = another()
    ada = api.client()
    job_id = submit(ada)["id"]
    claimed = claim(api, job_id)
    runs = api.store.runs
    runs.report(job_id, claimed.fence, state=JobState.RUNNING, steps=3, shots=30, qpu_s=0.5)
    runs.report(job_id, claimed.fence, logs=[("stdout", f"line {number}") for number in range(5)])
    runs.report(job_id, claimed.fence, metrics=[("energy", 1.0), ("gradient", 0.1), ("energy", 0.5)])
    job = msgspec.convert(ada.get(f"/v1/jobs/{job_id}").json(), Job)
    assert (job.state, job.steps, job.shots_done) == (JobState.RUNNING, 3, 30)
    assert ada.get(f"/v1/jobs/{job_id}/result").status_code == 409
    runs.finish(job_id, claimed.fence, result_of(job_id, {"energy": 0.5}))
    result = msgspec.convert(ada.get(f"/v1/jobs/{job_id}/result").json(), Result)
    assert (result.state, result.result) == (JobState.COMPLETED, {"energy": 0.5})
    lines = msgspec.convert(ada.get(f"/v1/jobs/{job_id}/logs?limit=3").json(), Page[LogLine])
    assert [line.text for line in lines.items] == ["line 0", "line 1", "line 2"]
    lines = msgspec.convert(ada.get(f"/v1/jobs/{job_id}/logs?limit=3&after={lines.next}").json(), Page[LogLine])
    assert [line.text for line in lines.items] == ["line 3", "line 4"]
    assert lines.next is None
    points = msgspec.convert(ada.get(f"/v1/jobs/{job_id}/metrics?name=energy").json(), Page[MetricPoint])
    assert [point.value for point in points.items] == [1.0, 0.5]
    history = msgspec.convert(ada.get(f"/v1/jobs/{job_id}/history").json(), Page[JobChange])
    assert history.items[0].state == JobState.QUEUED
    assert history.items[-1].state == JobState.COMPLETED


def test_who_waits_for_a_result_gets_it_when_it_is_there(another):
    api = another()
    ada = api.client()
    job_id = submit(ada)["id"]
    assert ada.get(f"/v1/jobs/{job_id}/result?wait=0.01").status_code == 409
    claimed = claim(api, job_id)
    answers: list[httpx.Response] = []
    asked = threading.Thread(target=lambda: answers.append(ada.get(f"/v1/jobs/{job_id}/result?wait=30")))
    asked.start()
    api.store.runs.finish(job_id, claimed.fence, result_of(job_id))
    asked.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["result"] == 42


def test_a_queued_job_is_paused_resumed_and_cancelled(api):
    ada = api.client()
    job_id = submit(ada)["id"]
    assert ada.post(f"/v1/jobs/{job_id}/pause").json()["state"] == "paused"
    assert ada.post(f"/v1/jobs/{job_id}/resume").json()["state"] == "queued"
    # A body may be left out, or say how.
    assert ada.post(f"/v1/jobs/{job_id}/cancel", json={"kill": True}).json()["state"] == "cancelled"
    answer = ada.post(f"/v1/jobs/{job_id}/pause")
    assert answer.status_code == 409
    assert answer.json()["kind"] == "Conflict"
    other = submit(ada)["id"]
    assert ada.post(f"/v1/jobs/{other}/cancel").json()["state"] == "cancelled"


def journal_of(api: Api, job_id: str) -> Journal:
    folder = api.folder / "jobs" / job_id
    folder.mkdir(parents=True, exist_ok=True)
    return Journal(folder / "journal.bin", Fsync.NEVER)


def step(number: int) -> Stepped:
    call = Request(b"\xb4\xe1", 10, 1, msgspec.msgpack.encode(0)[:0] + bytes(8), False)
    results = [ResultData({"0": number, "1": 10}, 10, 0.5, 7)]
    encode = msgspec.msgpack.encode
    return Stepped(number, encode([call]), msgspec.Raw(encode(results)), 10, 0.5)


def test_steps_are_read_from_the_journal_while_it_is_written(api):
    ada = api.client()
    job_id = submit(ada)["id"]
    assert ada.get(f"/v1/jobs/{job_id}/steps").json() == {"items": [], "next": None}
    journal = journal_of(api, job_id)
    for number in range(1, 1001):
        journal.append(Noted([("energy", 1.0)], []))
        journal.append(step(number))
    page = msgspec.convert(ada.get(f"/v1/jobs/{job_id}/steps?limit=2").json(), Page[Step])
    assert [one.number for one in page.items] == [1, 2]
    assert page.items[1].requests == [{"program": "b4e1", "shots": 10, "rows": 1, "values": [0.0]}]
    assert page.items[1].results[0]["counts"] == {"0": 2, "1": 10}
    assert page.next == "2"
    page = msgspec.convert(ada.get(f"/v1/jobs/{job_id}/steps?after=998").json(), Page[Step])
    assert [one.number for one in page.items] == [999, 1000]
    assert page.next is None
    journal.append(step(1001))
    page = msgspec.convert(ada.get(f"/v1/jobs/{job_id}/steps?after=1000").json(), Page[Step])
    assert [one.number for one in page.items] == [1001]
    journal.close()
    assert len(ada.get(f"/v1/jobs/{job_id}/steps?limit=1000").json()["items"]) == 1000


@pytest.mark.parametrize("number", [1, 299, 300])
def test_a_steps_results_are_given_as_they_were_recorded(api, number):
    ada = api.client()
    job_id = submit(ada)["id"]
    journal = journal_of(api, job_id)
    for one in range(1, 301):
        journal.append(step(one))
    answer = ada.get(f"/v1/jobs/{job_id}/steps/{number}/raw")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content == bytes(step(number).items)
    assert ada.get(f"/v1/jobs/{job_id}/steps/301/raw").status_code == 404
    journal.close()


def test_a_journal_that_is_damaged_is_a_fault_that_shows_no_path(api):
    ada = api.client()
    job_id = submit(ada)["id"]
    journal_of(api, job_id).close()
    (api.folder / "jobs" / job_id / "journal.bin").write_bytes(b"something else")
    answer = ada.get(f"/v1/jobs/{job_id}/steps")
    assert answer.status_code == 500
    assert str(api.folder) not in answer.text
    assert answer.json()["instance"].removeprefix("urn:request:") in (api.folder / "api.log").read_text()
