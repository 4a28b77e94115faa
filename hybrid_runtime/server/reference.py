"""The settings as a list: what each is called, means, and is when nobody sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from hybrid_runtime.server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Stands for a name that the operator chooses, in the keys of settings that exist once for each name.
ANY_NAME = "NAME"


class Entry(NamedTuple):
    """One setting.

    Attributes:
        key: Its name, with those of the tables around it: `listen.port`, `backends.NAME.jobs`.
        kind: What its value looks like.
        default: Its value when nobody sets it; `msgspec.NODEFAULT` where somebody has to.
        meaning: What it is for.
        example: A value that it may have, where it has none by itself.
        secret: Whether its value may hold a password.
    """

    key: str
    kind: str
    default: Any
    meaning: str
    example: Any
    secret: bool


def entries(table: type[msgspec.Struct] = Settings, prefix: str = "") -> Iterator[Entry]:
    """Every setting, in the order of the file."""
    hints = get_type_hints(table, include_extras=True)
    for field in msgspec.structs.fields(table):
        key = f"{prefix}{field.name}"
        base, about = _unwrapped(hints[field.name])
        nested = table_of(base)
        if nested is not None:
            yield from entries(nested, f"{key}." if base is nested else f"{key}.{ANY_NAME}.")
            continue
        secret = any(meta.extra for meta in about)
        meaning = next((meta.description for meta in about if meta.description), "")
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        example = next((meta.examples[0] for meta in about if meta.examples), None)
        yield Entry(key, _kind(base), default, meaning, example, secret)


def _unwrapped(hint: Any) -> tuple[Any, list[msgspec.Meta]]:
    if get_origin(hint) is not Annotated:
        return hint, []
    base, *about = get_args(hint)
    return base, [meta for meta in about if isinstance(meta, msgspec.Meta)]


def table_of(base: Any) -> type[msgspec.Struct] | None:
    """The table that a type is, or is a table of by name; None for a plain value."""
    candidate = get_args(base)[1] if get_origin(base) is dict else base
    return candidate if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct) else None


def _kind(base: Any) -> str:
    base, _ = _unwrapped(base)
    origin, inner = get_origin(base), get_args(base)
    if origin is Literal:
        return ", ".join(inner)
    if origin is tuple:
        return "list of texts"
    if origin is dict:
        return "table"
    if inner:  # a type or None
        return _kind(next(one for one in inner if one is not type(None)))
    return {bool: "true, false", int: "whole number", float: "number", str: "text"}[base]


def children(table: type[msgspec.Struct]) -> dict[str, Any]:
    """The members of a table: each one's type by its name."""
    hints = get_type_hints(table, include_extras=True)
    return {name: _unwrapped(hints[name])[0] for name in table.__struct_fields__}


def is_named(key: str, pattern: str) -> bool:
    """Whether a key is that of an entry, where the entry may leave a name open."""
    return key.count(".") == pattern.count(".") and fits(key, pattern)


def fits(key: str, pattern: str) -> bool:
    """Whether a key is that of an entry, or of a table around it."""
    parts, wanted = key.split("."), pattern.split(".")
    return len(parts) <= len(wanted) and all(
        want in (ANY_NAME, part) for part, want in zip(parts, wanted, strict=False)
    )


class Value(NamedTuple):
    """One setting as it is."""

    key: str
    value: Any
    entry: Entry


def values(settings: Settings) -> Iterator[Value]:
    """Every setting with its value; those that exist once for each name, for the names that there are."""
    for entry in entries():
        yield from _values(settings, entry, entry.key.split("."), [])


def _values(inside: Any, entry: Entry, left: list[str], done: list[str]) -> Iterator[Value]:
    if not left:
        yield Value(".".join(done), inside, entry)
    elif left[0] == ANY_NAME:
        for name, one in inside.items():
            yield from _values(one, entry, left[1:], [*done, name])
    else:
        yield from _values(getattr(inside, left[0]), entry, left[1:], [*done, left[0]])
