"""Every operation refuses a token that is not valid, and shows nothing of another tenant.

The operations are those of the OpenAPI description: one that is added is tested here, or the tests fail until it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from hybrid_runtime.api.app import description
from hybrid_runtime.resources.accounts import TokenRequest
from tests.integration.api.running import Api, bundle, submit, upload

OPERATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in description()["paths"].items()
    for method, operation in operations.items()
}
GUARDED = sorted(name for name, (_, _, operation) in OPERATIONS.items() if operation["security"])
OPEN = sorted(set(OPERATIONS) - set(GUARDED))

# What another tenant may ask: the same for everybody, or made of what is the asker's own.
SHARED = {
    "whoami", "listJobs", "listAlgorithms", "listProjects", "listTokens", "getUsage",
    "listBackends", "getBackend", "getQueue", "listEnvironments",
    "submitJob", "submitJobs", "addToken",
}  # fmt: skip
# What takes a role that neither tenant has.
OFFICES = {"listUsers", "addUser", "changeUser", "addProject", "changeBackend", "listAudit", "getMetrics"}
# The rest is about a thing of somebody's, with the body that the operation takes.
OWNED: dict[str, Any] = {
    "getJob": None, "cancelJob": {"kill": True}, "pauseJob": None, "resumeJob": None, "getJobHistory": None,
    "forkJob": {"step": 0}, "getResult": None, "listSteps": None, "getStepRaw": None, "listLogs": None,
    "listMetrics": None, "watchJob": None, "getBundle": None, "getBundleContent": None, "getAlgorithm": None,
    "addAlgorithm": {"name": "taken", "bundle": "SHA256"}, "getProject": None, "setMember": {"role": "owner"},
    "removeMember": None, "revokeToken": None,
}  # fmt: skip
# Uploading the same bytes is making them one's own: it tells nothing that the uploader did not know.
CONTENT = {"putBundle"}


def test_every_operation_is_in_one_of_the_tables():
    assert sorted([*SHARED, *OFFICES, *OWNED, *CONTENT]) == GUARDED
    assert OPEN == ["getHealth", "getReadiness"]


@dataclass
class World:
    """What is ada's."""

    api: Api
    job: str
    sha256: str
    token: str
    bad: dict[str, str | None]

    def path(self, template: str) -> str:
        values = {
            "job_id": self.job,
            "sha256": self.sha256,
            "project": "ada",
            "user": "ada",
            "token_id": self.token,
            "number": "1",
            "name": "taken",
        }
        return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], template)

    def body(self, given: Any) -> Any:
        return {**given, "bundle": self.sha256, "project": "ada"} if given and "bundle" in given else given


@pytest.fixture(scope="module")
def world(api: Api) -> World:
    ada = api.client("ada")
    sha256 = upload(ada, bundle("secret_of_ada"))
    named = ada.post("/v1/algorithms", json={"name": "taken", "bundle": sha256, "project": "ada"})
    assert named.status_code == 201, named.text
    job = submit(ada, project="ada", name="secret of ada")["id"]
    accounts = api.store.accounts
    revoked = accounts.add_token(api.admin, TokenRequest(user="ada"))
    accounts.revoke_token(api.admin, revoked.token.id)
    api.add_user("gone")
    accounts.set_user(api.admin, "gone", disabled=True)
    secret = api.secrets["ada"]
    bad = {
        "missing": None,
        "wrong": f"Bearer {secret[:-1]}{'a' if secret[-1] != 'a' else 'b'}",
        "unknown": "Bearer qir_0123456789abcdef_" + "x" * 43,
        "empty": "Bearer",
        "another scheme": f"Basic {secret}",
        "without a scheme": secret,
        # It has expired by the time that anybody can use it.
        "expired": f"Bearer {accounts.add_token(api.admin, TokenRequest(user='ada', expires_in_s=1e-6)).secret}",
        "revoked": f"Bearer {revoked.secret}",
        "of a disabled user": f"Bearer {api.secrets['gone']}",
    }
    token = accounts.whoami(api.who("ada")).token.id
    return World(api, job, sha256, token, bad)


KINDS = ["missing", "wrong", "unknown", "empty", "another scheme", "without a scheme", "expired", "revoked",
         "of a disabled user"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GUARDED)
def test_an_operation_refuses_a_token_that_is_not_valid(world, name, kind):
    method, path, _ = OPERATIONS[name]
    token = world.bad[kind]
    headers = {} if token is None else {"Authorization": token}
    answer = world.api.client(None).request(method, world.path(path), headers=headers)
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["kind"] == "Unauthenticated"


@pytest.mark.parametrize("name", sorted(OWNED))
def test_what_is_another_tenants_does_not_exist(world, name):
    method, path, _ = OPERATIONS[name]
    bob = world.api.client("bob")
    answer = bob.request(method, world.path(path), json=world.body(OWNED[name]))
    assert answer.status_code == 404, answer.text
    assert answer.json()["kind"] == "NotFound"
    assert "secret" not in answer.text


@pytest.mark.parametrize("name", sorted(OWNED))
def test_what_is_another_tenants_looks_like_what_is_not_there(world, name):
    method, path, _ = OPERATIONS[name]
    bob = world.api.client("bob")
    body = world.body(OWNED[name])

    def told(of: World) -> str:
        answer = bob.request(method, of.path(path), json=body)
        text: str = answer.json()["detail"]
        for value in (world.job, world.sha256, world.token, "nothing", "0" * 64, "ada", "taken"):
            text = text.replace(value, "…")
        return f"{answer.status_code} {text}"

    nothing = World(world.api, "nothing", "0" * 64, "nothing", {})
    if body and "bundle" in body:
        # Only the bundle is not there.
        body = {**body, "project": "bob"}
        theirs, body = told(world), {**body, "bundle": "0" * 64}
        assert theirs == told(nothing)
    else:
        assert told(world) == told(nothing)


@pytest.mark.parametrize("name", sorted(OFFICES))
def test_an_office_is_not_for_users(world, name):
    method, path, _ = OPERATIONS[name]
    bodies = {"addUser": {"name": "eve"}, "addProject": {"name": "eve"}, "changeUser": {"role": "admin"},
              "changeBackend": {"accepting": False}}  # fmt: skip
    path = path.replace("{name}", "qulacs" if name == "changeBackend" else "bob")
    answer = world.api.client("bob").request(method, path, json=bodies.get(name))
    assert answer.status_code == 403, answer.text
    assert answer.json()["kind"] == "Forbidden"


@pytest.mark.parametrize("name", sorted(name for name in SHARED if OPERATIONS[name][0] == "GET"))
def test_what_everybody_may_ask_shows_nothing_of_another_tenant(world, name):
    _, path, _ = OPERATIONS[name]
    answer = world.api.client("bob").get(path.replace("{name}", "qulacs"))
    assert answer.status_code == 200, answer.text
    for secret in (world.job, world.sha256, world.token, "secret of ada", "taken"):
        assert secret not in answer.text


@pytest.mark.parametrize("project", ["ada", "nothing"])
def test_a_job_cannot_be_submitted_into_the_project_of_another_tenant(world, project):
    answer = world.api.client("bob").post("/v1/jobs", json={"backend": "qulacs", "circuit": "x", "project": project})
    assert answer.status_code == 404, answer.text


def test_a_job_cannot_run_the_bundle_of_another_tenant(world):
    answer = world.api.client("bob").post("/v1/jobs", json={"backend": "qulacs", "bundle": world.sha256})
    assert answer.status_code == 404, answer.text


def test_a_token_cannot_be_made_for_another_tenant(world):
    answer = world.api.client("bob").post("/v1/tokens", json={"user": "ada"})
    assert answer.status_code == 403, answer.text


def test_lists_filtered_by_another_tenant_show_nothing(world):
    bob = world.api.client("bob")
    assert bob.get("/v1/tokens?user=ada").status_code == 403
    for query in ("user=ada", f"name={httpx.QueryParams(name='secret of ada')['name']}", "backend=qulacs"):
        assert world.job not in bob.get(f"/v1/jobs?{query}").text
    assert bob.get("/v1/jobs?project=ada").status_code == 404
    assert bob.get("/v1/usage?project=ada").status_code == 404


def test_a_token_that_is_revoked_is_refused_from_the_next_request_on(world):
    ada = world.api.client("ada")
    made = ada.post("/v1/tokens", json={"label": "short"}).json()
    with httpx.Client(base_url=world.api.url, headers={"Authorization": f"Bearer {made['secret']}"}) as other:
        assert other.get("/v1/whoami").status_code == 200
        assert ada.delete(f"/v1/tokens/{made['token']['id']}").status_code == 204
        assert other.get("/v1/whoami").status_code == 401


def test_the_open_operations_take_no_token_and_do_not_look_at_one(world):
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        client = world.api.client(None)
        assert client.get("/health", headers=headers).status_code == 200
        assert client.get("/ready", headers=headers).status_code in (200, 503)
        assert client.get("/openapi.json", headers=headers).status_code == 200
