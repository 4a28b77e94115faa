"""`qi-run cancel`, `pause`, `resume` and `fork`: what can be done with a job on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.remote.asking import connect, find_job
from hybrid_runtime.cli.remote.options import JobArgument, ServerOption
from hybrid_runtime.cli.remote.tables import plain
from hybrid_runtime.cli.streams import say, write, write_json

if TYPE_CHECKING:
    from hybrid_runtime.limits import Limits
    from hybrid_runtime.resources.jobs import Job

Kill = Annotated[bool, typer.Option("--kill", help="At once, without letting it finalize.")]


def cancel(
    job: JobArgument, *, kill: Kill = False, server: ServerOption = None, json: Json = False, debug: Debug = False
) -> int:
    """Stop a job: it finalizes and has a result, unless --kill."""
    del debug
    with connect(server) as client:
        info = find_job(client, job).cancel(kill=kill)
    return _told(info, "is being cancelled", json=json)


def pause(job: JobArgument, *, server: ServerOption = None, json: Json = False, debug: Debug = False) -> int:
    """Let a job give up its place after the step under way; every step so far is kept."""
    del debug
    with connect(server) as client:
        info = find_job(client, job).pause()
    return _told(info, f"is being paused: qi-run resume {info.id} goes on with it", json=json)


def resume(job: JobArgument, *, server: ServerOption = None, json: Json = False, debug: Debug = False) -> int:
    """Queue a paused job again; it goes on after its last step."""
    del debug
    with connect(server) as client:
        info = find_job(client, job).resume()
    return _told(info, "goes on after its last step", json=json)


def _told(info: Job, asked: str, *, json: bool) -> int:
    if json:
        write_json(plain(info))
    else:
        write(f"job {info.id} {'has ended: ' + info.state.value if info.state.final else asked} ({info.state.value})")
    return ExitCode.COMPLETED


def fork(
    text: str,
    step: int,
    *,
    parameters: dict[str, Any] | None,
    backend: str | None,
    limits: Limits | None,
    name: str | None,
    server: str | None,
    json: bool,
) -> int:
    """Queue a new job that begins with another's first steps."""
    with connect(server) as client:
        found = find_job(client, text)
        info = found.fork(step, parameters=parameters, backend=backend, limits=limits, name=name).info
    if json:
        write_json(plain(info))
    else:
        write(info.id)
        say(f"forked from {found.id} after step {step}; follow it with: qi-run watch {info.id}")
    return ExitCode.COMPLETED
