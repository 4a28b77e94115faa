"""`qi-run usage` and `qi-run token`: what was used, and the tokens that speak for a user."""

from __future__ import annotations

from typing import Annotated

import typer

from hybrid_runtime.cli import codes
from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.remote.asking import connect
from hybrid_runtime.cli.remote.options import ByProject, ServerOption
from hybrid_runtime.cli.remote.tables import ago, moment, plain, since, table
from hybrid_runtime.cli.streams import say, write, write_json
from hybrid_runtime.limits import parse_duration

From = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="From then on: 30d, 12h or 2026-11-25; else all of it."),
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Up to then; else up to now.")]
ForUser = Annotated[
    str | None, typer.Option("--user", metavar="NAME", help="Another user's, instead of your own; for admins.")
]
Label = Annotated[str, typer.Option("--label", metavar="TEXT", help="What it is for.")]
Expires = Annotated[
    str | None,
    typer.Option("--expires", metavar="DURATION", help="How long it is valid: 12h, 90d; else for ever."),
]
TokenId = Annotated[
    str, typer.Argument(metavar="TOKEN", help="Its id, as qi-run token list shows it.", show_default=False)
]


def usage(
    *,
    project: ByProject = None,
    from_: From = None,
    until: Until = None,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Say what was used: jobs, steps, shots, and time on the backend, by user and project."""
    del debug
    with connect(server) as client:
        found = client.usage(project, since=since(from_), until=since(until))
    if json:
        write_json({"items": plain(found)})
        return ExitCode.COMPLETED
    rows = [(one.user, one.project, one.jobs, one.steps, one.shots, one.qpu_s, one.wall_s) for one in found]
    write(table(("user", "project", "jobs", "steps", "shots", "qpu s", "wall s"), rows, "nothing was used"))
    return ExitCode.COMPLETED


token = typer.Typer(
    help="Make, list or revoke tokens.", epilog=codes.epilog(), pretty_exceptions_enable=False, no_args_is_help=False
)


@token.command(epilog=codes.epilog())
def create(
    *,
    label: Label = "",
    expires: Expires = None,
    user: ForUser = None,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Make a token and print its secret, which is shown this once."""
    del debug
    with connect(server) as client:
        made = client.add_token(label, expires_in_s=None if expires is None else parse_duration(expires), user=user)
    if json:
        write_json(plain(made))
    else:
        write(made.secret)
        until = f", valid until {moment(made.token.expires_at)}" if made.token.expires_at is not None else ""
        say(f"token {made.token.id} of {made.token.user}{until}; the secret is not shown again")
    return ExitCode.COMPLETED


@token.command("list", epilog=codes.epilog())
def list_tokens(*, user: ForUser = None, server: ServerOption = None, json: Json = False, debug: Debug = False) -> int:
    """List tokens, without their secrets."""
    del debug
    with connect(server) as client:
        found = client.tokens(user)
    if json:
        write_json({"items": plain(found)})
        return ExitCode.COMPLETED
    rows = [
        (
            one.id,
            one.user,
            one.label,
            "revoked" if one.revoked else moment(one.expires_at) or "for ever",
            ago(one.created_at),
            ago(one.last_used_at) if one.last_used_at is not None else "never",
        )
        for one in found
    ]
    write(table(("token", "user", "label", "valid until", "made", "used"), rows, "no tokens"))
    return ExitCode.COMPLETED


@token.command(epilog=codes.epilog())
def revoke(token_id: TokenId, *, server: ServerOption = None, json: Json = False, debug: Debug = False) -> int:
    """End a token at once."""
    del debug
    with connect(server) as client:
        client.revoke_token(token_id)
    if json:
        write_json({"revoked": token_id})
    else:
        write(f"token {token_id} is revoked")
    return ExitCode.COMPLETED
