"""Bundles: uploaded algorithms, named by their content."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from hybrid_runtime.api.answers import answer
from hybrid_runtime.api.guard import Guarded, Who
from hybrid_runtime.api.parts import Sha256, TheStore
from hybrid_runtime.api.problems import WrongType, refusals
from hybrid_runtime.errors import InvalidInput, NotFound
from hybrid_runtime.protocol.bundles import content_hash
from hybrid_runtime.resources.algorithms import Bundle

router = APIRouter(prefix="/v1/bundles", tags=["algorithms"], route_class=Guarded)

_BINARY = "application/octet-stream"
_CONTENT: dict[str, Any] = {_BINARY: {"schema": {"type": "string", "format": "binary"}}}


@router.put(
    "/{sha256}",
    operation_id="putBundle",
    summary="Upload a bundle",
    status_code=201,
    response_model=Bundle,
    response_description="It is kept.",
    responses={200: {"model": Bundle, "description": "It was kept already."}, **refusals(403, 409, 413, 415)},
    openapi_extra={"requestBody": {"required": True, "content": _CONTENT}},
)
async def put(who: Who, store: TheStore, sha256: Sha256, request: Request) -> Response:
    """Upload a bundle under the SHA-256 of its bytes. Sent again, it changes nothing."""
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != _BINARY:
        raise WrongType(given, _BINARY)
    data = await request.body()
    return await run_in_threadpool(_put, who, store, sha256, data)


def _put(who: Who, store: TheStore, sha256: str, data: bytes) -> Response:
    found = content_hash(data)
    if found != sha256:
        raise InvalidInput(f"the body's SHA-256 is {found}, not the one in the path: it was changed on the way")
    try:
        return answer(store.bundles.get(who, sha256))
    except NotFound:
        return answer(store.bundles.put(who, data), 201)


@router.get(
    "/{sha256}",
    operation_id="getBundle",
    summary="Get a bundle's description",
    response_model=Bundle,
    response_description="What the bundle holds.",
    responses=refusals(404),
)
def get(who: Who, store: TheStore, sha256: Sha256) -> Response:
    """Python version, packages and entry point of a bundle: whether it needs to be uploaded at all."""
    return answer(store.bundles.get(who, sha256))


@router.get(
    "/{sha256}/content",
    operation_id="getBundleContent",
    summary="Download a bundle",
    response_class=Response,
    response_description="The bundle, as it was uploaded.",
    responses={200: {"content": _CONTENT}, **refusals(404)},
)
def content(who: Who, store: TheStore, sha256: Sha256) -> Response:
    """The bytes of a bundle."""
    store.bundles.get(who, sha256)
    return Response(store.bundles.read(sha256), media_type=_BINARY)
