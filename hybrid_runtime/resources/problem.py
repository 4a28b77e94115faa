"""Errors, in the form of RFC 9457."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class FieldProblem:
    """What is wrong with one field of a request; `field` is its path: `body.limits.steps`, `query.limit`."""

    field: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error, in the form of RFC 9457. `kind` is the class of the error, `action` what to do next.

    Attributes:
        instance: Names the request in the server's log.
        fields: The fields of the request that cannot be used, when it is about those.
    """

    type: str
    title: str
    status: int
    detail: str
    kind: str
    action: str
    instance: str | None = None
    fields: list[FieldProblem] = field(default_factory=list)
