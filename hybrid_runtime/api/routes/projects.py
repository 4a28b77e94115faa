"""Projects, and who belongs to them."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from hybrid_runtime.api.answers import answer
from hybrid_runtime.api.bodies import MemberRequest, ProjectRequest
from hybrid_runtime.api.guard import Guarded, Who
from hybrid_runtime.api.parts import ProjectName, TheStore, UserName
from hybrid_runtime.api.problems import refusals
from hybrid_runtime.resources.accounts import Member, Project
from hybrid_runtime.resources.pages import Page

router = APIRouter(prefix="/v1/projects", tags=["projects"], route_class=Guarded)


@router.get(
    "",
    operation_id="listProjects",
    summary="List projects",
    response_model=Page[Project],
    response_description="The projects that you belong to; all of them for admins.",
)
def find(who: Who, store: TheStore) -> Response:
    """Your projects, with their members."""
    return answer(Page(items=store.projects.list(who)))


@router.post(
    "",
    operation_id="addProject",
    summary="Add a project",
    status_code=201,
    response_model=Project,
    response_description="The project; you own it.",
    responses=refusals(400, 403, 409, 413, 415),
)
def add(who: Who, store: TheStore, body: ProjectRequest) -> Response:
    """Make a project; for admins."""
    return answer(store.projects.add(who, body), 201)


@router.get(
    "/{project}",
    operation_id="getProject",
    summary="Get a project",
    response_model=Project,
    response_description="The project.",
    responses=refusals(404),
)
def get(who: Who, store: TheStore, project: ProjectName) -> Response:
    """A project and its members."""
    return answer(store.projects.get(who, project))


@router.put(
    "/{project}/members/{user}",
    operation_id="setMember",
    summary="Add a member, or change what one is",
    response_model=Project,
    response_description="The project with the member.",
    responses=refusals(400, 403, 404, 409, 413, 415),
)
def set_member(who: Who, store: TheStore, project: ProjectName, user: UserName, body: MemberRequest) -> Response:
    """Let a user into a project; for its owners and admins."""
    return answer(store.projects.set_member(who, project, Member(user=user, role=body.role)))


@router.delete(
    "/{project}/members/{user}",
    operation_id="removeMember",
    summary="Remove a member",
    response_model=Project,
    response_description="The project without the member.",
    responses=refusals(403, 404, 409),
)
def remove_member(who: Who, store: TheStore, project: ProjectName, user: UserName) -> Response:
    """Take a user out of a project; for its owners and admins, and for oneself."""
    return answer(store.projects.remove_member(who, project, user))
