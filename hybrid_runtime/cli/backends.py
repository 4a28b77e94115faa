"""`qi-run backends`: where circuits can run, on this machine or on the server."""

from __future__ import annotations

from typing import Annotated

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.remote.options import ServerOption
from hybrid_runtime.cli.streams import say, write, write_json

Local = Annotated[bool, typer.Option("--local", help="Those of qi-run run, on this machine.")]


def backends(*, local: Local = False, server: ServerOption = None, json: Json = False, debug: Debug = False) -> int:
    """List the backends of the server, for those logged in to one; else those of this machine."""
    del debug
    if not local and (server is not None or _has_server()):
        from hybrid_runtime.cli.remote.backends import show_backends

        code = show_backends(server, json=json)
        if not json:
            say("those of this machine, for qi-run run: qi-run backends --local")
        return code
    # Not needed by the other commands, which load this module too.
    from hybrid_runtime.quantum.drivers import registry

    names = registry.names()
    if json:
        write_json({"items": [{"name": name, "description": registry.describe(name)} for name in names]})
        return ExitCode.COMPLETED
    width = max(map(len, names))
    write("\n".join(f"{name:{width}}  {registry.describe(name)}" for name in names))
    return ExitCode.COMPLETED


def _has_server() -> bool:
    from hybrid_runtime import config
    from hybrid_runtime.client import credentials

    return config.server_url() is not None or credentials.load().default is not None
