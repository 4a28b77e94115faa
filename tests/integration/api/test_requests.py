"""What is wrong with a request is said, in the form of a problem, before anything is done."""

from __future__ import annotations

import json

import pytest

from hybrid_runtime.protocol.bundles import content_hash
from tests.integration.api.running import CIRCUIT, Api, bundle, connected, head, read_all, submit

JSON = {"Content-Type": "application/json"}


def problem(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["action"]
    assert found["instance"] == f"urn:request:{answer.headers['x-request-id']}"
    return found


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/jobs/", "/v2/jobs", "/v1/jobs/a/b/c", "/docs/x"])
def test_an_unknown_path_is_not_found(api, path):
    assert problem(api.client().get(path), 404)["kind"] == "NotFound"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", "GET, POST"),
        ("DELETE", "/v1/backends/qulacs", "GET, PATCH"),
        ("POST", "/health", "GET"),
        ("PATCH", "/v1/jobs/batch", "POST"),
    ],
)
def test_a_method_that_a_path_does_not_know_is_refused_with_those_that_it_knows(api, method, path, allowed):
    answer = api.client().request(method, path)
    problem(answer, 405)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"circuit": "x"}, "body.backend"),
        ({"backend": "qulacs", "circuit": "x", "shotz": 1}, "body.shotz"),
        ({"backend": "qulacs", "circuit": "x", "shots": "1"}, "body.shots"),
        ({"backend": "qulacs", "circuit": "x", "shots": 1.5}, "body.shots"),
        ({"backend": "qulacs", "circuit": "x", "shots": True}, "body.shots"),
        ({"backend": "qulacs", "circuit": "x", "shots": 0}, "body.shots"),
        ({"backend": "qulacs", "circuit": "x", "shots": 1 << 70}, "body.shots"),
        ({"backend": "qulacs", "circuit": "x", "seed": -1}, "body.seed"),
        ({"backend": "qulacs", "circuit": "x", "priority": "urgent"}, "body.priority"),
        ({"backend": "qulacs", "circuit": "x", "start_after": -1}, "body.start_after"),
        ({"backend": "qulacs", "circuit": "x", "keep_requests": "yes"}, "body.keep_requests"),
        ({"backend": "qulacs", "circuit": "x", "name": "x" * 201}, "body.name"),
        ({"backend": "qulacs", "circuit": "x", "parameters": []}, "body.parameters"),
        ({"backend": "qulacs", "bundle": "../etc/passwd"}, "body.bundle"),
        ({"backend": ["qulacs"], "circuit": "x"}, "body.backend"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(api, body, field):
    found = problem(api.client().post("/v1/jobs", json=body), 422)
    assert field in [one["field"] for one in found["fields"]]
    assert field in found["detail"]


def test_all_fields_that_cannot_be_used_are_named_at_once(api):
    found = problem(api.client().post("/v1/jobs", json={"shots": 0, "seed": -1, "what": 1}), 422)
    assert [one["field"] for one in found["fields"]] == ["body.backend", "body.shots", "body.seed", "body.what"]


@pytest.mark.parametrize("body", [{}, {"circuit": "x", "bundle": "0" * 64}, {"limits": {"stepz": 1}, "circuit": "x"}])
def test_a_job_that_says_not_exactly_what_it_runs_and_how_long_is_refused(api, body):
    assert problem(api.client().post("/v1/jobs", json={"backend": "qulacs", **body}), 422)["detail"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "since=never", "state=lost", "cursor=%00"])
def test_a_parameter_that_cannot_be_used_is_named(api, query):
    found = problem(api.client().get(f"/v1/jobs?{query}"), 422)
    assert found["fields"][0]["field"] == f"query.{query.partition('=')[0]}"


def test_a_parameter_that_is_not_known_is_named_with_those_that_are(api):
    found = problem(api.client().get("/v1/jobs?stat=queued"), 422)
    assert "query.stat" in found["detail"]
    assert "state" in found["detail"]


@pytest.mark.parametrize("body", [b"{", b"NaN", b'{"backend": NaN}', b"\xff", b'{"a": 1e999}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_malformed(api, body):
    problem(api.client().post("/v1/jobs", content=body, headers=JSON), 400)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml", "jsonp"])
def test_another_content_type_is_refused_with_the_one_that_is_taken(api, kind):
    headers = {"Content-Type": kind} if kind else {}
    answer = api.client().post("/v1/jobs", content=b'{"backend": "qulacs"}', headers=headers)
    assert "application/json" in problem(answer, 415)["detail"]


def test_the_charset_of_the_content_type_does_not_matter(api):
    body = json.dumps({"backend": "qulacs", "circuit": CIRCUIT})
    answer = api.client().post("/v1/jobs", content=body, headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 201


def test_a_body_where_none_is_taken_is_left_alone(api):
    assert api.client().request("GET", "/v1/whoami", content=b"{").status_code == 200


def test_a_bundle_of_another_content_is_refused(api):
    headers = {"Content-Type": "application/octet-stream"}
    found = problem(api.client().put(f"/v1/bundles/{'0' * 64}", content=bundle(), headers=headers), 422)
    assert content_hash(bundle()) in found["detail"]


@pytest.mark.parametrize("data", [b"", b"no bundle", bytes(1000)])
def test_what_is_no_bundle_is_refused(api, data):
    headers = {"Content-Type": "application/octet-stream"}
    assert problem(api.client().put(f"/v1/bundles/{content_hash(data)}", content=data, headers=headers), 422)


def test_a_bundle_in_json_is_refused(api):
    problem(api.client().put(f"/v1/bundles/{content_hash(b'{}')}", json={}), 415)


def raw(api: Api, request: bytes) -> bytes:
    """What is answered to these bytes, until the connection is closed."""
    with connected(api, request) as sock:
        return read_all(sock)


@pytest.mark.parametrize(
    ("path", "most"), [("/v1/jobs", 1000), ("/v1/jobs/batch", 5000), (f"/v1/bundles/{'0' * 64}", 5000)]
)
def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(another, path, most):
    api = another(max_json_bytes=1000, max_body_bytes=5000)
    method = "PUT" if "bundles" in path else "POST"
    # Nothing of the body follows: an answer that waited for it would not come.
    answer = raw(api, head(api, method, path, "Content-Type: application/json", f"Content-Length: {most + 1}"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()
    assert f"{most} bytes".encode() in answer


def test_a_body_that_turns_out_too_large_is_refused_in_its_middle(another):
    api = another(max_json_bytes=1000)
    begin = head(api, "POST", "/v1/jobs", "Content-Type: application/json", "Transfer-Encoding: chunked")
    # The last chunk never comes.
    answer = raw(api, begin + b"".join(b"100\r\n" + b"x" * 256 + b"\r\n" for _ in range(4)))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


def test_a_body_of_just_the_size_that_is_taken_is_taken(another):
    api = another(max_json_bytes=1000)
    body = json.dumps({"backend": "qulacs", "circuit": CIRCUIT}).encode().ljust(1000)
    assert api.client().post("/v1/jobs", content=body, headers=JSON).status_code == 201
    problem(api.client().post("/v1/jobs", content=body + b" ", headers=JSON), 413)


def test_nothing_of_a_body_is_read_for_who_has_no_token(api):
    request = head(api, "PUT", f"/v1/bundles/{'0' * 64}", "Content-Length: 1000000")
    answer = raw(api, request.replace(b"Bearer", b"Nobody"))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer.lower()


def test_who_asks_too_often_is_told_when_to_come_back_and_others_are_not_held_up(another):
    api = another(rate_per_s=0.1, burst=3)
    ada, bob = api.client("ada"), api.client("bob")
    assert [ada.get("/v1/whoami").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = ada.get("/v1/whoami")
    assert problem(answer, 429)["kind"] == "QuotaExceeded"
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert bob.get("/v1/whoami").status_code == 200
    # The health of the service is not a matter of tokens.
    assert ada.get("/health").status_code == 200


def test_a_batch_of_too_many_jobs_is_refused(another):
    api = another(max_batch=2)
    job = {"backend": "qulacs", "circuit": CIRCUIT}
    assert "at most 2" in problem(api.client().post("/v1/jobs/batch", json={"jobs": [job] * 3}), 422)["detail"]
    assert api.client().post("/v1/jobs/batch", json={"jobs": [job] * 2}).status_code == 201


def test_of_a_batch_with_a_job_that_cannot_be_used_nothing_is_accepted(api):
    ada = api.client()
    jobs = [{"backend": "qulacs", "circuit": CIRCUIT, "name": "in a batch"}, {"backend": "nowhere", "circuit": "x"}]
    assert ada.post("/v1/jobs/batch", json={"jobs": jobs}).status_code in (404, 422)
    assert ada.get("/v1/jobs?name=in+a+batch").json()["items"] == []


def test_a_submission_that_is_sent_twice_makes_one_job(api):
    ada = api.client()
    body = {"backend": "qulacs", "circuit": CIRCUIT, "name": "once"}
    key = {"Idempotency-Key": "key-1"}
    first, second = (ada.post("/v1/jobs", json=body, headers=key) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    assert len(ada.get("/v1/jobs?name=once").json()["items"]) == 1
    problem(ada.post("/v1/jobs", json={**body, "shots": 1}, headers=key), 409)


def test_what_is_logged_of_a_request_is_one_json_object(another):
    api = another()
    job = submit(api.client())
    api.stop()
    lines = [line.partition(" ")[2] for line in (api.folder / "api.log").read_text().splitlines()
             if line.startswith("hybrid_runtime.access ")]  # fmt: skip
    entry = json.loads(lines[-1])
    assert (entry["method"], entry["path"], entry["status"], entry["user"]) == ("POST", "/v1/jobs", 201, "ada")
    assert api.secrets["ada"] not in (api.folder / "api.log").read_text()
    assert job["id"]


def test_a_head_that_does_not_end_is_not_waited_for(another):
    api = another(stall_s=0.3)
    with connected(api, b"GET /health HTTP/1.1\r\nHost:") as sock:
        assert read_all(sock) == b""
    # Nor after a request that was answered.
    with connected(api, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n") as sock:
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        sock.sendall(b"GET /hea")
        assert b"HTTP/1.1" not in read_all(sock)


def test_a_body_that_does_not_come_is_not_waited_for(another):
    api = another(stall_s=0.3)
    with connected(api, head(api, "POST", "/v1/jobs", "Content-Type: application/json", "Content-Length: 9")) as sock:
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"too slowly" in answer
    assert api.client().get("/v1/whoami").status_code == 200
