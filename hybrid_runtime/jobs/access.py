"""Who may do what: the rules of roles and projects, in one place.

* A user sees the projects that the user is a member of, and all that belongs to them. What is in other projects does
  not exist for the user: it is `NotFound`, like what does not exist at all.
* A member cancels, pauses and resumes the jobs that are the member's own; an owner of the project those of everybody.
* An operator sees how every job stands and may cancel, pause and resume it, but not what is in it.
* An admin sees everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from hybrid_runtime.errors import Forbidden, NotFound
from hybrid_runtime.jobs.schema import members, projects
from hybrid_runtime.resources.accounts import ProjectRole, Role

_RANKS = {Role.USER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


@dataclass(frozen=True)
class Principal:
    """Who asks: the user of a token that was found valid."""

    user: str
    role: Role
    token_id: str

    def has(self, role: Role) -> bool:
        """Whether the user may do what this role may."""
        return _RANKS[self.role] >= _RANKS[role]


def require(who: Principal, role: Role) -> None:
    """Pass if the user has this role.

    Raises:
        Forbidden: otherwise.
    """
    if not who.has(role):
        raise Forbidden(f"this takes the role {role}; {who.user} has the role {who.role}")


def memberships(connection: sa.Connection, user: str) -> dict[str, ProjectRole]:
    """The user's projects, and the role in each."""
    found = connection.execute(
        sa.select(members.c.project, members.c.role).where(members.c.user == user).order_by(members.c.project)
    )
    return {project: ProjectRole(role) for project, role in found}


def visible_projects(connection: sa.Connection, who: Principal, role: Role) -> dict[str, ProjectRole] | None:
    """The projects that the user sees; None stands for all of them, for one who has `role`."""
    return None if who.has(role) else memberships(connection, who.user)


def require_visible(connection: sa.Connection, who: Principal, project: str, *, role: Role = Role.ADMIN) -> None:
    """Pass if the user is a member of the project, or has `role` and the project exists.

    Raises:
        NotFound: otherwise.
    """
    if project in memberships(connection, who.user):
        return
    exists = who.has(role) and connection.scalar(sa.select(projects.c.name).where(projects.c.name == project))
    if not exists:
        raise NotFound(f"there is no project {project!r:.80} that {who.user} can see")


def require_owner(connection: sa.Connection, who: Principal, project: str) -> None:
    """Pass if the user owns the project or is an admin.

    Raises:
        NotFound: the user does not see it.
        Forbidden: the user is a member only.
    """
    require_visible(connection, who, project)
    owns = memberships(connection, who.user).get(project) is ProjectRole.OWNER
    if not owns and not who.has(Role.ADMIN):
        raise Forbidden(f"this takes an owner of the project {project}; {who.user} is a member")
