"""`qi-run watch`, `logs` and `result`: what a job does, and what came of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json, Quiet
from hybrid_runtime.cli.remote.asking import connect, find_job
from hybrid_runtime.cli.remote.following import Watched, follow
from hybrid_runtime.cli.remote.options import JobArgument, ServerOption
from hybrid_runtime.cli.remote.tables import plain
from hybrid_runtime.cli.streams import say, write, write_for_person, write_json
from hybrid_runtime.errors import Conflict, JobCancelled, exit_code
from hybrid_runtime.job import JobState

if TYPE_CHECKING:
    from hybrid_runtime.client.sync import Job
    from hybrid_runtime.job import JobResult


def watch(
    job: JobArgument, *, quiet: Quiet = False, server: ServerOption = None, json: Json = False, debug: Debug = False
) -> int:
    """Show a job live until it ends: state, steps per second, metrics and log; then its result.

    Ctrl-C leaves it running. The exit code is that of the job, or 0 when you leave.
    """
    del debug
    with connect(server) as client:
        found = find_job(client, job)
        try:
            return wait_and_show(found, quiet=quiet, json=json)
        except KeyboardInterrupt:
            say(going_on(found))
            return ExitCode.COMPLETED


def going_on(job: Job) -> str:
    """What to tell somebody who leaves a job."""
    return f"job {job.id} goes on: qi-run watch {job.id} shows it again, qi-run cancel {job.id} stops it"


def wait_and_show(job: Job, *, quiet: bool, json: bool) -> int:
    """Show a job until it ends, then its result; the exit code for it."""
    from hybrid_runtime.cli.progress import view_of

    info = job.info
    if not info.state.final:
        age = time.time() - info.started_at if info.started_at is not None else 0.0
        watched = Watched(info.id, info.state)
        silent = quiet or json
        follow(job, watched, view_of(watched, quiet=silent, age_s=age), quiet=silent)
    return show_result(job.result(), json=json)


def show_result(result: JobResult, *, json: bool) -> int:
    """Print a job's result as `qi-run run` does; the exit code for it."""
    from hybrid_runtime.cli.report import failure, summary

    if json:
        write_json(result.to_dict())
    else:
        write_for_person(summary(result))
    if result.error is not None:
        say(failure(result.error))
    return code_of(result)


def code_of(result: JobResult) -> int:
    """The exit code for a job that ended like this."""
    if result.error is None and result.state is JobState.CANCELLED:
        return ExitCode.CANCELLED
    return exit_code(result.error)


Wait = Annotated[bool, typer.Option("--wait", help="Wait until the job has ended.")]
Save = Annotated[
    Path | None,
    typer.Option("--save", metavar="DIR", help="Keep result, metrics and log in DIR/JOB_ID, as qi-run run --out does."),
]


def result(
    job: JobArgument,
    *,
    wait: Wait = False,
    save: Save = None,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Print a job's result. The exit code is that of the job."""
    from msgspec import structs

    from hybrid_runtime.cli.folder import OutFolder

    del debug
    with connect(server) as client:
        found = find_job(client, job)
        if not wait and not found.info.state.final:
            raise Conflict(
                f"job {found.id} is {found.state.value} and has no result yet: add --wait, or qi-run watch it"
            )
        try:
            came = found.result()
        except KeyboardInterrupt:
            raise JobCancelled(f"stopped waiting; {going_on(found)}") from None
        if save is not None:
            kept = structs.replace(came, logs=[line.text for line in found.logs()])
            folder = OutFolder(save, job_id=found.id, option="--save").keep(kept)
            say(f"kept in {folder}")
    return show_result(came, json=json)


Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")]


def logs(
    job: JobArgument,
    *,
    follow: Follow = False,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Print what a job printed and logged. With --follow --json each line is an object of its own."""
    del debug
    with connect(server) as client:
        found = find_job(client, job)
        if follow:
            return _follow_logs(found, json=json)
        lines = found.logs()
    if json:
        write_json({"items": plain(lines)})
    elif lines:
        write("\n".join(_shown(line.text) for line in lines))
    else:
        say("nothing was printed or logged" + ("" if found.info.state.final else " yet"))
    return ExitCode.COMPLETED


def _follow_logs(job: Job, *, json: bool) -> int:
    try:
        for event in job.events():
            if event.type == "restarted":
                say("the job begins anew from its journal: lines come again")
            for line in event.data.get("lines", []) if event.type == "log" else []:
                if json:
                    write_json({"stream": event.data.get("stream"), "text": str(line)})
                else:
                    write(_shown(str(line)))
    except KeyboardInterrupt:
        say(going_on(job))
    return ExitCode.COMPLETED


def _shown(text: str) -> str:
    from hybrid_runtime.dispatcher.output import clean

    return clean(text)
