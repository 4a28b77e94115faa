"""Whether the service lives, can be used, and how it does: for load balancers, service managers and Prometheus."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from ipaddress import ip_address

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from hybrid_runtime.api.answers import answer
from hybrid_runtime.api.gauges import CONTENT_TYPE, SERVICE
from hybrid_runtime.api.guard import authenticate
from hybrid_runtime.api.parts import Parts, TheParts
from hybrid_runtime.api.problems import refusals
from hybrid_runtime.errors import Forbidden, HybridRuntimeError
from hybrid_runtime.resources.accounts import Role

router = APIRouter(tags=["health"])


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the service can be used; `reasons` says why not."""

    status: str
    reasons: list[str] = field(default_factory=list)


@router.get(
    "/health",
    operation_id="getHealth",
    summary="Ask whether the API lives",
    response_model=Health,
    response_description="It does.",
)
async def health() -> Response:
    """Answered by the API alone: asks neither the database nor anybody else."""
    return answer(Health(status="ok"))


@router.get(
    "/ready",
    operation_id="getReadiness",
    summary="Ask whether the service can be used",
    response_model=Health,
    response_description="It can.",
    responses={503: {"model": Health, "description": "It cannot; `reasons` says why."}},
)
def ready(parts: TheParts) -> Response:
    """Whether the database answers, and whether at least one backend has a runner that was heard of lately."""
    reasons = not_ready(parts)
    return answer(Health(status="unavailable" if reasons else "ok", reasons=reasons), 503 if reasons else 200)


def not_ready(parts: Parts) -> list[str]:
    """Why the service cannot be used; empty when it can."""
    try:
        parts.store.ping()
        backends = parts.store.backends.list(SERVICE)
    except HybridRuntimeError as error:
        return [str(error)]
    newest = max((one.last_heartbeat for one in backends if one.last_heartbeat is not None), default=None)
    if newest is None:
        return ["no backend has a runner yet"]
    silent = time.time() - newest
    if silent > parts.settings.stale_s:
        return [f"no backend's runner was heard of for {silent:.0f} s"]
    return []


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Get metrics for Prometheus",
    response_class=Response,
    response_description="Metrics in Prometheus' text format.",
    responses={200: {"content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}, **refusals(401, 403, 429, 500, 503)},
)
async def metrics(request: Request, parts: TheParts) -> Response:
    """Jobs, queues, backends and requests. It takes an operator's token, or to come from a network that the
    configuration names.
    """
    client = request.client
    networks = parts.settings.networks()
    if client is None or not any(ip_address(client.host) in network for network in networks):
        who = await authenticate(request)
        if not who.has(Role.OPERATOR):
            raise Forbidden(f"this takes the role {Role.OPERATOR}; {who.user} has the role {who.role}")
    return Response(await run_in_threadpool(parts.gauges.render), media_type=CONTENT_TYPE)
