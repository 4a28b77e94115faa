"""Reads an expression from tokens, by precedence climbing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hybrid_runtime.languages import expressions
from hybrid_runtime.languages.expressions import Expression, constant
from hybrid_runtime.languages.source import nearest
from hybrid_runtime.languages.tokens import FLOAT, INTEGER, NAME, PLACEHOLDER, Cursor, Token

if TYPE_CHECKING:
    from hybrid_runtime.languages.inputs import Inputs

CONSTANTS = {"pi": math.pi, "tau": math.tau, "eu": math.e}

# How tightly an operator binds, as in the grammar of cQASM 3; a sign binds tighter than all of them.
_PRECEDENCE = {
    mark: 12 - level
    for level, marks in enumerate(
        ("**", "* / %", "+ -", "<< >>", "> < >= <=", "== !=", "&", "^", "|", "&&", "^^", "||"),
    )
    for mark in marks.split()
}
_SIGN = 13

MAX_NESTING = 60
_MAX_INT_DIGITS = 19


def read_expression(cursor: Cursor, inputs: Inputs, *, real_division: bool = False) -> Expression:
    """Read one expression and leave the cursor behind it.

    Args:
        cursor: Where the expression begins.
        inputs: The numbers that the text leaves open.
        real_division: Whether `1/2` is 0.5, as in cQASM 1, not 0.

    Raises:
        CircuitRejected: it is no expression, has no value, or is nested too deeply.
    """
    return _Reader(cursor, inputs, real_division).choice()


class _Reader:
    def __init__(self, cursor: Cursor, inputs: Inputs, real_division: bool) -> None:
        self._cursor = cursor
        self._real_division = real_division
        self._inputs = inputs
        self._nesting = 0

    def choice(self) -> Expression:
        condition = self._operators(0)
        if not self._cursor.accept("?"):
            return condition
        self._enter()
        if_true = self.choice()
        self._cursor.expect(":", "between the two values of '?'")
        if_false = self.choice()
        self._nesting -= 1
        return expressions.choice(condition, if_true, if_false, self._cursor.source)

    def _enter(self) -> None:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self._cursor.rejected(f"the expression is nested more than {MAX_NESTING} levels deep")

    def _operators(self, minimum: int) -> Expression:
        cursor = self._cursor
        self._enter()
        left = self._operand()
        while (precedence := _PRECEDENCE.get(cursor.token.text, 0)) and precedence >= minimum:
            mark = cursor.next().text
            right = self._operators(precedence if mark == "**" else precedence + 1)
            if mark == "/" and self._real_division:
                left, right = (expressions.as_real(operand, cursor.source) for operand in (left, right))
            left = expressions.binary(mark, left, right, cursor.source)
        self._nesting -= 1
        return left

    def _operand(self) -> Expression:
        cursor = self._cursor
        token = cursor.token
        if token.kind == FLOAT:
            cursor.next()
            return self._float(token)
        if token.kind == INTEGER:
            cursor.next()
            return self._integer(token)
        if token.kind == PLACEHOLDER:
            return self._inputs.parameter(cursor.next())
        if token.kind == NAME:
            return self._named(cursor.next())
        if token.text in ("-", "+", "~", "!"):
            cursor.next()
            return expressions.unary(token.text, self._operators(_SIGN), token.offset, cursor.source)
        if cursor.accept("("):
            inner = self.choice()
            cursor.expect(")", "after the expression")
            return inner
        raise cursor.unexpected("a number")

    def _float(self, token: Token) -> Expression:
        if not math.isfinite(float(token.text)):
            raise self._cursor.source.rejected(token.offset, f"{token.text[:40]} is too large for a float")
        return self._inputs.literal(token)

    def _integer(self, token: Token) -> Expression:
        if len(token.text) > _MAX_INT_DIGITS or int(token.text) >= 2**63:
            raise self._cursor.source.rejected(token.offset, "the integer does not fit in 64 bits")
        return constant(int(token.text), token.offset)

    def _named(self, token: Token) -> Expression:
        name, cursor = token.text, self._cursor
        if name in ("np", "numpy") and cursor.token.text == ".":
            return self._numpy_scalar(token)
        if cursor.token.text == "(":
            return self._call(token)
        if name in CONSTANTS:
            return constant(CONSTANTS[name], token.offset)
        if name in ("true", "false"):
            return constant(name == "true", token.offset)
        if name.lower() in ("nan", "inf", "infinity"):
            raise cursor.source.rejected(token.offset, f"the angle is {name}, which is not a finite number")
        hint = nearest(name, [*CONSTANTS, *expressions.FUNCTIONS])
        raise cursor.source.rejected(token.offset, f"'{name[:40]}' is not a number or a known constant{hint}")

    def _call(self, token: Token) -> Expression:
        cursor = self._cursor
        if token.text not in expressions.FUNCTIONS:
            hint = nearest(token.text, expressions.FUNCTIONS)
            raise cursor.source.rejected(token.offset, f"unknown function '{token.text[:40]}'{hint}")
        arguments = self._arguments()
        return expressions.call(token.text, arguments, token.offset, cursor.source)

    def _arguments(self) -> tuple[Expression, ...]:
        cursor = self._cursor
        cursor.expect("(", "after the function's name")
        arguments = [self.choice()]
        while cursor.accept(","):
            arguments.append(self.choice())
        cursor.expect(")", "after the function's arguments")
        return tuple(arguments)

    def _numpy_scalar(self, token: Token) -> Expression:
        """`np.float64(0.3)`: how numpy 2 writes a number that a program puts into its text by `!r`."""
        cursor = self._cursor
        cursor.expect(".", "after the module's name")
        kind = cursor.next()
        arguments = self._arguments()
        if kind.kind != NAME or not kind.text.startswith(("float", "int", "uint")) or len(arguments) != 1:
            raise cursor.source.rejected(token.offset, "of numpy, only scalars such as np.float64(0.3) are understood")
        return expressions.as_real(arguments[0], cursor.source) if kind.text.startswith("float") else arguments[0]
