"""`qi-run config`: the settings of `qi-run serve`, written, shown and explained."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from hybrid_runtime.cli.codes import ExitCode, epilog
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.refusal import refuse
from hybrid_runtime.cli.streams import say, write, write_json
from hybrid_runtime.errors import HybridRuntimeError, InvalidInput

if TYPE_CHECKING:
    from hybrid_runtime.server.reading import Effective
    from hybrid_runtime.server.reference import Entry

config = typer.Typer(help="Write, show and explain the settings of qi-run serve.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file with settings; see qi-run config init."),
]


def settings_file(given: Path | None) -> Path | None:
    """The file to read: the one given, or the one in the user's configuration folder if it is there."""
    if given is not None:
        return given
    usual = usual_file()
    return usual if usual.is_file() else None


def usual_file() -> Path:
    """Where settings are looked for when no file is given."""
    from hybrid_runtime.config import configuration_folder

    return configuration_folder() / "hybrid-runtime" / "serve.toml"


@config.command(epilog=epilog())
def init(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="File to write; else in the user's configuration folder.")
    ] = None,
    *,
    debug: Debug = False,
) -> int:
    """Write a file that says everything that can be set, and sets nothing yet."""
    from hybrid_runtime.server.writing import template

    place = file or usual_file()
    try:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            # The file may come to hold a database's password.
            place.touch(mode=0o600, exist_ok=False)
            place.write_text(template(), encoding="utf-8")
        except FileExistsError:
            raise InvalidInput(f"{place} exists and is left as it is; name another file") from None
        except OSError as error:
            raise InvalidInput(f"{place} cannot be written: {error.strerror}; name another file") from error
    except HybridRuntimeError as error:
        return refuse(error, json=False, debug=debug)
    write(str(place))
    say(f"edit it, then start: qi-run serve{f' --config {place}' if file else ''}")
    return ExitCode.COMPLETED


@config.command(epilog=epilog())
def show(*, config: ConfigFile = None, json: Json = False, debug: Debug = False) -> int:
    """Show the settings that hold, without secrets, and where each comes from."""
    from hybrid_runtime.server.reading import read
    from hybrid_runtime.server.reference import values
    from hybrid_runtime.server.writing import shown, without_secrets

    try:
        effective = read(settings_file(config))
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug)
    if json:
        write_json(
            {
                one.key: {"value": without_secrets(one), "source": effective.source(one.key)}
                for one in values(effective.settings)
            }
        )
    else:
        write(shown(effective))
    return ExitCode.COMPLETED


@config.command(epilog=epilog())
def explain(
    key: Annotated[str | None, typer.Argument(metavar="NAME", help="A setting or a table; all when left out.")] = None,
    *,
    config: ConfigFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Say what settings mean, what they are when nobody sets them, and what holds now."""
    from hybrid_runtime.server.reading import read

    try:
        effective = read(settings_file(config))
        found = [_described(entry, effective) for entry in _wanted(key)]
    except HybridRuntimeError as error:
        return refuse(error, json=json, debug=debug)
    if json:
        write_json({"settings": found})
    else:
        write("\n\n".join(map(_paragraph, found)))
    return ExitCode.COMPLETED


def _wanted(key: str | None) -> list[Entry]:
    from hybrid_runtime.server.reference import entries, fits

    known = list(entries())
    if key is None:
        return known
    found = [entry for entry in known if fits(key, entry.key)]
    if not found:
        near = get_close_matches(key, [entry.key for entry in known], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InvalidInput(f"{key!r} is not a setting{hint} (qi-run config explain lists them all)")
    return found


def _described(entry: Entry, effective: Effective) -> dict[str, Any]:
    from hybrid_runtime.server.reading import variable_of
    from hybrid_runtime.server.reference import ANY_NAME, values
    from hybrid_runtime.server.writing import without_secrets

    return {
        "key": entry.key,
        "meaning": entry.meaning,
        "kind": entry.kind,
        "default": None if entry.default is msgspec.NODEFAULT else entry.default,
        "required": entry.default is msgspec.NODEFAULT,
        "variable": None if ANY_NAME in entry.key else variable_of(entry.key),
        "values": {
            one.key: {"value": without_secrets(one), "source": effective.source(one.key)}
            for one in values(effective.settings)
            if one.entry.key == entry.key
        },
    }


def _paragraph(told: dict[str, Any]) -> str:
    from hybrid_runtime.server.writing import toml

    def text(value: Any) -> str:
        return "not set" if value is None else toml(value)

    lines = [told["key"], f"  {told['meaning']}", f"  kind      {told['kind']}"]
    lines.append(f"  default   {'none: it has to be set' if told['required'] else text(told['default'])}")
    if told["variable"]:
        lines.append(f"  variable  {told['variable']}")
    for key, one in told["values"].items():
        name = f"{key} = " if key != told["key"] else ""
        lines.append(f"  now       {name}{text(one['value'])}, from {one['source']}")
    return "\n".join(lines)
