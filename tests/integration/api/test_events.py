"""What happens to a job is told to everybody who watches, as it happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from hybrid_runtime.job import JobState
from tests.integration.api.running import PATIENCE_S, Api, connected, head, read_all, submit
from tests.integration.api.test_jobs import claim, result_of


@contextmanager
def watching(api: Api, job_id: str, **headers: str) -> Iterator[httpx.Response]:
    with api.client().stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        yield answer


def events(answer: httpx.Response) -> list[tuple[int, str]]:
    """Id and type of every event, to the end of the stream."""
    found, number = [], 0
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            number = int(value)
        elif name == "event":
            found.append((number, value))
    return found


def run(api: Api, job_id: str, steps: int = 3) -> None:
    """Run a job as a runner does."""
    claimed = claim(api, job_id)
    for number in range(1, steps + 1):
        progress = {"steps": number, "shots": 10 * number}
        api.store.runs.report(
            job_id, claimed.fence, state=JobState.RUNNING, events=[("progress", progress)], **progress
        )
    api.store.runs.finish(job_id, claimed.fence, result_of(job_id))


def test_a_job_is_watched_to_its_end(another):
    api = another()
    job_id = submit(api.client())["id"]
    with watching(api, job_id) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        running = threading.Thread(target=run, args=(api, job_id))
        running.start()
        found = events(answer)
        running.join()
    numbers = [number for number, _ in found]
    assert numbers == sorted(set(numbers))
    kinds = [kind for _, kind in found]
    assert kinds[-1] == "ended"
    assert "state" in kinds
    assert "progress" in kinds


def test_a_stream_that_broke_is_resumed_without_a_gap(another):
    api = another()
    job_id = submit(api.client())["id"]
    run(api, job_id)
    with watching(api, job_id) as answer:
        everything = events(answer)
    for number, _ in everything[:-1]:
        with watching(api, job_id, **{"Last-Event-ID": str(number)}) as answer:
            assert events(answer) == [one for one in everything if one[0] > number]


def test_a_job_that_has_ended_has_nothing_more_to_tell(another):
    api = another()
    job_id = submit(api.client())["id"]
    run(api, job_id)
    with watching(api, job_id) as answer:
        last = events(answer)[-1][0]
    # 204 keeps browsers from coming back for ever.
    assert api.client().get(f"/v1/jobs/{job_id}/events?after={last}").status_code == 204


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=1000000"])
def test_an_event_that_is_none_is_refused(api, query):
    job_id = submit(api.client())["id"]
    answer = api.client().get(f"/v1/jobs/{job_id}/events?{query}")
    assert answer.status_code == 422, answer.text


def test_fifty_watchers_see_the_same(another):
    api = another()
    job_id = submit(api.client())["id"]
    found: list[list[tuple[int, str]]] = []
    connected = threading.Semaphore(0)

    def watch() -> None:
        with watching(api, job_id) as answer:
            connected.release()
            found.append(events(answer))

    threads = [threading.Thread(target=watch) for _ in range(50)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert connected.acquire(timeout=PATIENCE_S)
    run(api, job_id, steps=20)
    for thread in threads:
        thread.join()
    assert len(found) == 50
    assert all(one == found[0] for one in found)
    assert found[0][-1][1] == "ended"


def test_a_quiet_stream_shows_that_it_lives(api):
    job_id = submit(api.client())["id"]
    with watching(api, job_id) as answer:
        assert ": still here" in answer.iter_lines()


def test_streams_end_at_once_when_the_service_is_stopped(another):
    api = another()
    job_id = submit(api.client())["id"]
    with watching(api, job_id) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        api.process.terminate()
        kinds = [line for line in lines if line.startswith("event: ")]
    assert "event: ended" not in kinds
    assert api.stop() == 0


def test_a_request_under_way_is_answered_when_the_service_is_stopped(another):
    api = another()
    job_id = submit(api.client())["id"]
    # It waits for the result of a job that does not end.
    with connected(api, head(api, "GET", f"/v1/jobs/{job_id}/result?wait=60")) as sock:
        # Over a connection that came after it: what was sent before is read before this is answered.
        assert httpx.get(f"{api.url}/health").status_code == 200
        assert api.stop() == 0
        assert read_all(sock).startswith(b"HTTP/1.1 409 ")
