"""The OpenAPI description: what the framework finds out by itself, completed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from hybrid_runtime._version import __version__
from hybrid_runtime.api.examples import examples
from hybrid_runtime.api.problems import refusals
from hybrid_runtime.resources.problem import Problem

if TYPE_CHECKING:
    from fastapi import FastAPI

_DESCRIPTION = """\
Queue hybrid quantum-classical algorithms and circuits, follow them, and read what they leave.

Send a token with every request: `Authorization: Bearer TOKEN`. Errors are problems in the form of RFC 9457: `kind`
names the class of the error, `detail` says what is wrong, `action` what to do next. Lists come in pages: `next` is the
`cursor` (or `after`) of the page that follows, null on the last one. Times are seconds since 1970. Fields and query
parameters that are not known are refused; answers may come to have more fields than are described here.
"""
_TAGS = [
    ("jobs", "Submit jobs, find them, cancel, pause, resume and fork them."),
    ("results", "What a job leaves: result, steps, log lines, metrics, events."),
    ("algorithms", "Uploaded bundles, and their names and versions."),
    ("backends", "What jobs run on: status, capabilities, calibration data, queues, environments."),
    ("projects", "What users share."),
    ("accounts", "Users and their tokens."),
    ("usage", "What was used, and what was changed."),
    ("health", "For load balancers, service managers and Prometheus."),
]
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of `POST /v1/tokens`, or the one that the first start printed.",
}
# What every operation that takes a token can answer with.
_ANYWHERE = (401, 422, 429, 500, 503)


def describe(app: FastAPI) -> dict[str, Any]:
    """The description, made once and kept."""
    if app.openapi_schema is None:
        app.openapi_schema = _complete(app)
    return app.openapi_schema


def _complete(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title="Hybrid Runtime job manager",
        version=__version__,
        summary="REST API v1",
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = found.setdefault("components", {})
    problem = TypeAdapter(Problem).json_schema(ref_template="#/components/schemas/{model}")
    components["schemas"].update(problem.pop("$defs"))
    components["schemas"]["Problem"] = problem
    for name, example in examples().items():
        if name in components["schemas"]:
            components["schemas"][name]["examples"] = [example]
    components["securitySchemes"] = {"token": _SCHEME}
    # The framework documents a form of errors that is never sent: in its place stand problems.
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    _correct(found)
    anywhere = _documented(*_ANYWHERE)
    for path, operations in found["paths"].items():
        for operation in operations.values():
            guarded = path.startswith("/v1/")
            if guarded:
                operation["responses"] |= anywhere
            if "requestBody" in operation:
                operation["responses"] |= _documented(408)
            operation["responses"] = dict(sorted(operation["responses"].items()))
            # The metrics are also given to the networks that the configuration names.
            operation["security"] = [{"token": []}] if guarded else [{"token": []}, {}] if path == "/metrics" else []
    return found


def _documented(*statuses: int) -> dict[str, Any]:
    return {str(status): answer for status, answer in refusals(*statuses).items()}


def _correct(found: Any) -> None:
    """Say of numbers and of what may be left out what is meant; in place.

    The framework writes the bounds of whole numbers as doubles, and a parameter that may be left out as one that may be
    null, which no URL can say.
    """
    if isinstance(found, dict):
        if found.get("type") == "integer":
            found.update({name: int(found[name]) for name in ("minimum", "maximum") if name in found})
        if "in" in found and "anyOf" in found.get("schema", {}):
            schema = found["schema"]
            (given,) = (one for one in schema.pop("anyOf") if one != {"type": "null"})
            schema.update(given)
    for inner in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
        _correct(inner)
