"""`qi-run login` and `logout`: the servers that this user asks."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.remote.tables import plain
from hybrid_runtime.cli.streams import say, write, write_json
from hybrid_runtime.errors import InvalidInput

Url = Annotated[
    str | None,
    typer.Argument(metavar="[URL]", help="The server; else QI_RUN_URL, else the one on this host.", show_default=False),
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="-", help="The token, or - to read it from standard input; asked for without it."),
]
Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="What to call the server in --server; else its host.")
]
# Longer than any token; whatever is longer is another file.
_MOST_CHARACTERS = 1000


def login(url: Url = None, *, token: Token = None, name: Name = None, json: Json = False, debug: Debug = False) -> int:
    """Keep a server's URL and token, after trying them, and ask this server from now on."""
    from hybrid_runtime import config
    from hybrid_runtime.client import credentials
    from hybrid_runtime.client.sync import Client

    del debug
    wanted = credentials.checked_url(url or config.server_url() or credentials.DEFAULT_URL)
    called = name or credentials.default_name(wanted)
    if "://" in called or not called.isprintable():
        raise InvalidInput(f"{called!r:.80} cannot be a server's name: use letters and digits")
    servers = credentials.load()  # before the token is asked for: a file that cannot be used is told at once
    if credentials.is_exposed(wanted):
        say(f"warning: {wanted} is not encrypted: whoever is on the way can read the token; use https:// if it has it")
    secret = _secret(token, wanted)
    with Client(wanted, secret) as client:
        who = client.whoami()
    servers.servers[called] = credentials.Server(wanted, secret)
    servers.default = called
    path = credentials.save(servers)
    if json:
        write_json({"name": called, "url": wanted, "file": str(path), **plain(who)})
    else:
        projects = ", ".join(who.projects) or "none yet"
        write(f"logged in to {wanted} as {who.user.name} ({who.user.role.value}), projects: {projects}")
        say(f"kept in {path} as {called!r}")
    return ExitCode.COMPLETED


def _secret(given: str | None, url: str) -> str:
    if given is not None and given != "-":
        say("warning: a token among the arguments stays in the shell's history; better pipe it to --token -")
        secret = given
    elif given is None and sys.stdin is not None and sys.stdin.isatty():
        secret = getpass.getpass(f"token for {url}: ")
    else:
        secret = sys.stdin.readline(_MOST_CHARACTERS) if sys.stdin is not None else ""
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise InvalidInput("there is no token: give the one line that the server's operator gave you, or --token -")
    return secret


def logout(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The server; else the one logged in to last.")
    ] = None,
    *,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Forget a server's token. It stays valid until it is revoked: see qi-run token revoke."""
    from hybrid_runtime.client import credentials

    del debug
    servers = credentials.load()
    known = ", ".join(servers.servers) or "none"
    called = name or servers.default
    by_url = [key for key, server in servers.servers.items() if called and server.url == called.rstrip("/")]
    called = by_url[0] if by_url else called
    if called is None or called not in servers.servers:
        raise InvalidInput(f"there is no login to {called or 'any server'}; there are: {known}")
    url = servers.servers.pop(called).url
    if servers.default == called:
        servers.default = next(reversed(servers.servers), None)
    credentials.save(servers)
    if json:
        write_json({"name": called, "url": url, "default": servers.default})
    else:
        write(f"logged out of {url}" + (f"; {servers.default!r} is asked from now on" if servers.default else ""))
    return ExitCode.COMPLETED
