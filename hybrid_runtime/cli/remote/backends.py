"""`qi-run queue`, `environments`, and what `qi-run backends` shows of a server."""

from __future__ import annotations

from typing import Annotated

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.remote.asking import connect
from hybrid_runtime.cli.remote.options import ServerOption
from hybrid_runtime.cli.remote.tables import ago, plain, table
from hybrid_runtime.cli.streams import write, write_json

BackendArgument = Annotated[
    str | None, typer.Argument(metavar="[BACKEND]", help="The backend; all of them without it.", show_default=False)
]
Limit = Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="At most so many of each backend.")]
Packages = Annotated[bool, typer.Option("--packages", help="List the packages of each, too.")]


def show_backends(server: str | None, *, json: bool) -> int:
    """List a server's backends."""
    with connect(server) as client:
        found = client.backends()
    if json:
        write_json({"items": plain(found)})
        return ExitCode.COMPLETED
    rows = [
        (
            one.name,
            one.status.value + ("" if one.accepting else ", drained"),
            one.running,
            one.queued,
            one.capabilities.get("qubits"),
            ", ".join(one.environments),
            ago(one.since),
            one.reason,
        )
        for one in found
    ]
    names = ("backend", "status", "running", "queued", "qubits", "environment", "since", "reason")
    write(table(names, rows, "this server has no backend yet"))
    return ExitCode.COMPLETED


def queue(
    backend: BackendArgument = None,
    *,
    limit: Limit = 20,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """List the jobs that wait for a backend, in the order of being served. Those of others show no name."""
    del debug
    with connect(server) as client:
        names = [backend] if backend is not None else [one.name for one in client.backends()]
        queues = {name: client.queue(name, limit) for name in names}
    if json:
        write_json({name: {"items": plain(entries)} for name, entries in queues.items()})
        return ExitCode.COMPLETED
    rows = [
        (name, one.position, one.job_id, one.user, one.priority.value, ago(one.queued_at), one.waiting_for)
        for name, entries in queues.items()
        for one in entries
    ]
    write(table(("backend", "place", "job", "user", "priority", "queued", "waiting for"), rows, "nothing waits"))
    return ExitCode.COMPLETED


def environments(
    *, packages: Packages = False, server: ServerOption = None, json: Json = False, debug: Debug = False
) -> int:
    """List what algorithms find installed on the server."""
    del debug
    with connect(server) as client:
        found = client.environments()
    if json:
        write_json({"items": plain(found)})
        return ExitCode.COMPLETED
    none = "no environment is known yet"
    if packages:
        listed = [(one.name, name, version) for one in found for name, version in sorted(one.packages.items())]
        write(table(("environment", "package", "version"), listed, none))
    else:
        counted = [(one.name, one.python, len(one.packages)) for one in found]
        write(table(("environment", "python", "packages"), counted, none))
    return ExitCode.COMPLETED
