"""The arguments and options that commands against a server share."""

from __future__ import annotations

from typing import Annotated

import typer

JobArgument = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="Its id, the beginning of it or of its last part, or last: the newest of your own.",
        show_default=False,
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL|NAME",
        help="The server, by URL or as named by qi-run login; else QI_RUN_URL, else the one logged in to last.",
    ),
]
ProjectOption = Annotated[
    str | None, typer.Option("--project", metavar="NAME", help="The project; needed by those who have several.")
]
ByProject = Annotated[str | None, typer.Option("--project", metavar="NAME", help="Only those of this project.")]
ByUser = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Only those of this user.")]
