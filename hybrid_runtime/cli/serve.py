"""`qi-run serve`: the whole service on this host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.config import ConfigFile, settings_file
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.refusal import refuse
from hybrid_runtime.cli.streams import write
from hybrid_runtime.errors import HybridRuntimeError, InvalidInput

if TYPE_CHECKING:
    from hybrid_runtime.server.service import Listening
    from hybrid_runtime.server.settings import Settings

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder for everything that is kept.")]
Listen = Annotated[
    str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes one that is free.")
]
Backends = Annotated[
    list[str] | None,
    typer.Option(
        "--backend", "-b", metavar="NAME=DRIVER", help="A backend to serve, once for each; see qi-run backends."
    ),
]
ReadyFd = Annotated[
    int | None,
    typer.Option("--ready-fd", metavar="N", help="Descriptor to write what --json prints to, once it serves.", min=0),
]
NewToken = Annotated[
    bool, typer.Option("--new-operator-token", help="Make another token for the operator, whose last one is lost.")
]


def serve(
    *,
    config: ConfigFile = None,
    data: Data = None,
    listen: Listen = None,
    backend: Backends = None,
    ready_fd: ReadyFd = None,
    new_operator_token: NewToken = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Start the job manager with its REST API, and a runner for each backend.

    Runs until Ctrl-C or SIGTERM; running jobs are paused then, and go on at the next start. SIGHUP reads the settings
    again. The first start prints a token for the operator, once.
    """
    from hybrid_runtime.server.service import serve as run_service

    try:
        given = _given(data, listen, backend)

        def read() -> Settings:
            from hybrid_runtime.server.reading import read as read_settings

            return read_settings(settings_file(config), given).settings

        run_service(
            read(),
            read,
            lambda listening: _tell(listening, json=json, ready_fd=ready_fd),
            new_token=new_operator_token,
        )
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug)
    return ExitCode.COMPLETED


def _given(data: Path | None, listen: str | None, backends: list[str] | None) -> dict[str, Any]:
    """Settings by key, as the command line has them."""
    from hybrid_runtime.server.listening import parse_listen

    given: dict[str, Any] = {}
    if data is not None:
        given["data"] = str(data)
    if listen is not None:
        given["listen.host"], given["listen.port"] = parse_listen(listen)
    for text in backends or []:
        name, equals, driver = text.partition("=")
        if not equals or not name or not driver or "." in name:
            raise InvalidInput(f"--backend is NAME=DRIVER, as qulacs=qulacs, not {text!r:.60}")
        given[f"backends.{name}.driver"] = driver
    return given


def _tell(listening: Listening, *, json: bool, ready_fd: int | None) -> None:
    import msgspec

    line = msgspec.json.encode(listening).decode()
    if ready_fd is not None:
        os.write(ready_fd, f"{line}\n".encode())
        os.close(ready_fd)
    if json:
        write(line)
        return
    write(f"serving at {listening.url}, data in {listening.data}")
    if listening.token is not None:
        write(f"operator token, shown this once: {listening.token}")
        write(f"log in with: qi-run login {listening.url}")
