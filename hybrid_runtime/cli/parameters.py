"""`--param NAME=VALUE` as values: JSON, a bare word, or a file of JSON."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from hybrid_runtime.errors import InvalidInput

# A text that can be nothing but a word, so that `method=L-BFGS-B` needs no quotes inside quotes.
_WORD = re.compile(r"[^\W\d][\w.+/:-]*")
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}


def parse_parameters(texts: list[str]) -> dict[str, Any]:
    """The parameters of a job.

    Args:
        texts: `name=value` each; the value is JSON (`0.3`, `[1, 2]`, `true`), a bare word, which is a text,
            or `@FILE`, which is read as JSON.

    Raises:
        InvalidInput: a name is missing or given twice, a value is none of these, a file cannot be read.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InvalidInput(f"--param {text!r} is not NAME=VALUE; write for example --param theta=0.3")
        if name in found:
            raise InvalidInput(f"--param {name} is given twice: name each parameter once")
        found[name] = _from_file(name, value[1:]) if value.startswith("@") else _value(name, value.strip())
    return found


def _value(name: str, text: str) -> Any:
    if text in _PYTHON_WORDS:
        raise InvalidInput(f"--param {name}: {text} is Python, not JSON; write {_PYTHON_WORDS[text]}")
    if _WORD.fullmatch(text) and text not in ("true", "false", "null", "NaN", "Infinity"):
        return text
    return _json(text, f"--param {name}", "write numbers and lists as JSON, and a text with spaces as '\"a b\"'")


def _from_file(name: str, path: str) -> Any:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InvalidInput(f"--param {name}: the file {path!r} cannot be read: {reason}") from error
    return _json(text, f"--param {name}: the file {path!r}", "it holds one JSON value")


def _json(text: str, what: str, hint: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
        _check_finite(value)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"{what} is not JSON ({where}: {error.msg}); {hint}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} cannot be used: {error}") from None
    return value


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def _check_finite(value: Any) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError("a number is too large for a float")
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
