"""`qi-run run`: one job on this machine, from the file to its result."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import typer

from hybrid_runtime.bundle import bundle_file
from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.folder import OutFolder
from hybrid_runtime.cli.headstart import HeadStart
from hybrid_runtime.cli.kept import completed
from hybrid_runtime.cli.options import (
    DEFAULT_BACKEND,
    DEFAULT_SHOTS,
    Backend,
    BackendOption,
    Debug,
    Failover,
    Fsync,
    Isolation,
    JobOptions,
    Json,
    Keys,
    Limit,
    OnDivergence,
    Out,
    Param,
    Placed,
    Quiet,
    Resume,
    Seed,
    Shots,
    Target,
    Trace,
    backend_options,
)
from hybrid_runtime.cli.refusal import message, refuse
from hybrid_runtime.cli.signals import Interrupts
from hybrid_runtime.cli.streams import say, write_for_person, write_json
from hybrid_runtime.errors import HybridRuntimeError, InvalidInput, exit_code
from hybrid_runtime.job import JobResult
from hybrid_runtime.local import Job
from hybrid_runtime.protocol.bundles import encode_bundle


def run(
    context: typer.Context,
    target: Target,
    *,
    param: Param = None,
    backend: Backend = DEFAULT_BACKEND,
    keys: Keys = None,
    backend_option: BackendOption = None,
    failover: Failover = None,
    shots: Shots = DEFAULT_SHOTS,
    seed: Seed = None,
    limit: Limit = None,
    isolation: Isolation = None,
    placement: Placed = "auto",
    json: Json = False,
    out: Out = None,
    resume: Resume = None,
    on_divergence: OnDivergence = "fail",
    fsync: Fsync = "group",
    trace: Trace = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Run the algorithm in FILE on this machine and print its result.

    Ctrl-C stops it gracefully: it finalizes, and its result so far is printed. A second Ctrl-C kills it.
    """
    try:
        options = JobOptions(param=param, shots=shots, seed=seed, limit=limit)
        if resume is not None:
            _check_resumable(out, given=bool(param or limit or seed is not None or options.shots != DEFAULT_SHOTS))
        bundle = bundle_file(target)
        with ExitStack() as stack:
            folder = None
            if out is not None:
                folder = OutFolder(out, resume)
                stack.callback(folder.discard)
                if resume is not None and not folder.has_result:
                    over = completed(folder.journal)
                    if over is not None:
                        return Outputs(folder, json=json, quiet=quiet).result(over)
            interrupts = stack.enter_context(Interrupts())
            start = _head_start(context)
            given = backend_options(backend, keys, backend_option)
            client = start.client(
                backend,
                bundle,
                given,
                isolation=isolation,
                placement=placement,
                trace=trace,
                failover=failover or (),
            )
            stack.enter_context(client)
            if folder is not None and resume is not None:
                job = client.resume(bundle, folder.journal, fsync=fsync, on_divergence=on_divergence)
                folder.begin(encode_bundle(bundle))
            else:
                if folder is not None:
                    folder.begin(encode_bundle(bundle))
                job = client.submit(
                    bundle,
                    parameters=options.parameters,
                    shots=options.shots,
                    seed=options.seed,
                    limits=options.limits,
                    job_id=folder.job_id if folder else None,
                    journal=folder.journal if folder else None,
                    fsync=fsync,
                )
            result = followed(job, interrupts, quiet=quiet)
            return Outputs(folder, json=json, quiet=quiet).result(result)
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug, backend=backend, seed=seed)


class Outputs:
    """Where a job's progress and result go."""

    def __init__(self, folder: OutFolder | None, *, json: bool, quiet: bool) -> None:
        self.folder = folder
        self.json = json
        self.quiet = quiet

    def result(self, result: JobResult) -> int:
        """Print and keep the result; the exit code for it."""
        from hybrid_runtime.cli.report import failure, summary

        if self.json:
            write_json(result.to_dict())
        else:
            write_for_person(summary(result))
        if result.error is not None:
            say(failure(result.error))
        return self._keep(result) or exit_code(result.error)

    def _keep(self, result: JobResult) -> int:
        if self.folder is None:
            return ExitCode.COMPLETED
        try:
            kept = self.folder.keep(result)
        except InvalidInput as error:
            say(message(error))  # the result itself has been printed by now
            return ExitCode.REFUSED
        if not self.quiet:
            say(f"kept in {kept}")
        return ExitCode.COMPLETED


def _check_resumable(out: Path | None, *, given: bool) -> None:
    if out is None:
        raise InvalidInput("--resume JOB needs --out DIR, the folder that the job was kept in")
    if given:
        raise InvalidInput("--resume takes parameters, shots, seed and limits from the journal: leave them out")


def _head_start(context: typer.Context) -> HeadStart:
    return context.obj if isinstance(context.obj, HeadStart) else HeadStart([])


def followed(job: Job, interrupts: Interrupts, *, quiet: bool) -> JobResult:
    """Show the job until it ends; its result."""
    # Imported while the runtime's processes load.
    from hybrid_runtime.cli.follow import follow
    from hybrid_runtime.cli.progress import view_of

    follow(job, view_of(job, quiet=quiet), interrupts)
    return job.result()
