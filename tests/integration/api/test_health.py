"""Whether the service lives and can be used, and its numbers."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hybrid_runtime.resources.backends import BackendStatus
from tests.integration.api.running import submit
from tests.integration.api.test_events import run


def test_the_api_says_that_it_lives(api):
    assert api.client(None).get("/health").json() == {"status": "ok", "reasons": []}


def test_a_service_whose_backend_has_a_runner_can_be_used(api):
    api.store.runs.heartbeat("qulacs", BackendStatus.IDLE, "")
    assert api.client(None).get("/ready").json()["status"] == "ok"


def test_a_service_without_a_runner_says_why_it_cannot_be_used(another):
    api = another(stale_s=0.001)
    answer = api.client(None).get("/ready")
    assert answer.status_code == 503
    assert re.search("no backend's runner was heard of", answer.json()["reasons"][0])


def metrics(text: str) -> dict[str, dict[tuple, float]]:
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text)
    }


def test_an_operator_reads_the_numbers_of_the_service(another):
    api = another()
    ada = api.client()
    run(api, submit(ada)["id"], steps=3)
    for _ in range(2):
        submit(ada)
    answer = api.client("olga").get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found = metrics(answer.text)
    assert found["hybrid_runtime_jobs"][("qulacs", "queued")] == 2
    assert found["hybrid_runtime_jobs_submitted"][()] == 3
    assert found["hybrid_runtime_jobs_claimed"][()] == 1
    assert found["hybrid_runtime_jobs_ended"] == {("completed",): 1, ("failed",): 0, ("cancelled",): 0}
    assert found["hybrid_runtime_steps"][()] == 3
    assert found["hybrid_runtime_queue_oldest_age_seconds"][("qulacs",)] >= 0
    assert found["hybrid_runtime_runner_heartbeat_age_seconds"][("qulacs",)] >= 0
    assert found["hybrid_runtime_backend_accepting"][("qulacs",)] == 1
    assert found["hybrid_runtime_event_streams"][()] == 0
    counted = [sample for labels, sample in found["hybrid_runtime_http_request_duration_seconds"].items()
               if labels[:3] == ("POST", "/v1/jobs", "201")]  # fmt: skip
    assert counted


def test_names_of_jobs_do_not_become_names_of_series(another):
    api = another()
    job_id = submit(api.client())["id"]
    api.client().get(f"/v1/jobs/{job_id}")
    api.client().get("/nothing/of/the/kind")
    text = api.client("olga").get("/metrics").text
    assert 'path="/v1/jobs/{job_id}"' in text
    assert job_id not in text
    assert "kind" not in text


@pytest.mark.parametrize(("networks", "status"), [([], 401), (["10.0.0.0/8"], 401), (["127.0.0.0/8"], 200)])
def test_who_asks_from_a_network_that_is_named_needs_no_token_for_the_numbers(another, networks, status):
    api = another(metrics_networks=networks)
    assert api.client(None).get("/metrics").status_code == status
