"""Backends, their queues, and the environments of their workers."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from hybrid_runtime.api.answers import answer
from hybrid_runtime.api.bodies import BackendChange
from hybrid_runtime.api.guard import Guarded, Who
from hybrid_runtime.api.parts import BackendName, Cursor, Limit, TheStore
from hybrid_runtime.api.problems import refusals
from hybrid_runtime.resources.backends import Backend, Environment
from hybrid_runtime.resources.jobs import QueueEntry
from hybrid_runtime.resources.pages import Page

router = APIRouter(prefix="/v1", tags=["backends"], route_class=Guarded)


@router.get(
    "/backends",
    operation_id="listBackends",
    summary="List backends",
    response_model=Page[Backend],
    response_description="All backends.",
)
def find(who: Who, store: TheStore) -> Response:
    """What there is to run on, and how it stands."""
    return answer(Page(items=store.backends.list(who)))


@router.get(
    "/backends/{name}",
    operation_id="getBackend",
    summary="Get a backend",
    response_model=Backend,
    response_description="The backend.",
    responses=refusals(404),
)
def get(who: Who, store: TheStore, name: BackendName) -> Response:
    """Status with reason and since when, capabilities, calibration data, queue length."""
    return answer(store.backends.get(who, name))


@router.patch(
    "/backends/{name}",
    operation_id="changeBackend",
    summary="Change a backend",
    response_model=Backend,
    response_description="The backend as changed.",
    responses=refusals(400, 403, 404, 409, 413, 415),
)
def change(who: Who, store: TheStore, name: BackendName, body: BackendChange) -> Response:
    """Set its status, drain it, or give its calibration data; for operators."""
    return answer(store.backends.change(who, name, body))


@router.get(
    "/backends/{name}/queue",
    operation_id="getQueue",
    summary="Get a backend's queue",
    response_model=Page[QueueEntry],
    response_description="A page of the queue, in the order of being served.",
    responses=refusals(404),
)
def queue(who: Who, store: TheStore, name: BackendName, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """The jobs that wait, and what for; those of other tenants show no name."""
    return answer(store.backends.queue(who, name, limit=limit, cursor=cursor))


@router.get(
    "/environments",
    operation_id="listEnvironments",
    summary="List environments",
    response_model=Page[Environment],
    response_description="All environments.",
)
def environments(who: Who, store: TheStore) -> Response:
    """The Python versions and packages that algorithms find."""
    return answer(Page(items=store.environments.list()))
