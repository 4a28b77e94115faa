"""The API's description of itself: for programs, and as a page for people that fetches nothing from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from hybrid_runtime.api.answers import answer
from hybrid_runtime.api.webpage import page

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI description."""
    return answer(request.app.openapi())


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The same for people."""
    return HTMLResponse(page(request.app.openapi()))
