"""`qi-run run`: one job on this machine, from the file to its result."""

from __future__ import annotations

from contextlib import ExitStack

import typer

from hybrid_runtime.bundle import bundle_file
from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.folder import OutFolder
from hybrid_runtime.cli.headstart import HeadStart
from hybrid_runtime.cli.options import (
    DEFAULT_BACKEND,
    DEFAULT_SHOTS,
    Backend,
    BackendOption,
    Debug,
    Isolation,
    JobOptions,
    Json,
    Keys,
    Limit,
    Out,
    Param,
    Quiet,
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
from hybrid_runtime.protocol.bundles import Bundle, encode_bundle


def run(
    context: typer.Context,
    target: Target,
    *,
    param: Param = None,
    backend: Backend = DEFAULT_BACKEND,
    keys: Keys = None,
    backend_option: BackendOption = None,
    shots: Shots = DEFAULT_SHOTS,
    seed: Seed = None,
    limit: Limit = None,
    isolation: Isolation = None,
    json: Json = False,
    out: Out = None,
    trace: Trace = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Run the algorithm in FILE on this machine and print its result.

    Ctrl-C stops it gracefully: it finalizes, and its result so far is printed. A second Ctrl-C kills it.
    """
    try:
        options = JobOptions(param=param, shots=shots, seed=seed, limit=limit)
        bundle = bundle_file(target)
        with ExitStack() as stack:
            folder = None
            if out is not None:
                folder = OutFolder(out)
                stack.callback(folder.discard)
            interrupts = stack.enter_context(Interrupts())
            start = _head_start(context)
            given = backend_options(backend, keys, backend_option)
            client = start.client(backend, bundle, given, isolation=isolation, trace=trace)
            stack.enter_context(client)
            job = client.submit(
                bundle,
                parameters=options.parameters,
                shots=options.shots,
                seed=options.seed,
                limits=options.limits,
            )
            result = _follow(job, interrupts, quiet=quiet)
            return Outputs(folder, json=json, quiet=quiet).result(result, bundle)
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug, backend=backend, seed=seed)


class Outputs:
    """Where a job's progress and result go."""

    def __init__(self, folder: OutFolder | None, *, json: bool, quiet: bool) -> None:
        self.folder = folder
        self.json = json
        self.quiet = quiet

    def result(self, result: JobResult, bundle: Bundle) -> int:
        """Print and keep the result; the exit code for it."""
        from hybrid_runtime.cli.report import failure, summary

        if self.json:
            write_json(result.to_dict())
        else:
            write_for_person(summary(result))
        if result.error is not None:
            say(failure(result.error))
        return self._keep(result, bundle) or exit_code(result.error)

    def _keep(self, result: JobResult, bundle: Bundle) -> int:
        if self.folder is None:
            return ExitCode.COMPLETED
        try:
            kept = self.folder.keep(result, encode_bundle(bundle))
        except InvalidInput as error:
            say(message(error))  # the result itself has been printed by now
            return ExitCode.REFUSED
        if not self.quiet:
            say(f"kept in {kept}")
        return ExitCode.COMPLETED


def _head_start(context: typer.Context) -> HeadStart:
    return context.obj if isinstance(context.obj, HeadStart) else HeadStart([])


def _follow(job: Job, interrupts: Interrupts, *, quiet: bool) -> JobResult:
    """Show the job until it ends; its result."""
    # Imported while the runtime's processes load.
    from hybrid_runtime.cli.follow import follow
    from hybrid_runtime.cli.progress import view_of

    follow(job, view_of(job, quiet=quiet), interrupts)
    return job.result()
