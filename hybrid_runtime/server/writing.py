"""Settings as text: a file to begin with, and the values that hold, without their secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.server.reference import ANY_NAME, Entry, Value, entries, values
from hybrid_runtime.server.settings import Settings

if TYPE_CHECKING:
    from hybrid_runtime.server.reading import Effective

HIDDEN = "***"
_HEAD = """\
# Settings of `qi-run serve`. A line that begins with "#" and a name shows what holds without it.
# `qi-run config explain NAME` says more, `qi-run config show` what holds now and why.
"""
_PASSWORD = re.compile(r"(://[^:/@]*:)[^@]*@")
_SECRET_NAME = re.compile("token|password|secret", re.IGNORECASE)


def template() -> str:
    """A file that sets nothing but says everything, with one backend and one environment to change."""
    lines = [_HEAD]
    table = ""
    names = {"backends": next(iter(Settings().backends)), "environments": next(iter(Settings().environments))}
    # In TOML, what belongs to no table stands before the first one.
    for entry in sorted(entries(), key=lambda entry: "." in entry.key):
        *outer, name = entry.key.split(".")
        here = ".".join(names[outer[0]] if part == ANY_NAME else part for part in outer)
        if here != table:
            table = here
            lines.append(f"\n[{table}]")
        lines.append(f"# {entry.meaning}")
        lines.append(_assignment(name, entry))
    return "\n".join(lines) + "\n"


def _assignment(name: str, entry: Entry) -> str:
    if entry.default is msgspec.NODEFAULT:
        return f"{name} = {toml(next(iter(Settings().backends.values())).driver)}"
    if entry.default is None:
        return f"#{name} = {toml(entry.example)}  # an example: nothing is set"
    return f"#{name} = {toml(entry.default)}"


def shown(effective: Effective) -> str:
    """The values that hold, one a line, each with where it comes from. It is TOML, but for what is hidden."""
    lines = []
    for one in values(effective.settings):
        if one.value is not None:
            lines.append(f"{one.key} = {toml(without_secrets(one))}  # {effective.source(one.key)}")
    return "\n".join(lines)


def without_secrets(one: Value) -> Any:
    """A value that may be shown to whoever looks over a shoulder."""
    if one.entry.secret:
        return _PASSWORD.sub(rf"\g<1>{HIDDEN}@", one.value)
    return _hide(one.value)


def _hide(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: HIDDEN if _SECRET_NAME.search(name) else _hide(inner) for name, inner in value.items()}
    return value


def toml(value: Any) -> str:
    """A value as TOML writes it, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_name(name)} = {toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
