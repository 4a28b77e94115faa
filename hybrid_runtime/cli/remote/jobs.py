"""`qi-run jobs` and `status`: which jobs there are, and how one of them stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.remote.asking import connect, find_job
from hybrid_runtime.cli.remote.options import ByProject, ByUser, JobArgument, ServerOption
from hybrid_runtime.cli.remote.tables import ago, moment, pairs, plain, since, table
from hybrid_runtime.cli.streams import write, write_json

if TYPE_CHECKING:
    from hybrid_runtime.resources.jobs import Job, JobChange

ByState = Annotated[str | None, typer.Option("--state", metavar="STATE", help="Only those in this state.")]
ByBackend = Annotated[str | None, typer.Option("--backend", metavar="NAME", help="Only those of this backend.")]
ByName = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Only those of this name.")]
BySince = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only those since then: 7d, 12h or 2026-11-25.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="At most so many, the newest.")]


def jobs(
    *,
    state: ByState = None,
    backend: ByBackend = None,
    project: ByProject = None,
    user: ByUser = None,
    name: ByName = None,
    since_: BySince = None,
    limit: Limit = 20,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """List the jobs of your projects, the newest first."""
    del debug
    with connect(server) as client:
        found = client.jobs(
            state=state, backend=backend, project=project, user=user, name=name, since=since(since_), limit=limit
        )
    infos = [job.info for job in found]
    if json:
        write_json({"items": plain(infos)})
        return ExitCode.COMPLETED
    rows = [
        (info.id, info.name, standing(info), info.backend, info.user, info.steps, ago(info.created_at))
        for info in infos
    ]
    write(table(("job", "name", "state", "backend", "user", "steps", "queued"), rows, "no jobs"))
    return ExitCode.COMPLETED


def standing(info: Job) -> str:
    """A job's state in one cell of a table."""
    if info.position is not None:
        return f"{info.state.value}, {_ordinal(info.position)}"
    if info.error is not None:
        return f"{info.state.value} ({info.error.kind})"
    if info.stop_reason is not None and info.stop_reason.value not in ("done", "error"):
        return f"{info.state.value} ({info.stop_reason.value})"
    return info.state.value


def _ordinal(position: int) -> str:
    return "next" if position == 1 else f"{position - 1} before it"


def status(job: JobArgument, *, server: ServerOption = None, json: Json = False, debug: Debug = False) -> int:
    """Say how a job stands: its state and why, its place in the queue, its progress and its history."""
    del debug
    with connect(server) as client:
        found = find_job(client, job)
        info, history = found.info, found.history()
    if json:
        write_json({**plain(info), "history": plain(history)})
    else:
        write(details(info, history))
    return ExitCode.COMPLETED


def details(info: Job, history: list[JobChange]) -> str:
    """All about a job, for a person."""
    first = pairs(
        {
            "job": info.id,
            "name": info.name,
            "state": standing(info),
            "waiting for": info.waiting_for,
            "error": info.error and f"{info.error.kind}: {info.error.text}".partition("\n")[0],
            "runs": info.algorithm or (f"bundle {info.bundle[:12]}" if info.bundle else "a circuit"),
            "backend": info.backend,
            "environment": info.environment,
            "project": info.project,
            "user": info.user,
            "priority": info.priority.value,
            "steps": f"{info.steps}, with {info.shots_done} shots and {info.qpu_s:.3g} s on the backend",
            "seed": info.seed,
            "limits": ", ".join(f"{name}={value}" for name, value in info.limits.items()),
            "attempts": info.attempts if info.attempts > 1 else None,
            "forked from": info.forked_from,
        }
    )
    rows = [(moment(change.at), change.state.value, change.by, change.reason) for change in history]
    return f"{first}\n\n{table(('when', 'state', 'by', 'why'), rows, 'no history')}"
