"""The arguments and options that subcommands share, and what `qi-run run` makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hybrid_runtime.cli.parameters import parse_parameters
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.limits import DEFAULT_SHOTS, MAX_SEED, MAX_SHOTS, Limits, parse_limits
from hybrid_runtime.local import DEFAULT_BACKEND

Target = Annotated[
    str,
    typer.Argument(
        metavar="FILE[:NAME]", help="Python file with the algorithm; NAME chooses one of several.", show_default=False
    ),
]
Param = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="NAME=VALUE",
        help="A parameter of the algorithm, once for each. VALUE is JSON, a bare word, or @FILE with JSON in it.",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="PATTERN",
        help="Data files that the algorithm reads, seen from its own file, as data/*.csv; once for each.",
    ),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=VALUE",
        help="When to stop, once for each: steps, shots, wall, qpu, think, finalize (as 90, 60s, 5m or 200ms), "
        "or plateau=METRIC,TOLERANCE,WINDOW.",
    ),
]
Backend = Annotated[str, typer.Option("--backend", "-b", help="Where circuits run; see qi-run backends.")]
Keys = Annotated[
    Path | None, typer.Option("--keys", metavar="DIR", help="Keys for a backend tcp://HOST:PORT; see qi-run keys.")
]
BackendOption = Annotated[
    list[str] | None,
    typer.Option(
        "--backend-option",
        metavar="NAME=VALUE",
        help="An option of the backend's driver, once for each. VALUE is JSON or a text.",
    ),
]


def _shots(given: str | int) -> int | None:
    """What `--shots` means: None is for exact probabilities."""
    if given == "exact":
        return None
    try:
        return int(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is neither a whole number nor exact.") from None


Shots = Annotated[
    int | None,
    typer.Option(
        "--shots",
        "-s",
        metavar="N",
        parser=_shots,
        help="Shots of circuits that name none; exact for exact probabilities.",
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Makes the run repeatable; drawn at random without it.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Keep journal, bundle, result, metrics and log in DIR/JOB_ID."),
]
Resume = Annotated[
    str | None,
    typer.Option("--resume", metavar="JOB", help="Go on with JOB, which --out DIR kept, after its last step."),
]
OnDivergence = Annotated[
    str,
    typer.Option(
        "--on-divergence",
        metavar="HOW",
        help="With --resume, when the algorithm asks for something else than is recorded: fail, or go live from there.",
    ),
]
Failover = Annotated[
    list[str] | None,
    typer.Option("--failover", metavar="NAME", help="A backend to go on at when the one before fails; in this order."),
]
Fsync = Annotated[
    str,
    typer.Option("--fsync", metavar="WHEN", help="When the journal is forced to the disk: step, group or never."),
]
Isolation = Annotated[
    str | None,
    typer.Option(
        "--isolation",
        metavar="LEVEL",
        help="How the algorithm is kept apart: strict, landlock or process; else the strictest that this host can "
        "give. See qi-run doctor.",
    ),
]
Placed = Annotated[
    str,
    typer.Option(
        "--placement",
        metavar="HOW",
        help="How the processes share the cores and wait for each other: auto, inline, spin, same-core, free or "
        "spread.",
    ),
]
Trace = Annotated[
    Path | None,
    typer.Option("--trace", metavar="FILE", help="Write each step's stages to FILE, for https://ui.perfetto.dev."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no log lines.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show Hybrid Runtime's own traceback of an error.")]


class JobOptions:
    """What a job is given from the command line, checked before anything is started.

    Raises:
        InvalidInput: one of the options cannot be used.
    """

    def __init__(
        self, *, param: list[str] | None, shots: int | None, seed: int | None, limit: list[str] | None
    ) -> None:
        if shots is not None and not 1 <= shots <= MAX_SHOTS:
            raise InvalidInput(f"--shots is a whole number from 1 to {MAX_SHOTS}, or exact, not {shots}")
        if seed is not None and not 0 <= seed <= MAX_SEED:
            raise InvalidInput(f"--seed is a whole number from 0 to {MAX_SEED}, not {seed}")
        self.parameters: dict[str, Any] = parse_parameters(param or [])
        self.shots = shots
        self.seed = seed
        self.limits: Limits = parse_limits(limit or [])


def backend_options(backend: str, keys: Path | None, given: list[str] | None) -> dict[str, Any]:
    """Options of the backend that come from the command line; what is not JSON in `given` is a text.

    Raises:
        InvalidInput: keys are given for a backend that takes none, or an option is not NAME=VALUE.
    """
    options: dict[str, Any] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not name or not equals or name in options:
            raise InvalidInput(f"--backend-option {text!r} is not NAME=VALUE, or its name is given twice")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    if keys is not None:
        if not backend.startswith("tcp://"):
            raise InvalidInput(f"--keys is for a backend tcp://HOST:PORT, not for {backend!r}")
        options["keys"] = str(keys.absolute())
    return options


__all__ = [
    "DEFAULT_BACKEND",
    "DEFAULT_SHOTS",
    "Backend",
    "BackendOption",
    "Debug",
    "Failover",
    "Fsync",
    "Include",
    "Isolation",
    "JobOptions",
    "Json",
    "Keys",
    "Limit",
    "OnDivergence",
    "Out",
    "Param",
    "Placed",
    "Quiet",
    "Resume",
    "Seed",
    "Shots",
    "Target",
    "Trace",
    "backend_options",
]
