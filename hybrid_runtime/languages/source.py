"""A circuit's source text: where things stand in it, and which language it is written in."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.skeleton import leading

if TYPE_CHECKING:
    from collections.abc import Iterable

# The longest text of a program that still fits `program.MAX_OPERATIONS` with a dozen characters to spare.
MAX_CHARACTERS = 8_000_000

_LINE_END = re.compile(r"\r\n|\n|\r")
_SHOWN = 100


class Source:
    """The user's own text, for messages that point into it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, both counted from 1."""
        line, start = 1, 0
        for end in _LINE_END.finditer(self.text, 0, offset):
            line, start = line + 1, end.end()
        return line, offset - start + 1

    def rejected(self, offset: int, problem: str) -> CircuitRejected:
        """The error for a problem at this character: its place, the problem, and the line it stands in."""
        line, column = self.place(offset)
        start = offset - column + 1
        end = _LINE_END.search(self.text, start)
        text = self.text[start : end.start() if end else len(self.text)].replace("\t", " ")
        first = max(0, column - 1 - _SHOWN // 2) if len(text) > _SHOWN else 0
        shown = text[first : first + _SHOWN].rstrip()
        pointer = " " * (column - 1 - first) + "^"
        return CircuitRejected(f"line {line}, column {column}: {problem}\n    {shown}\n    {pointer}")


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean H?` when a known name resembles this one, else nothing."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower()[:100], by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


_VERSION = re.compile(r"version[ \t]+([0-9]+(?:\.[0-9]+)*)(?![\w.])", re.ASCII | re.IGNORECASE)
_OPENQASM = re.compile(r"OPENQASM\b", re.IGNORECASE)
_LANGUAGE_OF_VERSION = {"3": "cqasm3", "3.0": "cqasm3", "1": "cqasm1", "1.0": "cqasm1"}
_ACCEPTED = "cQASM 3.0 (`version 3.0`) and cQASM 1.0 (`version 1.0`)"


def detect(source: Source, declared: str | None) -> tuple[str, int]:
    """The language of a text, by its version statement, and the offset where the rest begins.

    Args:
        source: The text.
        declared: The language that the circuit was given, if any; it has to agree.

    Raises:
        CircuitRejected: it is another language or version, or does not say.
    """
    text = source.text
    if len(text) > MAX_CHARACTERS:
        raise CircuitRejected(f"a circuit's source has at most {MAX_CHARACTERS} characters, not {len(text)}")
    start = leading(text)
    found = _VERSION.match(text, start)
    if found is None:
        raise source.rejected(min(start, max(len(text) - 1, 0)), _without_version(text, start))
    language = _LANGUAGE_OF_VERSION.get(found[1])
    if language is None:
        raise source.rejected(found.start(1), f"version {found[1][:20]} is not known; known are {_ACCEPTED}")
    if declared is not None and declared != language:
        raise source.rejected(start, f"the circuit is said to be {declared}, but its text is {language}")
    return language, found.end()


def _without_version(text: str, start: int) -> str:
    if _OPENQASM.match(text, start):
        return f"OpenQASM is not accepted; accepted are {_ACCEPTED}"
    if start == len(text):
        return "the circuit is empty; its first line must be `version 3.0`"
    return "the first line of a circuit must be `version 3.0` (or `version 1.0` for cQASM 1)"
