"""A job's value for a person: counts as bars, numbers aligned, long things shortened."""

from __future__ import annotations

from typing import Any

from hybrid_runtime.dispatcher.output import clean

# The whole value is in `--json` and `--out`; on a screen, this much of it.
MOST_LINES = 40
_MOST_COUNTS = 16
_MOST_ITEMS = 8
_WIDTH = 96
_BAR_WIDTH = 30


def lines_of(value: Any) -> list[str]:
    """The value as lines of text, at most about `MOST_LINES`."""
    lines = _lines(value)
    if len(lines) > MOST_LINES:
        left_out = len(lines) - MOST_LINES
        lines = [*lines[:MOST_LINES], f"… {left_out} more lines; --json prints everything"]
    return lines


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        return _counts(value) if is_counts(value) else _members(value)
    if isinstance(value, list) and len(_inline(value)) > _WIDTH:
        return _items(value)
    if isinstance(value, str):
        return [clean(line) for line in value.split("\n")]
    if hasattr(value, "tolist"):
        return _array(value)
    return [_inline(value)]


def is_counts(value: dict[Any, Any]) -> bool:
    """Whether this looks like counts: bit strings of one length, and how often each was seen."""
    width = len(next(iter(value))) if isinstance(next(iter(value)), str) else 0
    return width > 0 and all(
        isinstance(key, str) and len(key) == width and not set(key) - {"0", "1"} and type(count) is int and count >= 0
        for key, count in value.items()
    )


def _counts(counts: dict[str, int]) -> list[str]:
    total = sum(counts.values()) or 1
    most = max(counts.values()) or 1
    digits = len(str(most))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = [
        f"{bits}  {count:{digits}}  {100 * count / total:5.1f} %  {'█' * round(_BAR_WIDTH * count / most)}"
        for bits, count in ordered[:_MOST_COUNTS]
    ]
    if len(ordered) > _MOST_COUNTS:
        rest = sum(count for _, count in ordered[_MOST_COUNTS:])
        lines.append(f"… {len(ordered) - _MOST_COUNTS} more values, {rest} shots together")
    return lines


def _members(value: dict[Any, Any]) -> list[str]:
    names = {key: clean(str(key)) for key in value}
    width = min(24, max(map(len, names.values())))
    lines: list[str] = []
    for key, item in value.items():
        first, *others = _lines(item)
        if others:
            lines += [names[key], *(f"  {line}" for line in (first, *others))]
        else:
            lines.append(f"{names[key]:{width}}  {first}")
    return lines


def _items(values: list[Any]) -> list[str]:
    lines: list[str] = []
    for item in values[:_MOST_ITEMS]:
        first, *others = _lines(item)
        lines += [f"- {first}", *(f"  {line}" for line in others)]
    if len(values) > _MOST_ITEMS:
        lines.append(f"… {len(values) - _MOST_ITEMS} more items")
    return lines


def _array(value: Any) -> list[str]:
    import numpy as np

    text = np.array2string(value, precision=8, threshold=64, edgeitems=4, max_line_width=_WIDTH)
    shape = " x ".join(map(str, value.shape))
    return [*text.split("\n"), f"(array of {shape})"] if value.size > 64 else text.split("\n")


def _inline(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, bytes):
        return f"{value[:24]!r}… {len(value)} bytes" if len(value) > 24 else repr(value)
    if isinstance(value, list):
        shown = [_inline(item) for item in value[: 2 * _MOST_ITEMS]]
        if len(value) > 2 * _MOST_ITEMS:
            shown.append(f"… {len(value) - 2 * _MOST_ITEMS} more")
        return f"[{', '.join(shown)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_inline(key)}: {_inline(item)}" for key, item in value.items()) + "}"
    if hasattr(value, "tolist"):
        return " ".join(_array(value))
    return str(value)
