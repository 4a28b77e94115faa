"""`qi-run fork`: a new job that begins with the first steps of another one, on this machine or on a server."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from hybrid_runtime.bundle import bundle_file
from hybrid_runtime.cli.folder import OutFolder
from hybrid_runtime.cli.options import (
    DEFAULT_BACKEND,
    BackendOption,
    Debug,
    Fsync,
    Isolation,
    Json,
    Keys,
    Limit,
    OnDivergence,
    Param,
    Quiet,
    backend_options,
)
from hybrid_runtime.cli.parameters import parse_parameters
from hybrid_runtime.cli.preload import preload_of
from hybrid_runtime.cli.refusal import refuse
from hybrid_runtime.cli.remote.options import ServerOption
from hybrid_runtime.cli.run import Outputs, followed
from hybrid_runtime.cli.signals import Interrupts
from hybrid_runtime.dispatcher.surveying import survey
from hybrid_runtime.errors import HybridRuntimeError, InvalidInput
from hybrid_runtime.limits import parse_limits
from hybrid_runtime.local import LocalRuntime
from hybrid_runtime.protocol.bundles import encode_bundle
from hybrid_runtime.submission import journal_of, kept_bundle

JobAndStep = Annotated[
    str,
    typer.Argument(
        metavar="JOB@STEP",
        help="The job, and how many of its steps are taken over. JOB is a folder DIR/JOB_ID of a run with --out DIR, "
        "or a job on a server.",
        show_default=False,
    ),
]
OtherBackend = Annotated[
    str | None,
    typer.Option(
        "--backend", "-b", metavar="NAME", help="Go on on another backend than the job's.", show_default=False
    ),
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        metavar="METHOD",
        help="A method of hybrid_runtime.optimize that takes over after STEP, at the best point so far.",
    ),
]
File = Annotated[
    str | None,
    typer.Option("--file", "-f", metavar="FILE[:NAME]", help="The algorithm's file; as it was then without it."),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Keep the new job in DIR/JOB_ID; beside the other without it."),
]
OtherName = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="On a server: what lists call the new job.")
]


def fork(
    job_and_step: JobAndStep,
    *,
    param: Param = None,
    backend: OtherBackend = None,
    optimizer: Optimizer = None,
    limit: Limit = None,
    file: File = None,
    on_divergence: OnDivergence = "fail",
    out: Out = None,
    fsync: Fsync = "group",
    keys: Keys = None,
    backend_option: BackendOption = None,
    isolation: Isolation = None,
    name: OtherName = None,
    server: ServerOption = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Begin a new job with another's first steps, without executing them again.

    That of a folder runs here and now, as by qi-run run. That of a server is queued there.
    """
    text, at, step = job_and_step.rpartition("@")
    if not at or not text or not step.isascii() or not step.isdigit():
        raise InvalidInput(f"{job_and_step!r:.80} is not JOB@STEP; write for example last@20, or runs/JOB@20")
    source = Path(text)
    here = source.exists() or len(source.parts) > 1 or out is not None
    given = {
        "--optimizer": optimizer,
        "--file": file,
        "--out": out,
        "--keys": keys,
        "--backend-option": backend_option,
        "--isolation": isolation,
    }
    refused = [option for option, value in given.items() if value is not None]
    if not here and refused:
        raise InvalidInput(f"{refused[0]} goes with a folder DIR/JOB_ID; there is none of the name {text!r:.80} here")
    if here and (name is not None or server is not None):
        raise InvalidInput(f"--{'name' if server is None else 'server'} goes with a job on a server, not with a folder")
    parameters = parse_parameters(param) if param else None
    limits = parse_limits(limit) if limit else None
    if not here:
        from hybrid_runtime.cli.remote import steer

        return steer.fork(
            text, int(step), parameters=parameters, backend=backend, limits=limits, name=name, server=server, json=json
        )
    try:
        journal = journal_of(source if source.exists() or out is None else out / source)
        with ExitStack() as stack:
            bundle = kept_bundle(journal) if file is None else bundle_file(file)
            folder = OutFolder(journal.parent.parent if out is None else out)
            stack.callback(folder.discard)
            interrupts = stack.enter_context(Interrupts())
            client = stack.enter_context(
                LocalRuntime(
                    backend or _backend_of(journal),
                    options=backend_options(backend or "", keys, backend_option),
                    preload=preload_of(bundle),
                    isolation=isolation,
                )
            )
            job = client.fork(
                journal,
                int(step),
                algorithm=bundle,
                parameters=parameters,
                limits=limits,
                optimizer=optimizer,
                job_id=folder.job_id,
                journal=folder.journal,
                fsync=fsync,
                on_divergence=on_divergence,
            )
            folder.begin(encode_bundle(bundle))
            return Outputs(folder, json=json, quiet=quiet).result(followed(job, interrupts, quiet=quiet))
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug, backend=backend)


def _backend_of(journal: Path) -> str:
    """Where the recorded job ran last."""
    backend = survey(journal).backend
    return DEFAULT_BACKEND if backend is None else backend.name
