"""`qi-run backend`, `user` and `project`: what operators, admins and owners of projects do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_runtime.cli import codes
from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.remote.asking import connect
from hybrid_runtime.cli.remote.options import ServerOption
from hybrid_runtime.cli.remote.tables import ago, plain, table
from hybrid_runtime.cli.streams import say, write, write_json
from hybrid_runtime.errors import InvalidInput

if TYPE_CHECKING:
    from hybrid_runtime.resources.backends import Backend

BackendName = Annotated[str, typer.Argument(metavar="NAME", help="The backend.", show_default=False)]
Status = Annotated[
    str | None,
    typer.Option("--status", metavar="STATUS", help="offline, idle, executing, calibrating or benchmarking."),
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, as users are told.")]
UserName = Annotated[str, typer.Argument(metavar="NAME", help="The user.", show_default=False)]
UserRole = Annotated[str | None, typer.Option("--role", metavar="ROLE", help="user, operator or admin.")]
ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="The project.", show_default=False)]
MemberName = Annotated[str, typer.Argument(metavar="USER", help="The user.", show_default=False)]
Owner = Annotated[bool, typer.Option("--owner", help="As an owner, who adds and removes members.")]
Remove = Annotated[bool, typer.Option("--remove", help="Take the user out.")]


def _group(text: str) -> typer.Typer:
    return typer.Typer(help=text, epilog=codes.epilog(), pretty_exceptions_enable=False)


backend = _group("Set the status of a backend, or drain it; for operators.")
user = _group("Make, change and list users; for admins.")
project = _group("Make projects and say who belongs to them.")


@backend.command("set", epilog=codes.epilog())
def set_backend(
    name: BackendName,
    *,
    status: Status = None,
    reason: Reason = None,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Set what users are told of a backend. Jobs wait while it is offline, calibrating or benchmarking."""
    del debug
    if status is None and reason is None:
        raise InvalidInput("say what to set: --status, --reason or both")
    with connect(server) as client:
        changed = client.set_backend(name, status=status, reason=reason)
    return _told(changed, json=json)


@backend.command(epilog=codes.epilog())
def drain(
    name: BackendName, *, reason: Reason = None, server: ServerOption = None, json: Json = False, debug: Debug = False
) -> int:
    """Start no more jobs on a backend: those that run end, and queued ones wait."""
    del debug
    with connect(server) as client:
        changed = client.set_backend(name, accepting=False, reason=reason)
    return _told(changed, json=json)


@backend.command(epilog=codes.epilog())
def undrain(
    name: BackendName, *, reason: Reason = None, server: ServerOption = None, json: Json = False, debug: Debug = False
) -> int:
    """Start jobs on a backend again."""
    del debug
    with connect(server) as client:
        changed = client.set_backend(name, accepting=True, reason=reason)
    return _told(changed, json=json)


def _told(changed: Backend, *, json: bool) -> int:
    if json:
        write_json(plain(changed))
    else:
        drained = "" if changed.accepting else ", drained"
        why = f": {changed.reason}" if changed.reason else ""
        load = f"{changed.running} running, {changed.queued} queued"
        write(f"{changed.name} is {changed.status.value}{drained}{why}; {load}")
    return ExitCode.COMPLETED


@user.command(epilog=codes.epilog())
def add(
    name: UserName, *, role: UserRole = None, server: ServerOption = None, json: Json = False, debug: Debug = False
) -> int:
    """Make a user, with a token, whose secret is printed this once."""
    del debug
    with connect(server) as client:
        client.add_user(name, role or "user")
        made = client.add_token("first token", user=name)
    if json:
        write_json(plain(made))
    else:
        write(made.secret)
        say(f"made {name}; give them this token, and a project: qi-run project member PROJECT {name}")
    return ExitCode.COMPLETED


@user.command("set", epilog=codes.epilog())
def set_user(
    name: UserName,
    *,
    role: UserRole = None,
    disable: Annotated[bool, typer.Option("--disable", help="Refuse the user's tokens.")] = False,
    enable: Annotated[bool, typer.Option("--enable", help="Take them again.")] = False,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Change a user's role, or whether the user may do anything."""
    del debug
    if disable and enable:
        raise InvalidInput("choose one of --disable and --enable")
    disabled = True if disable else False if enable else None
    if role is None and disabled is None:
        raise InvalidInput("say what to change: --role, --disable or --enable")
    with connect(server) as client:
        changed = client.set_user(name, role=role, disabled=disabled)
    if json:
        write_json(plain(changed))
    else:
        write(f"{changed.name} is {changed.role.value}{', disabled' if changed.disabled else ''}")
    return ExitCode.COMPLETED


@user.command("list", epilog=codes.epilog())
def list_users(*, server: ServerOption = None, json: Json = False, debug: Debug = False) -> int:
    """List the users."""
    del debug
    with connect(server) as client:
        found = client.users()
    if json:
        write_json({"items": plain(found)})
    else:
        rows = [(one.name, one.role.value, "disabled" if one.disabled else "", ago(one.created_at)) for one in found]
        write(table(("user", "role", "disabled", "made"), rows, "no users"))
    return ExitCode.COMPLETED


@project.command("add", epilog=codes.epilog())
def add_project(name: ProjectName, *, server: ServerOption = None, json: Json = False, debug: Debug = False) -> int:
    """Make a project, which you then own."""
    del debug
    with connect(server) as client:
        made = client.add_project(name)
    if json:
        write_json(plain(made))
    else:
        write(f"made the project {made.name}")
    return ExitCode.COMPLETED


@project.command(epilog=codes.epilog())
def member(
    project_name: ProjectName,
    user_name: MemberName,
    *,
    owner: Owner = False,
    remove: Remove = False,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Let a user into a project, change what the user is there, or take the user out."""
    del debug
    if owner and remove:
        raise InvalidInput("choose one of --owner and --remove")
    with connect(server) as client:
        if remove:
            client.remove_member(project_name, user_name)
        else:
            client.set_member(project_name, user_name, "owner" if owner else "member")
    did = "no longer belongs to" if remove else f"is {'an owner' if owner else 'a member'} of"
    if json:
        role = None if remove else "owner" if owner else "member"
        write_json({"project": project_name, "user": user_name, "role": role})
    else:
        write(f"{user_name} {did} {project_name}")
    return ExitCode.COMPLETED


@project.command("list", epilog=codes.epilog())
def list_projects(*, server: ServerOption = None, json: Json = False, debug: Debug = False) -> int:
    """List the projects that you belong to, with their members."""
    del debug
    with connect(server) as client:
        found = client.projects()
    if json:
        write_json({"items": plain(found)})
    else:
        rows = [
            (one.name, ", ".join(f"{each.user} ({each.role.value})" for each in one.members), ago(one.created_at))
            for one in found
        ]
        write(table(("project", "members", "made"), rows, "no projects"))
    return ExitCode.COMPLETED
