"""Lists and times as a person reads them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from hybrid_runtime.dispatcher.output import clean
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.limits import parse_duration


def table(names: Sequence[str], rows: Sequence[Sequence[Any]], none: str) -> str:
    """Rows below their columns' names, numbers to the right; the sentence `none` when there are no rows."""
    if not rows:
        return none
    texts = [[_cell(value) for value in row] for row in rows]
    right = [
        all(isinstance(row[index], int | float) or row[index] is None for row in rows) for index in range(len(names))
    ]
    widths = [max(len(name), *(len(row[index]) for row in texts)) for index, name in enumerate(names)]
    lines = [[name.upper() for name in names], *texts]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    # Names and reasons are other people's words: nothing in them may steer the terminal.
    return clean(f"{value:g}" if isinstance(value, float) else str(value))


def pairs(values: dict[str, Any]) -> str:
    """Names and values below each other; what is None or empty is left out."""
    shown = {name: value for name, value in values.items() if value not in (None, "", [], {})}
    width = max(map(len, shown), default=0)
    return "\n".join(f"{name:{width}}  {_cell(value)}" for name, value in shown.items())


def ago(then: float | None) -> str:
    """How long ago a time is, in one unit."""
    if then is None:
        return "-"
    seconds = max(0.0, time.time() - then)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def moment(then: float | None) -> str:
    """A time of day and date, where the user is."""
    return "" if then is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(then))


def since(text: str | None) -> float | None:
    """The time that `7d`, `12h` or `2026-11-25` means, in seconds since 1970.

    Raises:
        InvalidInput: it means none.
    """
    if text is None:
        return None
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return time.mktime(time.strptime(text, "%Y-%m-%d"))
        except (ValueError, OverflowError):
            raise InvalidInput(f"{text} is not a day; write for example 2026-11-25 or 7d") from None
    return time.time() - parse_duration(text)


def plain(resource: Any) -> Any:
    """A resource, or a list of them, as `--json` prints it."""
    return msgspec.to_builtins(resource)
