"""The subcommands of `qi-run`, put together."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hybrid_runtime._version import __version__
from hybrid_runtime.cli import codes
from hybrid_runtime.cli.backends import backends
from hybrid_runtime.cli.bench import bench
from hybrid_runtime.cli.check import check
from hybrid_runtime.cli.config import config
from hybrid_runtime.cli.doctor import doctor
from hybrid_runtime.cli.journal import journal
from hybrid_runtime.cli.keys import keys
from hybrid_runtime.cli.new import new
from hybrid_runtime.cli.options import Debug
from hybrid_runtime.cli.quantum_runtime import quantum_runtime
from hybrid_runtime.cli.replay import replay
from hybrid_runtime.cli.run import run
from hybrid_runtime.cli.serve import serve
from hybrid_runtime.cli.streams import write

app = typer.Typer(
    name="qi-run",
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=codes.epilog(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
for function in (run, replay, check, new, backends, doctor, quantum_runtime, keys, bench, serve):
    app.command(epilog=codes.epilog())(function)
app.add_typer(journal, name="journal")
app.add_typer(config, name="config")


@app.command()
def version() -> None:
    """Print the version."""
    write(f"qi-run {__version__}")


@app.callback(invoke_without_command=True)
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


def command() -> Any:
    """The command that parses a command line and runs it."""
    return typer.main.get_command(app)
