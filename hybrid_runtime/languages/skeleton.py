"""What stays of a plain circuit string when its angles change.

An algorithm that writes its circuits with f-strings sends a new text each step, in which only numerals
differ. Cutting the numerals out leaves the skeleton, which is the same each time and needs parsing once.
"""

from __future__ import annotations

import re

# Possessive where digits are counted: there is never another way to read them.
_EXPONENT = r"(?:[eE][-+]?[0-9]++)?"
# The part of a numeral after its first digit, where it has a point or an exponent; integers have neither.
_REST = rf"[0-9]*+(?:\.[0-9]*+{_EXPONENT}|[eE][-+]?[0-9]++)"
# After these a sign is a unary one and belongs to the numeral: cQASM lets it bind tighter than any operator.
_OPERATOR = r"[(,*/%+\-<>=&|^!~?:]"

# It begins with a plain set of characters because that is what the `re` module searches quickly, and the
# `]` then dismisses the most frequent digits of all, those of an index. `q1.5` and `1.5.5` hold no second
# numeral: nothing in a name or right after another numeral is one. `version 3.0` is no numeral either.
NUMERAL = (
    r"[-+.0-9](?!\])(?<![A-Za-z0-9_.].)(?<!version .)(?:"
    rf"(?<=[0-9]){_REST}|(?<=\.)[0-9]++{_EXPONENT}"
    rf"|(?:(?<={_OPERATOR}[-+])|(?<={_OPERATOR} [-+]))(?:[0-9]{_REST}|\.[0-9]++{_EXPONENT}))"
)

# Splits a text into what stands between numerals and, at odd places, the numerals.
split = re.compile(f"({NUMERAL})").split

# An unclosed comment reaches to the end, so that no text makes this search quadratic.
_COMMENT = re.compile(r"//[^\r\n]*|/\*(?:.*?\*/|.*)", re.DOTALL)
_COMMENT_1 = re.compile(r"#[^\r\n]*|/\*(?:.*?\*/|.*)", re.DOTALL)
_BLANK = re.compile(r"[\s;\ufeff]+|(?://|#)[^\r\n]*|/\*.*?\*/", re.DOTALL)
_VERSION_1 = re.compile(r"version[ \t]+1", re.IGNORECASE)


def leading(text: str) -> int:
    """Length of the blanks and comments that a text begins with, in whichever language."""
    end = 0
    while found := _BLANK.match(text, end):
        end = found.end()
    return end


def without_comments(text: str) -> str:
    """The text with each comment replaced by a space: comments change from step to step without meaning."""
    if "#" in text and _VERSION_1.match(text, leading(text)):
        return _COMMENT_1.sub(" ", text)
    if "//" in text or "/*" in text:
        return _COMMENT.sub(" ", text)
    return text
