"""`qi-run check`: what is wrong with a file, without running any of it."""

from __future__ import annotations

from typing import Annotated

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Include, Json, Target
from hybrid_runtime.cli.remote.asking import connect, environment_named
from hybrid_runtime.cli.remote.options import ServerOption
from hybrid_runtime.cli.streams import write, write_json

EnvironmentOption = Annotated[
    str | None,
    typer.Option(
        "--environment",
        metavar="NAME",
        help="Check it against this environment of the server, as qi-run upload does, and not against what is here.",
    ),
]


def check(
    target: Target,
    *,
    environment: EnvironmentOption = None,
    include: Include = None,
    server: ServerOption = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Say what is wrong with the algorithm in FILE, without running any of it.

    It looks at hooks and their signatures, imports, and the circuits that the file spells out. The exit code
    is 2 when there is an error; warnings leave it at 0.
    """
    from hybrid_runtime.cli.examine import examine  # not needed by the other commands, which load this module too

    del debug  # looked for among the arguments, should this command itself fail
    there = None
    if environment is not None:
        with connect(server) as client:
            there = environment_named(client.environments(), environment)
    report = examine(target, there, include or ())
    if json:
        write_json(report.to_dict())
    else:
        write(report.to_text())
    return ExitCode.REFUSED if report.errors else ExitCode.COMPLETED
