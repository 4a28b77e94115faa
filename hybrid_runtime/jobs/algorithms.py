"""Algorithms: names for bundles within a project, with versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hybrid_runtime.errors import InvalidInput, NotFound
from hybrid_runtime.jobs import checks
from hybrid_runtime.jobs.access import Principal, memberships, require_visible, visible_projects
from hybrid_runtime.jobs.accounts import FIRST_PROJECT
from hybrid_runtime.jobs.bundles import hold, require_bundle
from hybrid_runtime.jobs.cursors import decode_cursor, encode_cursor
from hybrid_runtime.jobs.schema import algorithms
from hybrid_runtime.jobs.trail import entry, note
from hybrid_runtime.resources.accounts import Role
from hybrid_runtime.resources.algorithms import Algorithm, AlgorithmRequest, AlgorithmVersion
from hybrid_runtime.resources.pages import Page

if TYPE_CHECKING:
    import builtins

    from hybrid_runtime.jobs.database import Database


def chosen_project(given: str | None, mine: builtins.list[str]) -> str:
    """The project that is meant: the one that is given, the user's only one, or `default`.

    Raises:
        NotFound: the user is no member of the one that is given.
        InvalidInput: none is given and it is not clear which one is meant.
    """
    if given is not None:
        if given not in mine:
            raise NotFound(f"you are in no project {given!r:.80}; you are in {_listed(mine)}")
        return given
    if len(mine) == 1:
        return mine[0]
    if FIRST_PROJECT in mine:
        return FIRST_PROJECT
    raise InvalidInput(f"say in which project: you are in {_listed(mine)}")


def _listed(mine: builtins.list[str]) -> str:
    return ", ".join(mine[:20]) or "none: ask an owner of one to add you"


class Algorithms:
    """Names that members of a project have given to bundles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, who: Principal, request: AlgorithmRequest) -> Algorithm:
        """Give an uploaded bundle a name; the newest version is returned again if it is the same bundle.

        Raises:
            NotFound: there is no such bundle or project that the user has.
        """
        name = checks.label("an algorithm's name", request.name)
        now = self._database.now()
        with self._database.write() as connection:
            project = chosen_project(request.project, [*memberships(connection, who.user)])
            bundle = require_bundle(connection, who, request.bundle)
            known = _versions(connection, [project], name)
            if not known or known[0].bundle != bundle.sha256:
                version = known[0].version + 1 if known else 1
                connection.execute(
                    sa.insert(algorithms).values(
                        project=project,
                        name=name,
                        version=version,
                        bundle=bundle.sha256,
                        created_at=now,
                        created_by=who.user,
                    )
                )
                hold(self._database, connection, bundle.sha256, "project", project)
                what = f"version {version}"
                note(connection, entry(now, who.user, "algorithm", f"{project}/{name}", what, bundle.sha256))
                known = _versions(connection, [project], name)
            return _algorithms(known)[0]

    def list(
        self, who: Principal, *, project: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Algorithm]:
        """The algorithms of the user's projects, by project and name.

        Raises:
            NotFound: the user does not see the project.
        """
        checks.limit(limit)
        names = (
            sa.select(algorithms.c.project, algorithms.c.name)
            .where(algorithms.c.version == 1)
            .order_by(algorithms.c.project, algorithms.c.name)
            .limit(limit + 1)
        )
        if cursor is not None:
            place = decode_cursor("algorithms", cursor, str, str)
            names = names.where(sa.tuple_(algorithms.c.project, algorithms.c.name) > sa.tuple_(*place))
        with self._database.read() as connection:
            if project is not None:
                require_visible(connection, who, project)
                names = names.where(algorithms.c.project == project)
            else:
                seen = visible_projects(connection, who, Role.ADMIN)
                if seen is not None:
                    names = names.where(algorithms.c.project.in_([*seen]))
            found = connection.execute(names).all()
            items = [_algorithms(_versions(connection, [row.project], row.name))[0] for row in found[:limit]]
        more = len(found) > limit
        return Page(items=items, next=encode_cursor("algorithms", *found[limit - 1]) if more else None)

    def get(self, who: Principal, name: str, project: str | None = None) -> Algorithm:
        """One algorithm with its versions.

        Raises:
            NotFound: the user's projects have none of that name.
            InvalidInput: several of them do.
        """
        with self._database.read() as connection:
            if project is not None:
                require_visible(connection, who, project)
                places = [project]
            else:
                places = [*memberships(connection, who.user)]
            found = _algorithms(_versions(connection, places, name))
        if not found:
            raise NotFound(f"there is no algorithm {name!r:.80} in {_listed(places)}")
        if len(found) > 1:
            raise InvalidInput(f"say in which project: {_listed([one.project for one in found])} have a {name}")
        return found[0]


def resolve(connection: sa.Connection, project: str, text: str) -> sa.Row[Any]:
    """The version that `NAME` or `NAME@VERSION` means; without a number the newest.

    Raises:
        NotFound: there is none.
    """
    name, at, number = text.partition("@")
    query = sa.select(algorithms).where(algorithms.c.project == project, algorithms.c.name == name)
    if at:
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise InvalidInput(f"an algorithm is given as NAME or NAME@VERSION, not as {text!r:.120}")
        query = query.where(algorithms.c.version == int(number))
    row = connection.execute(query.order_by(algorithms.c.version.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFound(f"the project {project} has no algorithm {text!r:.120}")
    return row


def _versions(connection: sa.Connection, places: builtins.list[str], name: str) -> builtins.list[sa.Row[Any]]:
    query = sa.select(algorithms).where(algorithms.c.project.in_(places), algorithms.c.name == name)
    return [*connection.execute(query.order_by(algorithms.c.project, algorithms.c.version.desc()))]


def _algorithms(rows: builtins.list[sa.Row[Any]]) -> builtins.list[Algorithm]:
    found: dict[str, Algorithm] = {}
    for row in rows:
        one = found.setdefault(row.project, Algorithm(name=row.name, project=row.project))
        one.versions.append(
            AlgorithmVersion(
                version=row.version, bundle=row.bundle, created_at=row.created_at, created_by=row.created_by
            )
        )
    return [*found.values()]
