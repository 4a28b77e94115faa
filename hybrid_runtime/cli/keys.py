"""`qi-run keys`: the keys by which a remote quantum runtime and its clients know each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug
from hybrid_runtime.cli.refusal import refuse
from hybrid_runtime.cli.streams import say, write
from hybrid_runtime.errors import HybridRuntimeError

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the keys; made if it is not there.")]


def keys(folder: Folder = Path("keys"), *, debug: Debug = False) -> int:
    """Make keys for a quantum runtime on another host and for one client of it.

    Files that exist are never overwritten.
    """
    from hybrid_runtime.protocol.curve import make_keys  # ZeroMQ, which the other commands do without

    try:
        made = make_keys(folder)
    except HybridRuntimeError as error:
        return refuse(error, json=False, debug=debug)
    write("\n".join(map(str, made)))
    say("The two .secret files stay where they are used: server.secret at the quantum runtime, client.secret at you.")
    return ExitCode.COMPLETED
