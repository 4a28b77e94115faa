"""`qi-run upload`: queue a job on the server, checked before anything is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import DEFAULT_SHOTS, Debug, Include, JobOptions, Json, Limit, Param, Quiet, Seed, Shots
from hybrid_runtime.cli.remote.asking import connect, environment_named
from hybrid_runtime.cli.remote.following import why_waiting
from hybrid_runtime.cli.remote.options import ProjectOption, ServerOption
from hybrid_runtime.cli.remote.tables import plain
from hybrid_runtime.cli.remote.watch import going_on, wait_and_show
from hybrid_runtime.cli.streams import say, write, write_json
from hybrid_runtime.errors import BundleError, InvalidInput, JobCancelled

if TYPE_CHECKING:
    from hybrid_runtime.client.sync import Client, Job
    from hybrid_runtime.resources.backends import Backend, Environment

What = Annotated[
    str,
    typer.Argument(
        metavar="FILE[:NAME]",
        help="Python file with the algorithm, file of a circuit (.cq, .qasm, .qasm3), or NAME[@VERSION] of an "
        "algorithm that the server has.",
        show_default=False,
    ),
]
Where = Annotated[
    str | None,
    typer.Argument(
        metavar="[BACKEND]", help="Its name, or its place in qi-run backends; may be left out where there is one."
    ),
]
NumShots = Annotated[int | None, typer.Option("--num-shots", metavar="N", help="The same as --shots.")]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="What lists call the job.")]
Priority = Annotated[str, typer.Option("--priority", metavar="CLASS", help="low, normal or high.")]
InEnvironment = Annotated[
    str | None, typer.Option("--environment", metavar="NAME", help="What it finds installed; else the backend's own.")
]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Show the job until it has ended, then its result.")]
NoCheck = Annotated[bool, typer.Option("--no-check", help="Queue it whatever the check finds.")]


def upload(
    what: What,
    where: Where = None,
    *,
    param: Param = None,
    limit: Limit = None,
    shots: Shots = DEFAULT_SHOTS,
    num_shots: NumShots = None,
    seed: Seed = None,
    include: Include = None,
    environment: InEnvironment = None,
    name: Name = "",
    project: ProjectOption = None,
    priority: Priority = "normal",
    wait: Wait = False,
    no_check: NoCheck = False,
    quiet: Quiet = False,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Queue the algorithm or circuit in FILE on the server and print the job's id.

    It is checked before: hooks, imports, circuits, and whether the environment has the Python and the packages that
    it needs. Ctrl-C while waiting leaves the job running.
    """
    del debug
    options = JobOptions(param=param, shots=shots if num_shots is None else num_shots, seed=seed, limit=limit)
    with connect(server) as client:
        backend = _backend(client.backends(), where)
        algorithm = _checked(client, what, backend, environment, include or [], check=not no_check)
        job = client.submit(
            algorithm,
            backend.name,
            parameters=options.parameters,
            shots=options.shots,
            seed=options.seed,
            limits=options.limits,
            environment=environment,
            name=name,
            project=project,
            priority=priority,
        )
        if wait:
            return _wait(job, quiet=quiet, json=json)
        if json:
            write_json(plain(job.info))
        else:
            _tell(job, backend)
    return ExitCode.COMPLETED


def _backend(backends: list[Backend], wanted: str | None) -> Backend:
    """The backend that the user names, or the only one."""
    by_name = {backend.name: backend for backend in backends}
    if wanted in by_name:
        return by_name[wanted]
    if wanted is not None and wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= len(backends):
        chosen = backends[int(wanted) - 1]
        say(f"backend {wanted} is {chosen.name}")
        return chosen
    known = ", ".join(by_name) or "none yet"
    if wanted is not None:
        raise InvalidInput(f"this server has no backend {wanted!r:.80}; there are: {known}")
    if len(backends) != 1:
        raise InvalidInput(f"name a backend behind the file: this server has {known}")
    return backends[0]


def _checked(
    client: Client, what: str, backend: Backend, environment: str | None, include: list[str], *, check: bool
) -> Any:
    """What is submitted: a bundle that was checked against the environment, or what needs no bundle."""
    from hybrid_runtime.bundle import bundle_file, split_target
    from hybrid_runtime.client.packing import CIRCUIT_SUFFIXES, is_registered

    file = split_target(what)[0]
    if is_registered(what) or file.endswith(CIRCUIT_SUFFIXES):
        if include:
            raise InvalidInput("--include is for the files of an algorithm, of which nothing is uploaded here")
        return what
    bundle = bundle_file(what, include)
    name = environment or next(iter(backend.environments), None)
    if check and name is not None:
        environments = client.environments()
        there = environment_named(environments, name)
        _examine(what, include, there, environments)
    return bundle


def _examine(what: str, include: list[str], there: Environment, environments: list[Environment]) -> None:
    """Say what may go wrong.

    Raises:
        BundleError: something will go wrong; nothing is queued.
    """
    from hybrid_runtime.cli.examine import examine

    report = examine(what, there, include)
    for finding in report.findings:
        if finding.severity == "warning":
            say(str(finding))
    if not report.errors:
        return
    lines = [str(finding) for finding in report.findings if finding.severity == "error"]
    fitting = [one.name for one in environments if one != there and not examine(what, one, include).errors]
    hint = f"\nit would fit the environment {' or '.join(fitting)}" if fitting else ""
    raise BundleError("\n".join(["nothing was queued:", *lines]) + hint)


def _tell(job: Job, backend: Backend) -> None:
    write(job.id)
    why = why_waiting(job)
    if backend.status.value == "offline":
        why += f"; {backend.name} is offline{f' ({backend.reason})' if backend.reason else ''}, the job waits for it"
    say(f"{why or job.state.value}; follow it with: qi-run watch {job.id}")


def _wait(job: Job, *, quiet: bool, json: bool) -> int:
    try:
        return wait_and_show(job, quiet=quiet, json=json)
    except KeyboardInterrupt:
        raise JobCancelled(f"stopped waiting; {going_on(job)}") from None
