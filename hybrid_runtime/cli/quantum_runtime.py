"""`qi-run quantum-runtime`: a backend of this host for the dispatchers of others."""

from __future__ import annotations

import json
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug
from hybrid_runtime.cli.refusal import refuse
from hybrid_runtime.cli.streams import write
from hybrid_runtime.errors import HybridRuntimeError, InvalidInput

if TYPE_CHECKING:
    from hybrid_runtime.quantum.server import Server, ServerSettings

_STOP = (signal.SIGINT, signal.SIGTERM)

Bind = Annotated[
    str, typer.Option("--bind", metavar="tcp://HOST:PORT", help="Where to listen; port 0 takes one that is free.")
]
Driver = Annotated[str, typer.Option("--driver", help="What runs the circuits; see qi-run backends.")]
Options = Annotated[str, typer.Option("--options", metavar="JSON", help="The driver's options.")]
Name = Annotated[str | None, typer.Option("--name", help="The backend's name as users see it; else the driver's.")]
Keys = Annotated[
    Path | None, typer.Option("--keys", metavar="DIR", help="Keys made by qi-run keys; DIR/clients says who is let in.")
]
Status = Annotated[
    str | None, typer.Option("--status", metavar="tcp://HOST:PORT", help="Where to publish how the backend is doing.")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Let everyone in, also from other hosts.")]


def quantum_runtime(
    *,
    bind: Bind,
    driver: Driver = "qulacs",
    options: Options = "{}",
    name: Name = None,
    keys: Keys = None,
    status: Status = None,
    insecure: Insecure = False,
    debug: Debug = False,
) -> int:
    """Serve a backend of this host to others, which use it by qi-run run --backend tcp://HOST:PORT.

    Runs until Ctrl-C or SIGTERM.
    """
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    try:
        settings = _settings(bind, status, keys, insecure=insecure)
        _serve(driver, _driver_options(options), name, settings)
    except HybridRuntimeError as error:
        return refuse(error, json=False, debug=debug)
    return ExitCode.COMPLETED


def _settings(bind: str, status: str | None, keys: Path | None, *, insecure: bool) -> ServerSettings:
    # ZeroMQ is loaded by this command only.
    from hybrid_runtime.protocol.address import parse_bind_address
    from hybrid_runtime.protocol.curve import load_server_keys
    from hybrid_runtime.quantum.server import ServerSettings

    settings = ServerSettings(
        bind=parse_bind_address(bind),
        status=parse_bind_address(status) if status is not None else None,
        keys=load_server_keys(keys) if keys is not None else None,
        insecure=insecure,
    )
    settings.check()
    return settings


def _driver_options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"--options is not JSON: {error}") from error
    if not isinstance(options, dict):
        raise InvalidInput(f"--options is a JSON object, not {text}")
    return options


def _serve(driver: str, options: dict[str, Any], name: str | None, settings: ServerSettings) -> None:
    from hybrid_runtime.quantum.server import Server
    from hybrid_runtime.quantum.supervisor import Supervisor

    def listening(address: str, status: str | None) -> None:
        write(f"quantum runtime {name or driver!r} listens at {address}")
        if status is not None:
            write(f"its status is published at {status}")

    before = {number: signal.getsignal(number) for number in _STOP}
    server = Server(Supervisor(driver, options, name=name), settings, listening)
    try:
        _stop_by_signal(server)
        server.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    logging.getLogger(__name__).info("ended")


def _stop_by_signal(server: Server) -> None:
    for number in _STOP:
        signal.signal(number, lambda _number, _frame: server.stop())
