"""The subcommands of `qi-run`, put together; each is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer

from hybrid_runtime._version import __version__
from hybrid_runtime.cli import codes
from hybrid_runtime.cli.options import Debug
from hybrid_runtime.cli.streams import write

# Where each command is, in the order of --help: a function, or a group of commands, of a module.
_HERE = {
    "run": "run:run",
    "replay": "replay:replay",
    "check": "check:check",
    "new": "new:new",
    "backends": "backends:backends",
    "doctor": "doctor:doctor",
    "quantum-runtime": "quantum_runtime:quantum_runtime",
    "keys": "keys:keys",
    "bench": "bench:bench",
    "journal": "journal:journal",
    "fork": "fork:fork",
    "serve": "serve:serve",
    "config": "config:config",
}
_OF_SERVERS = {
    "login": "remote.login:login",
    "logout": "remote.login:logout",
    "upload": "remote.upload:upload",
    "jobs": "remote.jobs:jobs",
    "status": "remote.jobs:status",
    "watch": "remote.watch:watch",
    "logs": "remote.watch:logs",
    "result": "remote.watch:result",
    "cancel": "remote.steer:cancel",
    "pause": "remote.steer:pause",
    "resume": "remote.steer:resume",
    "queue": "remote.backends:queue",
    "environments": "remote.backends:environments",
    "usage": "remote.accounts:usage",
    "token": "remote.accounts:token",
    "project": "remote.operate:project",
    "user": "remote.operate:user",
    "backend": "remote.operate:backend",
}
_PANELS = {"Commands": _HERE, "Jobs on a server": _OF_SERVERS}


class Commands(Mapping[str, Any]):
    """All commands by name. Reading the options of every one of them would cost more than most of them take."""

    def __init__(self, built: Mapping[str, Any]) -> None:
        self._built = dict(built)
        self._names = [name for panel in _PANELS.values() for name in panel] + list(built)

    def __getitem__(self, name: str) -> Any:
        for panel, places in _PANELS.items():
            if name in places and name not in self._built:
                self._built[name] = _build(name, places[name], panel)
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _build(name: str, place: str, panel: str) -> Any:
    module, _, member = place.partition(":")
    found = getattr(import_module(f"hybrid_runtime.cli.{module}"), member)
    # typer makes commands only as parts of an application, which needs a callback to stay a group.
    part = typer.Typer(add_completion=False, pretty_exceptions_enable=False, callback=version)
    if isinstance(found, typer.Typer):
        part.add_typer(found, name=name, rich_help_panel=panel)
    else:
        part.command(name, epilog=codes.epilog(), rich_help_panel=panel)(found)
    return typer.main.get_command(part).commands[name]  # type: ignore[attr-defined]


def qi_run(
    context: typer.Context,
    *,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Debug = False,
) -> int:
    """Run hybrid quantum-classical algorithms next to a QPU or an emulator."""
    del debug  # it is looked for among all arguments, wherever it stands
    if show_version:
        version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        write(context.get_help())
        raise typer.Exit(codes.ExitCode.REFUSED)
    return codes.ExitCode.COMPLETED


def version() -> None:
    """Print the version."""
    write(f"qi-run {__version__}")


def command() -> Any:
    """The command that parses a command line and runs it."""
    app = typer.Typer(
        name="qi-run",
        pretty_exceptions_enable=False,
        epilog=codes.epilog(),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(qi_run)
    app.command()(version)
    group: Any = typer.main.get_command(app)
    group.commands = Commands(group.commands)
    return group
