"""The tokens that both circuit languages are made of, each with its place in the user's source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hybrid_runtime.languages.skeleton import NUMERAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hybrid_runtime.errors import CircuitRejected
    from hybrid_runtime.languages.source import Source

FLOAT, INTEGER, NAME, PLACEHOLDER, MARK, NEWLINE, ASSEMBLY, END = (
    "float",
    "integer",
    "name",
    "placeholder",
    "mark",
    "newline",
    "assembly",
    "end",
)

# In the order in which they are tried: the most frequent first, where their beginnings differ.
_KINDS = (
    (NAME, r"[A-Za-z_][A-Za-z0-9_]*"),
    (NEWLINE, r"\r\n?|\n|;"),
    (FLOAT, NUMERAL),
    (INTEGER, r"[0-9]+"),
    # A parameter's name is a Python identifier, which may hold letters that cQASM does not know: {θ}.
    (PLACEHOLDER, r"\{[^\W\d]\w*(?:\[-?[0-9]{1,9}\])?\}"),
    (ASSEMBLY, r"'''.*?'''"),
    (MARK, r"\*\*|<<|>>|<=|>=|==|!=|&&|\^\^|\|\||[-+*/%~!<>&^|?:=,.()\[\]{}]"),
    (END, r"\Z"),
)
_COMMENTS = {"cqasm3": r"//[^\r\n]*|/\*.*?\*/", "cqasm1": r"#[^\r\n]*|/\*.*?\*/"}


def _pattern(comment: str) -> re.Pattern[str]:
    kinds = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in (("comment", comment), *_KINDS))
    return re.compile(rf"[ \t]*(?:{kinds})", re.DOTALL)


_PATTERNS = {language: _pattern(comment) for language, comment in _COMMENTS.items()}


class Token(NamedTuple):
    """A token: its kind, its text, where it starts, and how many floats are before it."""

    kind: str
    text: str
    offset: int
    floats: int


class Mark(NamedTuple):
    """A place to begin at: an offset, and how many floats are before it."""

    offset: int
    floats: int


def tokens(source: Source, mark: Mark, language: str, names: frozenset[str]) -> Iterator[Token]:
    """Cut a text into tokens, without its blanks and comments; the last token is of kind `END`.

    Args:
        source: The text.
        mark: Where to begin; at first that is behind the version statement.
        language: Tells what a comment looks like.
        names: Parameters of the circuit: only these make `{name}` a placeholder.

    Raises:
        CircuitRejected: at a character that no token starts with, or a comment that does not end.
    """
    match = _PATTERNS[language].match
    text, (position, floats) = source.text, mark
    kind = ""
    while kind != END:
        found = match(text, position)
        if found is None:
            raise _no_token(source, position)
        kind = str(found.lastgroup)
        start, position = found.span(kind)
        if kind == "comment":
            continue
        word = text[start:position]
        if kind == PLACEHOLDER and word[1:-1].partition("[")[0] not in names:
            kind, word, position = MARK, "{", start + 1
        yield Token(kind, word, start, floats)
        floats += kind == FLOAT


def _no_token(source: Source, position: int) -> CircuitRejected:
    text = source.text
    while text[position] in " \t":
        position += 1
    character = text[position]
    if character == "#":
        problem = "unexpected '#': in cQASM 3 a comment begins with //"
    elif text.startswith("'''", position):
        problem = "this ''' text does not end"
    elif character.isprintable():
        problem = f"unexpected character {character!r}"
    else:
        problem = f"unexpected character U+{ord(character):04X}"
    return source.rejected(position, problem)


_PARAMETER = re.compile(r"\{ *([^\W\d]\w*) *(?:\[[^\]{}\n]{0,20}\])? *\}")


class Cursor:
    """A place in a text, from which a language's reader takes one token after the other."""

    __slots__ = ("_after", "_language", "_stream", "names", "source", "token")

    def __init__(self, source: Source, start: int, language: str, names: frozenset[str]) -> None:
        self.source = source
        self.names = names
        self._language = language
        self.go_back(Mark(start, 0))

    def go_back(self, mark: Mark) -> None:
        """Return to an earlier place."""
        self._stream = tokens(self.source, mark, self._language, self.names)
        self.token = next(self._stream)
        self._after: Token | None = None

    @property
    def mark(self) -> Mark:
        """The place here, for `go_back`."""
        return Mark(self.token.offset, self.token.floats)

    def next(self) -> Token:
        """Take the token here and move on; at the end, stay."""
        taken = self.token
        if taken.kind != END:
            self.token = self._after or next(self._stream)
            self._after = None
        return taken

    def peek(self) -> Token:
        """The token after the one here."""
        if self._after is None and self.token.kind != END:
            self._after = next(self._stream)
        return self._after or self.token

    def accept(self, mark: str) -> bool:
        """Move over this mark if it stands here."""
        if self.token.text == mark and self.token.kind == MARK:
            self.next()
            return True
        return False

    def expect(self, mark: str, purpose: str) -> Token:
        """Move over this mark, which must stand here.

        Raises:
            CircuitRejected: something else stands here.
        """
        if self.token.text != mark or self.token.kind != MARK:
            raise self.unexpected(f"'{mark}' {purpose}")
        return self.next()

    def at_separator(self) -> bool:
        """Whether a statement may end here."""
        return self.token.kind in (NEWLINE, END)

    def rejected(self, problem: str) -> CircuitRejected:
        """The error for a problem with the token here."""
        return self.source.rejected(self.token.offset, problem)

    def unexpected(self, wanted: str) -> CircuitRejected:
        """The error for a token that is not what belongs here."""
        token = self.token
        if token.text == "{":
            parameter = _PARAMETER.match(self.source.text, token.offset)
            if parameter:
                return self.rejected(self._not_a_parameter(parameter))
        if token.kind in (NEWLINE, END):
            found = "the text" if token.kind == END else "the line" if token.text != ";" else "the statement"
            return self.rejected(f"expected {wanted}, but {found} ends here")
        return self.rejected(f"expected {wanted}, not '{token.text[:40]}'")

    def _not_a_parameter(self, found: re.Match[str]) -> str:
        if found[1] in self.names:
            return f"write {{{found[1]}}} or {{{found[1]}[0]}}, without spaces"
        known = ", ".join(sorted(self.names)) or "it has none"
        return f"{found[1]!r} is not among the circuit's parameters ({known})"
