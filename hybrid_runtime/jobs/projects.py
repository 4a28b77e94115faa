"""Projects and their members."""

from __future__ import annotations

import builtins
from collections import defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from hybrid_runtime.errors import Conflict, NotFound
from hybrid_runtime.jobs import checks
from hybrid_runtime.jobs.access import Principal, require, require_owner, require_visible, visible_projects
from hybrid_runtime.jobs.schema import members, projects, users
from hybrid_runtime.jobs.trail import entry, note
from hybrid_runtime.resources.accounts import Member, Project, ProjectRequest, ProjectRole, Role

if TYPE_CHECKING:
    from hybrid_runtime.jobs.database import Database


class Projects:
    """What users share."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, who: Principal) -> list[Project]:
        """The projects that the user is a member of; all of them for an admin."""
        with self._database.read() as connection:
            seen = visible_projects(connection, who, Role.ADMIN)
            return _projects(connection, None if seen is None else [*seen])

    def add(self, who: Principal, request: ProjectRequest) -> Project:
        """Make a project, which the user then owns; for admins.

        Raises:
            Forbidden: the user is none.
            Conflict: there is one of that name.
        """
        require(who, Role.ADMIN)
        name = checks.name("a project's name", request.name)
        now = self._database.now()
        with self._database.write() as connection:
            if connection.scalar(sa.select(projects.c.name).where(projects.c.name == name)) is not None:
                raise Conflict(f"there is a project {name} already")
            connection.execute(sa.insert(projects).values(name=name, created_at=now))
            connection.execute(sa.insert(members).values(user=who.user, project=name, role=str(ProjectRole.OWNER)))
            note(connection, entry(now, who.user, "project", name, "added", f"owned by {who.user}"))
        return Project(name=name, created_at=now, members=[Member(user=who.user, role=ProjectRole.OWNER)])

    def get(self, who: Principal, name: str) -> Project:
        """One project.

        Raises:
            NotFound: there is none of that name that the user is a member of.
        """
        with self._database.read() as connection:
            require_visible(connection, who, name)
            return _projects(connection, [name])[0]

    def set_member(self, who: Principal, project: str, member: Member) -> Project:
        """Add a user to a project or change the user's role in it; for owners of the project.

        Raises:
            NotFound: the user who asks does not see the project, or there is no such user.
            Forbidden: the user who asks does not own it.
            Conflict: it would be left without an owner.
        """
        with self._database.write() as connection:
            require_owner(connection, who, project)
            if connection.scalar(sa.select(users.c.name).where(users.c.name == member.user)) is None:
                raise NotFound(f"there is no user {member.user!r:.80}")
            insert, key = self._database.insert_or(members, ("user", "project"))
            row = {"user": member.user, "project": project, "role": str(member.role)}
            connection.execute(
                insert.values(row).on_conflict_do_update(index_elements=key, set_={"role": str(member.role)})
            )
            _require_an_owner(connection, project)
            action = f"{member.user} is {member.role}"
            note(connection, entry(self._database.now(), who.user, "project", project, action))
            return _projects(connection, [project])[0]

    def remove_member(self, who: Principal, project: str, user: str) -> Project:
        """Take a user out of a project; for owners of the project, and for the user.

        Raises:
            NotFound: the user who asks does not see the project, or that user is no member.
            Forbidden: the user who asks does not own it.
            Conflict: it would be left without an owner.
        """
        with self._database.write() as connection:
            if user == who.user:
                require_visible(connection, who, project)
            else:
                require_owner(connection, who, project)
            gone = connection.execute(sa.delete(members).where(members.c.project == project, members.c.user == user))
            if not gone.rowcount:
                raise NotFound(f"{user!r:.80} is no member of the project {project}")
            _require_an_owner(connection, project)
            note(connection, entry(self._database.now(), who.user, "project", project, f"{user} is out"))
            return _projects(connection, [project])[0]


def _require_an_owner(connection: sa.Connection, project: str) -> None:
    owners = sa.select(members.c.user).where(members.c.project == project, members.c.role == str(ProjectRole.OWNER))
    if connection.scalar(owners.limit(1)) is None:
        raise Conflict(f"the project {project} would have no owner; make another member its owner first")


def _projects(connection: sa.Connection, names: builtins.list[str] | None) -> builtins.list[Project]:
    rows = sa.select(projects).order_by(projects.c.name)
    people = sa.select(members).order_by(members.c.user)
    if names is not None:
        rows = rows.where(projects.c.name.in_(names))
        people = people.where(members.c.project.in_(names))
    found: dict[str, builtins.list[Member]] = defaultdict(builtins.list)
    for row in connection.execute(people):
        found[row.project].append(Member(user=row.user, role=ProjectRole(row.role)))
    return [
        Project(name=row.name, created_at=row.created_at, members=found[row.name]) for row in connection.execute(rows)
    ]
