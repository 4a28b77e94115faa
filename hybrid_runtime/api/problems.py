"""Errors as they are answered: RFC 9457 problems, one table for their status, and how OpenAPI shows them."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from hybrid_runtime.errors import (
    BackendUnknown,
    CircuitRejected,
    Conflict,
    Forbidden,
    HybridRuntimeError,
    InvalidInput,
    NotFound,
    QuotaExceeded,
    ResultNotEncodable,
    Unauthenticated,
    Unavailable,
)
from hybrid_runtime.resources.problem import FieldProblem, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)
_MOST_FIELDS = 20
_RETRY_S = 1.0


class Kind(NamedTuple):
    """How errors of one class are answered."""

    status: int
    title: str
    action: str


# The first class of an error's bases that stands here decides.
_KINDS: dict[type[BaseException], Kind] = {
    NotFound: Kind(404, "Not found", "Check the name; what is somebody else's looks the same as what does not exist."),
    Forbidden: Kind(403, "Not allowed", "Ask somebody who has the role named, or an admin for the role."),
    Unauthenticated: Kind(401, "Not authenticated", "Send `Authorization: Bearer TOKEN`; `qi-run login` keeps one."),
    Conflict: Kind(409, "Conflict", "Look at how it stands now, then decide."),
    QuotaExceeded: Kind(429, "Too much at a time", "Wait for as long as `Retry-After` says, then try again."),
    Unavailable: Kind(503, "Not available", "Try again in a few seconds."),
    InvalidInput: Kind(422, "Cannot be used as given", "Correct what the detail names, and send it again."),
    ResultNotEncodable: Kind(422, "Cannot be used as given", "Correct what the detail names, and send it again."),
    CircuitRejected: Kind(422, "Cannot be used as given", "Correct the circuit, and send it again."),
    BackendUnknown: Kind(422, "Cannot be used as given", "Choose one of the backends that `GET /v1/backends` lists."),
}
_FAULT = Kind(500, "A fault of the job manager", "Please report it with the `instance`, which names it in the log.")
# What HTTP itself refuses, before a resource is asked.
_HTTP = {
    400: Kind(400, "Malformed request", "Send what the OpenAPI description says; it is at /openapi.json."),
    404: Kind(404, "Not found", "Check the path; /openapi.json lists all."),
    405: Kind(405, "Method not allowed", "Use one of the methods in the `Allow` header."),
    408: Kind(408, "Too slow", "Send the request again, over another connection."),
    413: Kind(413, "Too large", "Send less at a time; leave data out of bundles."),
    415: Kind(415, "Content type not taken", "Say in `Content-Type` what the OpenAPI description asks for."),
    422: Kind(422, "Cannot be used as given", "Correct the fields named, and send it again."),
}


class Malformed(HTTPException):
    """The body is not what its content type says."""

    def __init__(self, text: str) -> None:
        super().__init__(400, text)


class TooLarge(HTTPException):
    """The body is larger than what is taken there."""

    def __init__(self, most: int) -> None:
        super().__init__(413, f"the body is larger than the {most} bytes that are taken here", {"Connection": "close"})


class TooSlow(HTTPException):
    """The body does not come."""

    def __init__(self) -> None:
        super().__init__(408, "the body of the request does not come, or too slowly", {"Connection": "close"})


class WrongType(HTTPException):
    """The content type is not the one that is taken there."""

    def __init__(self, given: str, taken: str) -> None:
        super().__init__(415, f"the content type is {given[:80]!r}; {taken} is taken here")


def of_error(error: BaseException) -> Kind:
    """How an error is answered: as a fault of ours unless its class is known to be the sender's."""
    for cls in type(error).__mro__:
        if cls in _KINDS:
            return _KINDS[cls]
    return _FAULT


def problem(
    kind: Kind, detail: str, name: str, instance: str | None, fields: Sequence[FieldProblem] = ()
) -> dict[str, Any]:
    """The body of the answer: empty members are left out."""
    given = Problem(
        type=f"urn:hybrid-runtime:{name}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        kind=name,
        action=kind.action,
        instance=instance,
        fields=list(fields),
    )
    return {key: value for key, value in msgspec.to_builtins(given).items() if value not in (None, [])}


def _answer(found: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(found), found["status"], dict(headers or {}), MEDIA_TYPE)


def _instance(request: Request) -> str | None:
    name = request.scope.get("state", {}).get("request_id")
    return f"urn:request:{name}" if name else None


async def on_error(request: Request, error: Exception) -> Response:
    """The answer to one of our own errors."""
    kind = of_error(error)
    name = type(error).__name__
    detail = str(error)
    if kind is _FAULT:
        # What went wrong inside is for the log, not for whoever asks.
        _log.error("request %s failed", _instance(request), exc_info=error)
        name, detail = "ServerError", "the job manager could not do this"
    return _answer(problem(kind, detail, name, _instance(request)), _headers(error))


def _headers(error: BaseException) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        if error.reason == "missing":
            return {"WWW-Authenticate": 'Bearer realm="hybrid-runtime"'}
        return {"WWW-Authenticate": f'Bearer realm="hybrid-runtime", error="invalid_token", reason="{error.reason}"'}
    if isinstance(error, QuotaExceeded):
        return {"Retry-After": str(math.ceil(error.retry_after_s or _RETRY_S))}
    if isinstance(error, Unavailable):
        return {"Retry-After": str(math.ceil(_RETRY_S))}
    return {}


async def on_http_error(request: Request, error: HTTPException) -> Response:
    """The answer to what HTTP itself refuses: unknown paths, methods, sizes, types."""
    kind = _HTTP.get(error.status_code, _HTTP[400])._replace(status=error.status_code)
    name = "NotFound" if error.status_code == 404 else "InvalidInput"
    detail = str(error.detail)
    headers = error.headers
    if error.status_code in (404, 405) and type(error) is HTTPException:
        detail = f"{request.method} {request.url.path} is not something that can be asked"
    if error.status_code == 405:
        # The framework names the methods of one operation; others may be declared for the same path.
        headers = {"Allow": ", ".join(sorted(_methods(request)))}
    return _answer(problem(kind, detail, name, _instance(request)), headers)


def _methods(request: Request) -> set[str]:
    declared = request.app.openapi()["paths"]
    path = request.url.path
    # `/v1/jobs/batch` is no job, though a job's path would match.
    found = [path] if path in declared else [one for one in declared if compile_path(one)[0].match(path)]
    return {method.upper() for one in found for method in declared[one]}


async def on_invalid(request: Request, error: RequestValidationError) -> Response:
    """The answer to a request whose fields are not as declared: says which, and what would be taken."""
    fields = [_field(found) for found in error.errors()[:_MOST_FIELDS]]
    detail = "; ".join(f"{field.field}: {field.text}" for field in fields)
    return _answer(problem(_HTTP[422], detail, "InvalidInput", _instance(request), fields))


def _field(found: Mapping[str, Any]) -> FieldProblem:
    path = ".".join(str(part)[:80] for part in found["loc"])
    text = str(found["msg"])
    if found["type"] == "unexpected_keyword_argument":
        text = "no such field is known here"
    elif found["type"] == "missing":
        text = "is needed"
    return FieldProblem(field=path, text=text[:1].lower() + text[1:])


_EXAMPLES: dict[int, tuple[str, str]] = {
    400: ("InvalidInput", "the body is not JSON: it ends in the middle"),
    401: ("Unauthenticated", "the token has expired"),
    403: ("Forbidden", "this takes the role operator; yours is user"),
    404: ("NotFound", "there is no job job-7f3a that you may see"),
    405: ("InvalidInput", "DELETE /v1/jobs is not something that can be asked"),
    408: ("InvalidInput", "the body of the request does not come, or too slowly"),
    409: ("Conflict", "the job has completed: it cannot be paused"),
    413: ("InvalidInput", "the body is larger than the 4194304 bytes that are taken here"),
    415: ("InvalidInput", "the content type is 'text/plain'; application/json is taken here"),
    422: ("InvalidInput", "body.shots: input should be greater than or equal to 1"),
    429: ("QuotaExceeded", "this token asks more than 1000 times a second"),
    500: ("ServerError", "the job manager could not do this"),
    503: ("Unavailable", "the database does not answer"),
}


def _documented(status: int) -> dict[str, Any]:
    kinds = [*_KINDS.values(), _FAULT]
    kind = _HTTP.get(status) if status != 404 else None
    kind = kind or next(one for one in kinds if one.status == status)
    name, detail = _EXAMPLES[status]
    fields = [FieldProblem(field="body.shots", text="input should be greater than or equal to 1")]
    example = problem(kind, detail, name, "urn:request:5c1d-42", fields if status == 422 else ())
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    found: dict[str, Any] = {"description": kind.title, "content": content}
    if status in (429, 503):
        text = "Seconds after which to try again."
        found["headers"] = {"Retry-After": {"description": text, "schema": {"type": "integer", "minimum": 1}}}
    if status == 401:
        text = "That a bearer token is asked for, and what is wrong with the one sent."
        found["headers"] = {"WWW-Authenticate": {"description": text, "schema": {"type": "string"}}}
    return found


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What `responses=` of an operation says about the errors it can answer with."""
    return {status: _documented(status) for status in statuses}


HANDLERS: dict[Any, Any] = {
    HTTPException: on_http_error,
    RequestValidationError: on_invalid,
    HybridRuntimeError: on_error,
}
