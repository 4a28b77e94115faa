"""Cuts a cQASM 3 program into statements and reads the numbers in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hybrid_runtime.languages.arithmetic import read_expression
from hybrid_runtime.languages.builder import check_sizes
from hybrid_runtime.languages.expressions import INT, REAL, Expression
from hybrid_runtime.languages.tokens import ASSEMBLY, END, FLOAT, INTEGER, NAME, PLACEHOLDER, Cursor, Token
from hybrid_runtime.program import MAX_BITS

if TYPE_CHECKING:
    from hybrid_runtime.errors import CircuitRejected
    from hybrid_runtime.languages.inputs import Inputs

# Markers have to come back from libqasm as they went in; it writes larger numbers as 1e+06.
_MAX_PARAMETERS = 999_999
_MAX_MODIFIERS = 50
# Their parameters are integers: other values are other programs.
_WITH_INTEGER = ("CRk", "wait")


class Register(NamedTuple):
    """Declared qubits or bits: the place of the first among all of the program, and how many they are."""

    start: int
    size: int


class Statement:
    """One statement as it is given to libqasm.

    Attributes:
        declares: Whether it declares qubits or bits.
        offset: Where it begins in the source.
        words: The words that libqasm sees.
    """

    __slots__ = ("_offsets", "declares", "offset", "words")

    def __init__(self, first: Token) -> None:
        self.offset = first.offset
        self.declares = first.text in ("qubit", "bit")
        self.words: list[str] = []
        self._offsets: list[tuple[int, int]] = []

    def add(self, word: str, offset: int, length: int) -> None:
        """Append a word that stands for `length` characters of the source."""
        self.words.append(word)
        self._offsets.append((offset, length))

    @property
    def text(self) -> str:
        """The line that libqasm is given."""
        return " ".join(self.words)

    def offset_of_column(self, column: int) -> int:
        """Where in the source the word is that libqasm saw at this column, counted from 1."""
        end = 0
        for word, (offset, _) in zip(self.words, self._offsets, strict=True):
            end += len(word) + 1
            if column <= end - 1:
                return offset
        offset, length = self._offsets[-1]
        return offset + length


class Statements:
    """Reads a program's statements, some at a time, and keeps what later ones need.

    Attributes:
        parameters: Parameters of the statements that were read last, by marker.
        registers: What is declared, by name.
        declarations: The statements that declared it.
        qubits: How many qubits are declared.
        bits: How many bits are declared.
    """

    def __init__(self, cursor: Cursor, inputs: Inputs) -> None:
        self._cursor = cursor
        self._inputs = inputs
        self.parameters: list[Expression] = []
        self.registers: dict[str, Register] = {}
        self.declarations: list[Statement] = []
        self.qubits = 0
        self.bits = 0
        if not cursor.at_separator():
            raise cursor.unexpected("a new line or ';' after the version")

    def read(self, limit: int) -> list[Statement]:
        """The next statements, at most so many; none at the end.

        Raises:
            CircuitRejected: a number in them cannot be used, or no qubit is declared.
        """
        cursor = self._cursor
        found: list[Statement] = []
        self.parameters = []
        while cursor.token.kind != END and len(found) < limit:
            if cursor.at_separator():
                cursor.next()
            else:
                statement, size = _StatementReader(cursor, self._inputs, self.parameters).read()
                found.append(statement)
                if statement.declares:
                    self._declare(statement, size)
        if not self.declarations:
            # libqasm has had versions that end the process on such a program.
            raise cursor.rejected("the circuit declares no qubits; begin with `qubit[2] q` and `bit[2] b`")
        return found

    def _declare(self, statement: Statement, size: int) -> None:
        """Note the register that a statement declares; libqasm will say if it cannot."""
        self.declarations.append(statement)
        kind, name = statement.words[0], statement.words[-1]
        if kind == "qubit":
            self.registers.setdefault(name, Register(self.qubits, size))
            self.qubits += size
        else:
            self.registers.setdefault(name, Register(self.bits, size))
            self.bits += size
        check_sizes(self._cursor.source, qubits=self.qubits, bits=self.bits, offset=statement.offset)


class _StatementReader:
    def __init__(self, cursor: Cursor, inputs: Inputs, parameters: list[Expression]) -> None:
        self._cursor = cursor
        self._inputs = inputs
        self._parameters = parameters
        self._statement = Statement(cursor.token)
        self._modifiers = 0

    def read(self) -> tuple[Statement, int]:
        """One statement, up to the separator behind it, and the size of the register that it declares."""
        cursor = self._cursor
        self._refuse_at_once()
        size = 1
        while not cursor.at_separator():
            token = cursor.token
            if token.kind == NAME:
                self._take()
                if cursor.token.text == "(":
                    self._arguments(token.text)
                elif cursor.token.text == "[":
                    size = self._indices(token.text)
            elif token.text in (",", "=", "."):
                self._modifiers += token.text == "."
                if self._modifiers > _MAX_MODIFIERS:
                    raise cursor.rejected(f"a gate has at most {_MAX_MODIFIERS} modifiers")
                self._take()
            else:
                raise self._misplaced(token)
        return self._statement, size

    def _refuse_at_once(self) -> None:
        """What libqasm would accept and no backend takes, or would explain badly."""
        cursor = self._cursor
        if cursor.token.text == "asm":
            raise cursor.rejected("asm blocks are code for one device, which no backend here takes; remove it")
        if cursor.token.text == "measure" and cursor.token.kind == NAME:
            raise cursor.rejected("a measurement names the bit for its outcome: write b[0] = measure q[0]")
        if cursor.token.text == "version":
            raise cursor.rejected("the version is stated once, in the first line")

    def _take(self) -> None:
        token = self._cursor.next()
        self._statement.add(token.text, token.offset, len(token.text))

    def _misplaced(self, token: Token) -> CircuitRejected:
        if token.kind in (FLOAT, INTEGER, PLACEHOLDER) and self._statement.words:
            number, gate = token.text[:40], self._statement.words[0]
            return self._cursor.rejected(
                f"unexpected number '{number}'; parameters follow the gate's name: {gate}({number}) ..."
            )
        if token.kind == ASSEMBLY:
            return self._cursor.rejected("unexpected ''' text")
        return self._cursor.unexpected("a name" if not self._statement.words else "',' or the end of the statement")

    def _arguments(self, name: str) -> None:
        """Parameters in parentheses: each becomes a marker."""
        cursor = self._cursor
        self._take()
        while True:
            offset = cursor.token.offset
            expression = read_expression(cursor, self._inputs)
            if name in _WITH_INTEGER:
                expression = self._inputs.settle_integer(expression)
            self._marker(expression, offset)
            if cursor.token.text != ",":
                break
            self._take()
        if cursor.token.text != ")":
            raise cursor.unexpected(f"',' or ')' after a parameter of {name[:40]}")
        self._take()

    def _marker(self, expression: Expression, offset: int) -> None:
        number = len(self._parameters)
        if number > _MAX_PARAMETERS:
            raise self._cursor.rejected(f"a circuit has at most {_MAX_PARAMETERS} parameters")
        self._parameters.append(expression)
        # libqasm is told the kind too: it knows which gates take integers only.
        self._statement.add(f"{number}." if expression.kind == REAL else str(number), offset, 1)

    def _indices(self, name: str) -> int:
        """Indices or a size in brackets, as integers; the first of them is the result."""
        cursor = self._cursor
        self._take()
        first = -1
        while True:
            index = self._index()
            first = index if first < 0 else first
            if cursor.token.text == ":":
                self._take()
                self._check_range(index, self._index())
            if cursor.token.text != ",":
                break
            self._take()
        if cursor.token.text != "]":
            raise cursor.unexpected(f"',', ':' or ']' after an index of {name[:40]}")
        self._take()
        return first

    def _index(self) -> int:
        cursor = self._cursor
        token, lone = cursor.token, cursor.peek().text == "]"
        settled = self._inputs.settle_integer(read_expression(cursor, self._inputs))
        what = "a register's size" if self._statement.declares else "an index"
        if settled.kind != INT:
            raise cursor.source.rejected(token.offset, f"{what} is a whole number, not {settled.value}")
        if self._statement.declares and not lone:
            raise cursor.source.rejected(token.offset, f"{what} is one number, without arithmetic")
        if settled.value < (1 if self._statement.declares else 0):
            raise cursor.source.rejected(token.offset, f"{what} cannot be {settled.value}")
        self._statement.add(str(settled.value), token.offset, len(token.text))
        return int(settled.value)

    def _check_range(self, first: int, last: int) -> None:
        # libqasm writes ranges out before it compares them with the register.
        if last - first > MAX_BITS:
            raise self._cursor.rejected(f"the range {first}:{last} is larger than any register may be")
