"""What was used, and what was changed."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from hybrid_runtime.api.answers import answer
from hybrid_runtime.api.guard import Guarded, Who
from hybrid_runtime.api.parts import ByProject, Cursor, Limit, Since, TheStore, Until
from hybrid_runtime.api.problems import refusals
from hybrid_runtime.resources.accounts import Usage
from hybrid_runtime.resources.audit import AuditEntry
from hybrid_runtime.resources.pages import Page

router = APIRouter(prefix="/v1", tags=["usage"], route_class=Guarded)


@router.get(
    "/usage",
    operation_id="getUsage",
    summary="Get what was used",
    response_model=Page[Usage],
    response_description="One item for each user and project.",
    responses=refusals(403, 404),
)
def report(who: Who, store: TheStore, project: ByProject = None, since: Since = None, until: Until = None) -> Response:
    """Jobs, steps, shots and seconds: your own, and everybody's in projects that you own."""
    return answer(Page(items=store.usage.report(who, project=project, since=since, until=until)))


@router.get(
    "/audit",
    operation_id="listAudit",
    summary="List changes",
    response_model=Page[AuditEntry],
    response_description="A page of the audit log, the newest first.",
    responses=refusals(403),
)
def audit(who: Who, store: TheStore, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Who changed what, when, and why; for operators."""
    return answer(store.audit.list(who, cursor=cursor, limit=limit))
