"""What can be asked of a job manager, one flow a question; paths and bodies are those of the REST API, version 1."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from hybrid_runtime.client.exchange import Flow, Request, ask, asked, decoded, json_body
from hybrid_runtime.errors import NotFound
from hybrid_runtime.resources.accounts import (
    NewToken,
    Project,
    ProjectRequest,
    ProjectRole,
    Token,
    TokenRequest,
    Usage,
    User,
    UserRequest,
    Whoami,
)
from hybrid_runtime.resources.algorithms import Algorithm, AlgorithmRequest, Bundle
from hybrid_runtime.resources.backends import Backend, BackendChange, Environment
from hybrid_runtime.resources.jobs import CancelRequest, ForkRequest, Job, JobChange, JobRequest, QueueEntry
from hybrid_runtime.resources.pages import Page
from hybrid_runtime.resources.records import LogLine, MetricPoint, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

# As many as the server gives at once.
_PAGE = 500


def get(path: str, shape: type[T], **query: Any) -> Flow[T]:
    """Ask for what is at this path; a query parameter that is None is left out."""
    return ask(Request(method="GET", path=path, query=_query(query)), shape)


def _post(path: str, body: Any, shape: type[T], *, key: str | None = None, method: str = "POST") -> Flow[T]:
    headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
    # Without a key the server cannot tell a request that was sent again from a second one.
    repeatable = key is not None or method != "POST"
    content = json_body(body)
    return ask(Request(method=method, path=path, headers=headers, content=content, repeatable=repeatable), shape)


def _delete(path: str) -> Flow[None]:
    yield from asked(Request(method="DELETE", path=path))


def _query(given: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in given.items() if value is not None}


def _named(*parts: str) -> str:
    """A path whose parts may be anything that users call things."""
    return "/v1/" + "/".join(quote(str(part), safe="") or "%00" for part in parts)


def body_of(request: Any) -> dict[str, Any]:
    """A request without the fields that say nothing, which a server of another version may not know."""
    return {field.name: value for field, value in _given(request)}


def _given(request: Any) -> Iterator[tuple[Any, Any]]:
    for field in fields(request):
        value = getattr(request, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if value != default:
            yield field, value


def everything(path: str, shape: type[T], **query: Any) -> Flow[list[T]]:
    """A list that has one page, or few."""
    return _paged(path, shape, None, "cursor", query)


def _first(path: str, shape: type[T], most: int | None, **query: Any) -> Flow[list[T]]:
    """The first `most` entries of a long list, or all of it."""
    return _paged(path, shape, most, "cursor", {"limit": min(most or _PAGE, _PAGE), **query})


def _after(path: str, shape: type[T], after: int, most: int | None, **query: Any) -> Flow[list[T]]:
    """What a job leaves: the list from behind the entry with that number."""
    return _paged(path, shape, most, "after", {"after": after, "limit": min(most or _PAGE, _PAGE), **query})


def _paged(path: str, shape: type[T], most: int | None, place: str, query: dict[str, Any]) -> Flow[list[T]]:
    found: list[T] = []
    while most is None or len(found) < most:
        page: Page[T] = yield from get(path, Page[shape], **query)  # type: ignore[valid-type]
        found += page.items
        if page.next is None or not page.items:
            break
        query = {**query, place: page.next}
    return found if most is None else found[:most]


# ------------------------------------------------------------------ accounts


def whoami() -> Flow[Whoami]:
    """Who the token speaks for."""
    return get("/v1/whoami", Whoami)


def users() -> Flow[list[User]]:
    """All users."""
    return everything("/v1/users", User)


def add_user(request: UserRequest) -> Flow[User]:
    """Make a user."""
    return _post("/v1/users", body_of(request), User)


def set_user(name: str, role: str | None, disabled: bool | None) -> Flow[User]:
    """Change a user; None leaves as it is."""
    change = {key: value for key, value in (("role", role), ("disabled", disabled)) if value is not None}
    return _post(_named("users", name), change, User, method="PATCH")


def tokens(user: str | None) -> Flow[list[Token]]:
    """Tokens, without their secrets."""
    return everything("/v1/tokens", Token, user=user)


def add_token(request: TokenRequest) -> Flow[NewToken]:
    """Make a token."""
    return _post("/v1/tokens", body_of(request), NewToken)


def revoke_token(token_id: str) -> Flow[None]:
    """End a token."""
    return _delete(_named("tokens", token_id))


def projects() -> Flow[list[Project]]:
    """The projects that one belongs to."""
    return everything("/v1/projects", Project)


def add_project(request: ProjectRequest) -> Flow[Project]:
    """Make a project."""
    return _post("/v1/projects", body_of(request), Project)


def set_member(project: str, user: str, role: ProjectRole) -> Flow[Project]:
    """Let a user into a project, or change what the user is there."""
    path = _named("projects", project, "members", user)
    return _post(path, {"role": role}, Project, method="PUT")


def remove_member(project: str, user: str) -> Flow[None]:
    """Take a user out of a project."""
    return _delete(_named("projects", project, "members", user))


def usage(project: str | None, since: float | None, until: float | None) -> Flow[list[Usage]]:
    """What was used."""
    return everything("/v1/usage", Usage, project=project, since=since, until=until)


# ------------------------------------------------------------------ backends


def backends() -> Flow[list[Backend]]:
    """All backends."""
    return everything("/v1/backends", Backend)


def backend(name: str) -> Flow[Backend]:
    """One backend."""
    return get(_named("backends", name), Backend)


def change_backend(name: str, change: BackendChange) -> Flow[Backend]:
    """Set what an operator may set."""
    return _post(_named("backends", name), body_of(change), Backend, method="PATCH")


def queue(name: str, limit: int | None) -> Flow[list[QueueEntry]]:
    """The jobs that wait for a backend, in their order."""
    return _first(_named("backends", name, "queue"), QueueEntry, limit)


def environments() -> Flow[list[Environment]]:
    """What algorithms find installed."""
    return everything("/v1/environments", Environment)


# ------------------------------------------------------------------ algorithms


def put_bundle(sha256: str, data: bytes) -> Flow[Bundle]:
    """Upload a bundle, unless the server has it."""
    try:
        return (yield from get(_named("bundles", sha256), Bundle))
    except NotFound:
        headers = {"content-type": "application/octet-stream"}
        request = Request(method="PUT", path=_named("bundles", sha256), headers=headers, content=data)
        return decoded((yield from asked(request)), Bundle)


def algorithms(project: str | None) -> Flow[list[Algorithm]]:
    """Named bundles."""
    return everything("/v1/algorithms", Algorithm, project=project)


def add_algorithm(request: AlgorithmRequest, data: bytes) -> Flow[Algorithm]:
    """Upload a bundle and name it."""
    yield from put_bundle(request.bundle, data)
    return (yield from _post("/v1/algorithms", body_of(request), Algorithm))


# ------------------------------------------------------------------ jobs


def submit(request: JobRequest, data: bytes | None, key: str) -> Flow[Job]:
    """Queue a job; its bundle goes before it."""
    if data is not None and request.bundle is not None:
        yield from put_bundle(request.bundle, data)
    return (yield from _post("/v1/jobs", body_of(request), Job, key=key))


def submit_many(requests: list[JobRequest], data: bytes | None, key: str) -> Flow[list[Job]]:
    """Queue jobs that share a bundle: all of them, or none."""
    if data is not None and requests and requests[0].bundle is not None:
        yield from put_bundle(requests[0].bundle, data)
    bodies = {"jobs": [body_of(request) for request in requests]}
    answer = yield from _post("/v1/jobs/batch", bodies, dict[str, list[Job]], key=key)
    return answer["jobs"]


def jobs(limit: int | None, **filters: Any) -> Flow[list[Job]]:
    """Jobs, the newest first."""
    return _first("/v1/jobs", Job, limit, **filters)


def job(job_id: str) -> Flow[Job]:
    """One job."""
    return get(_named("jobs", job_id), Job)


def cancel(job_id: str, kill: bool) -> Flow[Job]:
    """Stop a job."""
    return _post(_named("jobs", job_id, "cancel"), body_of(CancelRequest(kill=kill)), Job)


def pause(job_id: str) -> Flow[Job]:
    """Let a job give its place up after the step under way."""
    return _post(_named("jobs", job_id, "pause"), {}, Job)


def resume(job_id: str) -> Flow[Job]:
    """Queue a paused job again."""
    return _post(_named("jobs", job_id, "resume"), {}, Job)


def fork(job_id: str, request: ForkRequest) -> Flow[Job]:
    """Queue a job that begins with another's first steps."""
    return _post(_named("jobs", job_id, "fork"), body_of(request), Job)


def history(job_id: str) -> Flow[list[JobChange]]:
    """The states a job was in."""
    return everything(_named("jobs", job_id, "history"), JobChange)


def steps(job_id: str, after: int, limit: int | None) -> Flow[list[Step]]:
    """What was asked and answered."""
    return _after(_named("jobs", job_id, "steps"), Step, after, limit)


def raw(job_id: str, step: int) -> Flow[bytes]:
    """The results of a step as they are in its journal."""
    answer = yield from asked(Request(method="GET", path=_named("jobs", job_id, "steps", str(step), "raw")))
    return answer.content


def logs(job_id: str, after: int, limit: int | None) -> Flow[list[LogLine]]:
    """What a job printed and logged."""
    return _after(_named("jobs", job_id, "logs"), LogLine, after, limit)


def metrics(job_id: str, after: int, limit: int | None, name: str | None) -> Flow[list[MetricPoint]]:
    """What a job reported."""
    return _after(_named("jobs", job_id, "metrics"), MetricPoint, after, limit, name=name)
