"""Uploaded bundles, and the names and versions that they are given."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """An uploaded bundle, named by the SHA-256 of its content."""

    sha256: str
    size: int
    python: str
    entry: str
    name: str
    packages: dict[str, str]
    pure_source: bool


@dataclass(frozen=True, kw_only=True)
class AlgorithmVersion:
    """One version of an algorithm; versions count from 1."""

    version: int
    bundle: str
    created_at: float
    created_by: str


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """A named bundle with versions, the newest first."""

    name: str
    project: str
    versions: list[AlgorithmVersion] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class AlgorithmRequest:
    """Give an uploaded bundle a name; under a name that exists it becomes the next version."""

    name: str
    bundle: str
    project: str | None = None
