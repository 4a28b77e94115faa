"""Users, their tokens, the projects that they share, and what was used."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a user may do; each may do what those before it may.

    `user` sees the projects that the user belongs to; `operator` sets the status of backends and drains them, and
    sees every job's state; `admin` makes users and projects, too.
    """

    USER = "user"
    OPERATOR = "operator"
    ADMIN = "admin"


class ProjectRole(StrEnum):
    """What a member may do within a project: an owner adds and removes members and sees everybody's usage."""

    MEMBER = "member"
    OWNER = "owner"


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who uses the service."""

    name: str
    role: Role
    created_at: float
    disabled: bool = False


@dataclass(frozen=True, kw_only=True)
class UserRequest:
    """A user to make."""

    name: str
    role: Role = Role.USER


@dataclass(frozen=True, kw_only=True)
class Member:
    """A user in a project."""

    user: str
    role: ProjectRole


@dataclass(frozen=True, kw_only=True)
class Project:
    """Jobs and algorithms that its members share."""

    name: str
    created_at: float
    members: list[Member] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ProjectRequest:
    """A project to make; whoever makes it owns it."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token, without its secret."""

    id: str
    user: str
    label: str
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    revoked: bool = False


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """A token to make; `user` other than oneself is for admins."""

    label: str = ""
    expires_in_s: float | None = None
    user: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token with its secret, which is shown this once."""

    token: Token
    secret: str


@dataclass(frozen=True, kw_only=True)
class Whoami:
    """Who the token speaks for."""

    user: User
    projects: list[str]
    token: Token


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a user has used within a project."""

    user: str
    project: str
    jobs: int
    steps: int
    shots: int
    qpu_s: float
    wall_s: float
