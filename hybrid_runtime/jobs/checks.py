"""Checks of what users give: names, texts and numbers."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from hybrid_runtime.errors import InvalidInput

MAX_TEXT = 200
MAX_JSON_BYTES = 1024 * 1024
MAX_PAGE = 1000
# What both databases can count to.
LARGEST = (1 << 63) - 1

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}", re.ASCII)


def name(what: str, value: str) -> str:
    """The value, a name of a user or project.

    Raises:
        InvalidInput: it is none.
    """
    # One case only: `bob` and `Bob` would be told apart by the job manager and confused by people.
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidInput(
            f"{what} is 1 to 64 lower-case letters, digits, '.', '_' or '-', beginning with a letter or digit, "
            f"not {value!r:.80}"
        )
    return value


def label(what: str, value: str) -> str:
    """The value, a name of an algorithm or backend.

    Raises:
        InvalidInput: it is none.
    """
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise InvalidInput(
            f"{what} is 1 to 100 letters, digits, '.', '_', '+' or '-', beginning with a letter, digit or '_', "
            f"not {value!r:.80}"
        )
    return value


def text(what: str, value: str, most: int = MAX_TEXT) -> str:
    """The value, a line of text for people.

    Raises:
        InvalidInput: it is too long, or no line of text.
    """
    if not isinstance(value, str) or len(value) > most:
        raise InvalidInput(f"{what} is a text of at most {most} characters, not {value!r:.60}")
    if any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 or letter == "\x7f" for letter in value):
        raise InvalidInput(f"{what} is one line of text without control characters, not {value!r:.80}")
    return value


def seconds(what: str, value: float) -> float:
    """The value, a time or duration.

    Raises:
        InvalidInput: it is no finite number from 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise InvalidInput(f"{what} is a number of seconds from 0, not {value!r:.60}")
    return float(value)


def plain(what: str, value: dict[str, Any]) -> dict[str, Any]:
    """The value, plain data that fits into a row.

    Raises:
        InvalidInput: it is not, or it is too large.
    """
    if not isinstance(value, dict):
        raise InvalidInput(f"{what} is an object with names and values, not {type(value).__name__}")
    if not _finite(value):
        raise InvalidInput(f"{what} holds a number that is not finite, which JSON cannot write")
    try:
        size = len(msgspec.json.encode(value))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"{what} is plain JSON data: {error}") from None
    if size > MAX_JSON_BYTES:
        raise InvalidInput(f"{what} takes {size} bytes as JSON; at most {MAX_JSON_BYTES} are taken: leave data out")
    return value


def _finite(value: Any) -> bool:
    """Whether all numbers in it are finite; without recursion, because the depth is the sender's choice."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, float) and not math.isfinite(one):
            return False
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            waiting.extend(one)
    return True


def limit(value: int) -> int:
    """The value, a number of entries of one page.

    Raises:
        InvalidInput: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_PAGE:
        raise InvalidInput(f"limit is a whole number from 1 to {MAX_PAGE}, not {value!r:.60}")
    return value


def after(value: int) -> int:
    """The value, the number of the last entry that was seen.

    Raises:
        InvalidInput: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
        raise InvalidInput(f"after is the number of an entry, 0 for all, not {value!r:.60}")
    return value
