"""Arithmetic in circuit text: parsed once into a function of the numbers that the text leaves open.

Precedence, types and integer arithmetic are those of cQASM 3 as libqasm evaluates it: a sign binds
tighter than any operator, also than `**`; `1/2` is 0; booleans count as integers and integers as floats
where an operator needs them. What would stop libqasm or give no number (`1/0`) is refused here.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from hybrid_runtime.languages.source import Source

Evaluate: TypeAlias = Callable[[Sequence[Any]], Any]

# Kinds of value, in the order in which they are promoted.
BOOL, INT, REAL = 0, 1, 2
_KIND_NAMES = ("bool", "int", "float")

# A deeper expression is refused: evaluating it calls this many functions inside each other.
MAX_DEPTH = 100
_INT_RANGE = range(-(2**63), 2**63)


class Expression:
    """A parsed expression: a constant, or a function of the open numbers.

    Attributes:
        kind: `BOOL`, `INT` or `REAL`.
        value: The constant; None where there are inputs.
        evaluate: The function; None for a constant.
        inputs: Indices of the open numbers that it depends on.
        index: The one it stands for, where it is nothing but one open number; else -1.
        depth: How many functions it calls inside each other.
        offset: Where it begins in the source.
    """

    __slots__ = ("depth", "evaluate", "index", "inputs", "kind", "offset", "value")

    def __init__(self, kind: int, offset: int, *, value: Any = None, evaluate: Evaluate | None = None) -> None:
        self.kind = kind
        self.offset = offset
        self.value = value
        self.evaluate = evaluate
        self.inputs: frozenset[int] = frozenset()
        self.index = -1
        self.depth = 0

    def at(self, numbers: Sequence[Any]) -> Any:
        """Its value for these open numbers."""
        return self.value if self.evaluate is None else self.evaluate(numbers)


def constant(value: float, offset: int = 0) -> Expression:
    """The expression that is this number."""
    kind = BOOL if isinstance(value, bool) else INT if isinstance(value, int) else REAL
    return Expression(kind, offset, value=value)


def open_number(index: int, offset: int) -> Expression:
    """The expression that is an open number."""
    expression = Expression(REAL, offset, evaluate=itemgetter(index))
    expression.inputs = frozenset((index,))
    expression.index = index
    return expression


# ------------------------------------------------------------------ operators and functions


def _int(value: int) -> int:
    if value not in _INT_RANGE:
        raise OverflowError("the integer does not fit in 64 bits")
    return value


def _divide_ints(a: int, b: int) -> int:
    if b == 0:
        raise ZeroDivisionError
    quotient = abs(a) // abs(b)
    return _int(quotient if (a < 0) == (b < 0) else -quotient)


def _remainder(a: int, b: int) -> int:
    return a - b * _divide_ints(a, b)


def _shift(a: int, b: int) -> int:
    if not 0 <= b < 64:
        raise OverflowError("a shift is by 0 to 63 bits")
    return _int(a << b)


def _unshift(a: int, b: int) -> int:
    if not 0 <= b < 64:
        raise OverflowError("a shift is by 0 to 63 bits")
    return a >> b


def _ints(function: Callable[..., int]) -> Callable[..., int]:
    return lambda *values: _int(function(*values))


def _bools(function: Callable[..., Any]) -> Callable[..., bool]:
    return lambda *values: bool(function(*values))


def _choose(condition: Any, if_true: Any, if_false: Any) -> Any:
    return if_true if condition else if_false


# For each operator its overloads: kinds of the operands, kind of the result, and the function. The first
# that the operands can be promoted to is taken.
_Overloads: TypeAlias = tuple[tuple[tuple[int, ...], int, Callable[..., Any]], ...]


def _arithmetic(function: Callable[[Any, Any], Any]) -> _Overloads:
    return (((INT, INT), INT, _ints(function)), ((REAL, REAL), REAL, function))


def _comparison(function: Callable[[Any, Any], Any]) -> _Overloads:
    return tuple(((kind, kind), BOOL, _bools(function)) for kind in (BOOL, INT, REAL))


def _on_ints(function: Callable[[Any, Any], Any]) -> _Overloads:
    return (((INT, INT), INT, function),)


def _on_bools(function: Callable[[Any, Any], Any]) -> _Overloads:
    return (((BOOL, BOOL), BOOL, _bools(function)),)


_UNARY: dict[str, _Overloads] = {
    "-": (((INT,), INT, _ints(operator.neg)), ((REAL,), REAL, operator.neg)),
    "+": (((INT,), INT, operator.pos), ((REAL,), REAL, operator.pos)),
    "~": (((INT,), INT, lambda value: -1 - value),),
    "!": (((BOOL,), BOOL, operator.not_),),
}
_BINARY: dict[str, _Overloads] = {
    "**": (((REAL, REAL), REAL, math.pow),),
    "*": _arithmetic(operator.mul),
    "/": (((INT, INT), INT, _divide_ints), ((REAL, REAL), REAL, operator.truediv)),
    "%": _on_ints(_remainder),
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "<<": _on_ints(_shift),
    ">>": _on_ints(_unshift),
    ">": _comparison(operator.gt),
    "<": _comparison(operator.lt),
    ">=": _comparison(operator.ge),
    "<=": _comparison(operator.le),
    "==": _comparison(operator.eq),
    "!=": _comparison(operator.ne),
    "&": _on_ints(operator.and_),
    "^": _on_ints(operator.xor),
    "|": _on_ints(operator.or_),
    "&&": _on_bools(operator.and_),
    "^^": _on_bools(operator.xor),
    "||": _on_bools(operator.or_),
}
_CHOICE: _Overloads = tuple(((BOOL, kind, kind), kind, _choose) for kind in (BOOL, INT, REAL))
_REAL_FUNCTIONS: dict[str, Callable[[float], float]] = {
    name: getattr(math, name)
    for name in [
        "sqrt",
        "exp",
        "log",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "asin",
        "acos",
        "atan",
        "asinh",
        "acosh",
        "atanh",
    ]
}
FUNCTIONS: dict[str, _Overloads] = {
    "abs": (((INT,), INT, _ints(abs)), ((REAL,), REAL, abs)),
    **{name: (((REAL,), REAL, function),) for name, function in _REAL_FUNCTIONS.items()},
}


def unary(mark: str, operand: Expression, offset: int, source: Source) -> Expression:
    """The expression `-a`, `+a`, `~a` or `!a`."""
    return _apply(mark, _UNARY[mark], (operand,), (offset, source))


def binary(mark: str, left: Expression, right: Expression, source: Source) -> Expression:
    """The expression of two operands and the operator between them.

    Raises:
        CircuitRejected: it does not take such operands, or has no value.
    """
    return _apply(mark, _BINARY[mark], (left, right), (left.offset, source))


def choice(condition: Expression, if_true: Expression, if_false: Expression, source: Source) -> Expression:
    """The expression `condition ? if_true : if_false`."""
    return _apply("?:", _CHOICE, (condition, if_true, if_false), (condition.offset, source))


def call(name: str, arguments: tuple[Expression, ...], offset: int, source: Source) -> Expression:
    """The call of one of `FUNCTIONS`."""
    return _apply(name, FUNCTIONS[name], arguments, (offset, source))


def apply(function: Callable[..., float], operands: tuple[Expression, ...], source: Source) -> Expression:
    """The expression of a function of floats that is not part of the languages."""
    overloads: _Overloads = (((REAL,) * len(operands), REAL, function),)
    return _apply(function.__name__, overloads, operands, (operands[0].offset, source))


def as_real(operand: Expression, source: Source) -> Expression:
    """The same value as a float."""
    return operand if operand.kind == REAL else apply(float, (operand,), source)


def _apply(name: str, overloads: _Overloads, operands: tuple[Expression, ...], place: tuple[int, Source]) -> Expression:
    offset, source = place
    overload = next((each for each in overloads if _takes(each[0], operands)), None)
    if overload is None:
        given = ", ".join(_KIND_NAMES[operand.kind] for operand in operands)
        raise source.rejected(offset, f"'{name}' does not take ({given})")
    kinds, result, function = overload
    if all(operand.evaluate is None for operand in operands):
        try:
            value = function(*(_promoted(operand.value, kind) for operand, kind in zip(operands, kinds, strict=True)))
        except (ArithmeticError, ValueError) as error:
            raise source.rejected(offset, describe(error)) from None
        return Expression(result, offset, value=_promoted(value, result))
    expression = Expression(result, offset, evaluate=_composed(function, operands))
    expression.inputs = frozenset().union(*(operand.inputs for operand in operands))
    expression.depth = 1 + max(operand.depth for operand in operands)
    if expression.depth > MAX_DEPTH:
        raise source.rejected(offset, f"the expression has more than {MAX_DEPTH} operations one upon the other")
    return expression


def _takes(kinds: tuple[int, ...], operands: tuple[Expression, ...]) -> bool:
    return len(kinds) == len(operands) and all(
        operand.kind <= kind for operand, kind in zip(operands, kinds, strict=True)
    )


def _promoted(value: Any, kind: int) -> Any:
    return float(value) if kind == REAL else int(value) if kind == INT else value


def _composed(function: Callable[..., Any], operands: tuple[Expression, ...]) -> Evaluate:
    """The function of the open numbers that applies `function` to the operands' values."""
    first = operands[0].evaluate
    if len(operands) == 1:
        assert first is not None
        return lambda numbers: function(first(numbers))
    if len(operands) > 2:
        return lambda numbers: function(*(operand.at(numbers) for operand in operands))
    second = operands[1].evaluate
    if first is None:
        left = operands[0].value
        assert second is not None
        return lambda numbers: function(left, second(numbers))
    if second is None:
        right = operands[1].value
        return lambda numbers: function(first(numbers), right)
    return lambda numbers: function(first(numbers), second(numbers))


def describe(error: Exception) -> str:
    """What went wrong in an evaluation, for the user."""
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    text = str(error)
    if isinstance(error, OverflowError):
        return text if "64 bits" in text or "63 bits" in text else "the value is too large for a float"
    return "the expression has no real value"
