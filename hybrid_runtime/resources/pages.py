"""Lists, which are read page by page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: What stands there, in the order of the list.
        next: The `cursor` (`after` for what a job leaves) of the page that follows; None on the last one.
    """

    items: list[T] = field(default_factory=list)
    next: str | None = None
