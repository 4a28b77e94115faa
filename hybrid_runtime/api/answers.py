"""Answers, as they are sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from fastapi.responses import Response

from hybrid_runtime.resources.pages import Page

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


def answer(value: Any, status: int = 200) -> Response:
    """A resource as JSON.

    The framework would validate every answer against its own model first; the tests do that, over the whole API.
    """
    return Response(_encode(value), status, media_type="application/json")


def page_after(items: Sequence[T], limit: int, place: Callable[[T], int]) -> Response:
    """A page of what a job leaves, which is counted: the next one begins after the last item."""
    following = str(place(items[-1])) if len(items) >= limit else None
    return answer(Page(items=list(items), next=following))
