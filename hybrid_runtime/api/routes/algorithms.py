"""Algorithms: bundles with names and versions."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from hybrid_runtime.api.answers import answer
from hybrid_runtime.api.bodies import AlgorithmRequest
from hybrid_runtime.api.guard import Guarded, Who
from hybrid_runtime.api.parts import AlgorithmName, ByProject, Cursor, Limit, TheStore
from hybrid_runtime.api.problems import refusals
from hybrid_runtime.resources.algorithms import Algorithm
from hybrid_runtime.resources.pages import Page

router = APIRouter(prefix="/v1/algorithms", tags=["algorithms"], route_class=Guarded)


@router.get(
    "",
    operation_id="listAlgorithms",
    summary="List algorithms",
    response_model=Page[Algorithm],
    response_description="A page of the algorithms of your projects, by name.",
    responses=refusals(404),
)
def find(who: Who, store: TheStore, project: ByProject = None, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Algorithms with all their versions, the newest first."""
    return answer(store.algorithms.list(who, project=project, cursor=cursor, limit=limit))


@router.post(
    "",
    operation_id="addAlgorithm",
    summary="Name a bundle",
    status_code=201,
    response_model=Algorithm,
    response_description="The algorithm with its new version.",
    responses=refusals(400, 403, 404, 409, 413, 415),
)
def add(who: Who, store: TheStore, body: AlgorithmRequest) -> Response:
    """Give an uploaded bundle a name; under a name that exists it becomes the next version."""
    return answer(store.algorithms.add(who, body), 201)


@router.get(
    "/{name}",
    operation_id="getAlgorithm",
    summary="Get an algorithm",
    response_model=Algorithm,
    response_description="The algorithm with all its versions.",
    responses=refusals(404),
)
def get(who: Who, store: TheStore, name: AlgorithmName, project: ByProject = None) -> Response:
    """One algorithm of a project; of your only project when none is named."""
    return answer(store.algorithms.get(who, name, project=project))
