"""Errors, in the form of RFC 9457."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error, in the form of RFC 9457. `kind` is the class of the error, `action` what to do next."""

    type: str
    title: str
    status: int
    detail: str
    kind: str
    action: str
    instance: str | None = None
