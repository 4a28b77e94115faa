"""The numbers that a circuit text leaves open: its numerals, and the parameters in its placeholders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from hybrid_runtime.languages.expressions import BOOL, INT, REAL, Expression, constant, describe, open_number

if TYPE_CHECKING:
    from hybrid_runtime.errors import CircuitRejected
    from hybrid_runtime.languages.source import Source
    from hybrid_runtime.languages.tokens import Token
    from hybrid_runtime.observable import Terms

# Beyond it a float does not say which integer it is.
_LARGEST_EXACT = 2.0**53

Getter: TypeAlias = Callable[[Any], tuple[Any, ...]]


def getter(keys: Sequence[Any]) -> Getter:
    """A function that takes these keys or indices out of its argument, always as a tuple."""
    if len(keys) == 1:
        key = keys[0]
        return lambda container: (container[key],)
    return itemgetter(*keys)


class Layout:
    """In which order a circuit's open numbers are lined up: numerals, then scalars, then elements of sequences."""

    __slots__ = ("_scalars", "_sequences", "_whole", "literals")

    def __init__(self, literals: int, scalars: Sequence[str], sequences: Mapping[str, Sequence[int]]) -> None:
        self.literals = literals
        self._scalars: Getter | None = getter(scalars) if scalars else None
        self._sequences = [(name, getter(indices)) for name, indices in sequences.items()]
        # The length of a single sequence all of whose elements are taken in order.
        orders = [*sequences.values()]
        self._whole = len(orders[0]) if len(orders) == 1 and [*orders[0]] == [*range(len(orders[0]))] else 0

    def line_up(self, literals: list[str], parameters: Mapping[str, Any]) -> list[Any]:
        """The open numbers of one circuit. What is not a number in the parameters is passed on as it is.

        Raises:
            LookupError, TypeError: a parameter is missing, too short, or no sequence.
        """
        numbers: list[Any] = list(map(float, literals)) if self.literals else []
        if self._scalars is not None:
            numbers += self._scalars(parameters)
        for name, elements in self._sequences:
            numbers += elements(parameters[name])
        return numbers

    def line_up_rows(self, rows: Sequence[Mapping[str, Any]]) -> Iterable[Sequence[Any]]:
        """The open numbers of many circuits, in none of which a numeral is open, as `line_up` gives those of one.

        Raises:
            LookupError, TypeError: as `line_up`, when the numbers are taken.
        """
        if self._scalars is not None and not self._sequences:
            return map(self._scalars, rows)
        if self._scalars is None and len(self._sequences) == 1:
            name, elements = self._sequences[0]
            sequences = list(map(itemgetter(name), rows))
            # Taken as they are where no element is left out, which saves to make a copy of each.
            return (
                sequences if self._whole and {self._whole}.issuperset(map(len, sequences)) else map(elements, sequences)
            )
        return (self.line_up([], parameters) for parameters in rows)


class Inputs:
    """The open numbers of one circuit while it is parsed, with the values that they have this time.

    Args:
        source: The circuit's text.
        placeholders: Its placeholders, each as often as it occurs.
        parameters: The circuit's parameters.
        numerals: The numerals that may differ next time, in order, and how many of them come before the
            first float among the tokens; None to read all as constants.
        observable: What is to be evaluated at the circuit's end, in place of its measurements.

    Raises:
        CircuitRejected: a placeholder's parameter has no value, or none that is a number.

    Attributes:
        layout: How to line up the open numbers next time.
        numbers: Their values this time.
        structural: Those on whose values the program's structure depends: another value, another program.
    """

    def __init__(
        self,
        source: Source,
        placeholders: list[Token],
        parameters: Mapping[str, Any],
        numerals: tuple[list[str], int] | None,
        observable: Terms = (),
    ) -> None:
        self._source = source
        self.observable = observable
        self._open_numerals = numerals is not None
        literals, self._first = numerals or ([], 0)
        # What is a numeral but no token belongs to the version statement.
        self.structural: set[int] = set(range(self._first))
        scalars: list[str] = []
        sequences: dict[str, list[int]] = {}
        for token in placeholders:
            name, index = _reference(token)
            self._check(token, name, index, parameters[name])
            if index is None:
                scalars += [name] if name not in scalars else []
            elif index not in sequences.setdefault(name, []):
                sequences[name].append(index)
        self._indices: dict[tuple[str, int | None], int] = {}
        for reference in [*((name, None) for name in scalars), *_pairs(sequences)]:
            self._indices[reference] = len(literals) + len(self._indices)
        self.layout = Layout(len(literals), scalars, sequences)
        self.numbers = self.layout.line_up(literals, parameters)

    def _check(self, token: Token, name: str, index: int | None, value: Any) -> None:
        problem = None
        if value is None:
            problem = f"parameter {name!r} has no value; give it one by bind({name}=...)"
        elif index is None and not isinstance(value, float):
            problem = f"parameter {name!r} has {len(value)} values: write {{{name}[0]}} for the first"
        elif index is not None and isinstance(value, float):
            problem = f"parameter {name!r} is one number: write {{{name}}} without an index"
        elif index is not None and not -len(value) <= index < len(value):
            problem = f"parameter {name!r} has {len(value)} values: there is none at index {index}"
        elif not math.isfinite(number := value if index is None else value[index]):
            problem = f"parameter {name!r} is {number}, which is not a finite number"
        if problem:
            raise self._source.rejected(token.offset, problem)

    def literal(self, token: Token) -> Expression:
        """The expression that is this numeral."""
        if self._open_numerals:
            return open_number(self._first + token.floats, token.offset)
        return constant(float(token.text), token.offset)

    def parameter(self, token: Token) -> Expression:
        """The expression that is this placeholder."""
        return open_number(self._indices[_reference(token)], token.offset)

    def names_a_parameter(self, expression: Expression) -> bool:
        """Whether the expression depends on a placeholder, not on numerals alone."""
        return any(index >= self.layout.literals for index in expression.inputs)

    def value(self, expression: Expression) -> Any:
        """What the expression is this time.

        Raises:
            CircuitRejected: it has no finite value.
        """
        try:
            number = expression.at(self.numbers)
        except (ArithmeticError, ValueError) as error:
            raise self._rejected(expression, describe(error)) from None
        if not math.isfinite(number):
            raise self._rejected(expression, f"the expression is {number}, which is not a finite number")
        return number

    def settle(self, expression: Expression) -> Expression:
        """The constant that the expression is this time; its inputs become structural."""
        if expression.evaluate is None:
            return expression
        number = self.value(expression)
        self.structural |= expression.inputs
        kinds = {BOOL: bool, INT: int, REAL: float}
        return constant(kinds[expression.kind](number), expression.offset)

    def settle_integer(self, expression: Expression) -> Expression:
        """Like `settle`, but a placeholder that holds a whole number is an integer: `q[{i}]`."""
        settled = self.settle(expression)
        whole = settled.kind == REAL and self.names_a_parameter(expression) and settled.value.is_integer()
        whole = whole and abs(settled.value) < _LARGEST_EXACT
        return constant(int(settled.value), settled.offset) if whole else settled

    def _rejected(self, expression: Expression, problem: str) -> CircuitRejected:
        return self._source.rejected(expression.offset, problem)


def _reference(token: Token) -> tuple[str, int | None]:
    name, bracket, index = token.text[1:-1].partition("[")
    return name, int(index[:-1]) if bracket else None


def _pairs(sequences: Mapping[str, Sequence[int]]) -> list[tuple[str, int]]:
    return [(name, index) for name, indices in sequences.items() for index in indices]
