"""Settings from where they are set: a file, the environment, the command line; the later ones win."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_origin

import msgspec

from hybrid_runtime.config import serve_variables, state_folder
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.server.reference import ANY_NAME, children, entries, is_named, table_of
from hybrid_runtime.server.settings import Settings, check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

VARIABLE_PREFIX = "QI_RUN_SERVE_"
DEFAULT = "default"


class Effective(NamedTuple):
    """Settings, and where each comes from.

    Attributes:
        settings: Checked, and without anything left to be found out.
        sources: Where a value was set, by key; keys that nobody set are not in it.
    """

    settings: Settings
    sources: dict[str, str]

    def source(self, key: str) -> str:
        """Where the value of a key comes from."""
        # A table may have been set as a whole.
        parts = key.split(".")
        for count in range(len(parts), 0, -1):
            found = self.sources.get(".".join(parts[:count]))
            if found is not None:
                return found
        return DEFAULT


def read(
    file: Path | None = None, given: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Effective:
    """The settings that hold.

    Args:
        file: The file; none is read when None.
        given: Values by key from the command line.
        environment: Variables to look through; those of this process when None.

    Raises:
        InvalidInput: something set is unknown or cannot be; the text names it and where it was set.
    """
    raw: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if file is not None:
        _lay(_parsed(file), str(file), raw, sources)
    variables = serve_variables(VARIABLE_PREFIX) if environment is None else environment
    for name, text in variables.items():
        _put(_key_of(name), _value_of(name, text), f"environment variable {name}", raw, sources)
    for key, value in (given or {}).items():
        _put(key, value, "the command line", raw, sources)
    settings = _checked(raw, sources)
    data = Path(settings.data).expanduser().absolute() if settings.data else state_folder() / "hybrid-runtime"
    return Effective(msgspec.structs.replace(settings, data=str(data)), sources)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}; qi-run config init writes one") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is not TOML: {error}") from error


def _lay(table: dict[str, Any], source: str, raw: dict[str, Any], sources: dict[str, str], prefix: str = "") -> None:
    """Take over every value of a table, so that each has its source."""
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and not _is_value(key):
            _lay(value, source, raw, sources, f"{key}.")
        else:
            _put(key, value, source, raw, sources)


def _put(key: str, value: Any, source: str, raw: dict[str, Any], sources: dict[str, str]) -> None:
    *outer, last = key.split(".")
    table = raw
    for name in outer:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            raise InvalidInput(f"{source}: {key} is set, but {name} is not a table")
        table = inner
    if isinstance(value, dict):
        # Set as a whole, it takes the place of what was set before it.
        for known in [known for known in sources if known.startswith(f"{key}.")]:
            del sources[known]
    table[last] = value
    sources[key] = source


def _is_value(key: str) -> bool:
    """Whether a table in the file is one setting's value, as a driver's options are."""
    return any(is_named(key, entry.key) for entry in entries())


# ------------------------------------------------------------------ the environment


def variable_of(key: str) -> str:
    """The environment variable that sets a key."""
    return VARIABLE_PREFIX + key.upper().replace(".", "_")


def _keys_by_variable() -> dict[str, str]:
    keys = [entry.key for entry in entries() if ANY_NAME not in entry.key]
    keys += [name for name, base in children(Settings).items() if get_origin(base) is dict]
    return {variable_of(key): key for key in keys}


def _key_of(variable: str) -> str:
    known = _keys_by_variable()
    if variable not in known:
        raise InvalidInput(f"environment variable {variable} sets nothing{_near(variable, known)}")
    return known[variable]


def _value_of(variable: str, text: str) -> Any:
    key = _key_of(variable)
    kind = next((entry.kind for entry in entries() if entry.key == key), "table")
    if kind in ("whole number", "number", "true, false", "list of texts", "table"):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            raise InvalidInput(
                f"environment variable {variable} is a {kind} as TOML writes it, not {text!r:.60}"
            ) from None
    return text


# ------------------------------------------------------------------ checks


def _checked(raw: dict[str, Any], sources: dict[str, str]) -> Settings:
    for key, table, name in _unknown(Settings, raw, ""):
        known = [key.removesuffix(name) + other for other in children(table)]
        raise InvalidInput(
            f"{_where(key, sources)}{key} is not a setting{_near(key, known)} (qi-run config explain lists them all)"
        )
    # Tables by name first, each by itself: an error in one then names it.
    for name, base in children(Settings).items():
        inner = raw.get(name)
        if get_origin(base) is dict and isinstance(inner, dict):
            for one, value in inner.items():
                _convert(value, table_of(base), f"{name}.{one}", sources)
    settings = _convert(raw, Settings, "", sources)
    assert isinstance(settings, Settings)
    check(settings)
    return settings


def _unknown(table: type[msgspec.Struct], raw: Any, prefix: str) -> Iterator[tuple[str, type[msgspec.Struct], str]]:
    """Keys that no setting has, with the table that lacks them."""
    if not isinstance(raw, dict):
        return
    members = children(table)
    for name, value in raw.items():
        if name not in members:
            yield f"{prefix}{name}", table, name
            continue
        base = members[name]
        nested = table_of(base)
        if nested is None:
            continue
        if base is nested:
            yield from _unknown(nested, value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            for one, inner in value.items():
                yield from _unknown(nested, inner, f"{prefix}{name}.{one}.")


def _convert(raw: Any, table: Any, key: str, sources: dict[str, str]) -> Any:
    try:
        return msgspec.convert(raw, table)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        place = f"{key}{path.rstrip('`')}".lstrip(".")
        raise InvalidInput(f"{_where(place, sources)}{place}: {what.replace('`', '')}") from None


def _where(key: str, sources: dict[str, str]) -> str:
    """Where a key, or what is in it, was set; ready to stand before the message."""
    stem = key.partition("[")[0]
    found = next((where for known, where in sources.items() if f"{known}.".startswith(f"{stem}.")), None)
    return f"{found}: " if found else ""


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
