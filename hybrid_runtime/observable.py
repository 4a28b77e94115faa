"""Sums of products of Pauli operators: what an exact expectation value is asked for.

An observable is kept as terms, each a coefficient and one letter of `IXYZ` a qubit, the highest qubit on the left,
as bit strings have the highest bit on the left. So it is plain data, which compares, hashes and travels as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from numbers import Complex
from typing import Any, TypeAlias

from hybrid_runtime.errors import CircuitRejected

Terms: TypeAlias = tuple[tuple[float, str], ...]

# Enough for a molecule of a dozen orbitals; each is as much work as a gate or two.
MAX_TERMS = 10_000
_LETTERS = frozenset("IXYZ")
_EXPECTED = 'an observable is a sum of Pauli terms such as {"ZI": 0.5, "XX": 0.2} or [(0.5, "ZI"), (0.2, "XX")]'


def pauli_sum(given: Any) -> Terms:
    """The terms of what a user gives as an observable: a mapping, pairs in either order, or the letters of one term.

    Raises:
        CircuitRejected: it is none of these.
    """
    if isinstance(given, str):
        pairs: Iterable[Any] = [(1.0, given)]
    elif isinstance(given, Mapping):
        pairs = given.items()
    elif isinstance(given, Iterable):
        pairs = given
    else:
        raise CircuitRejected(f"{_EXPECTED}, not {type(given).__name__}")
    terms = []
    for pair in pairs:
        terms.append(_term(pair))
        if len(terms) > MAX_TERMS:
            raise CircuitRejected(f"an observable has at most {MAX_TERMS} terms: split it over several circuits")
    checked = tuple(terms)
    problem = problem_of(checked)
    if problem:
        raise CircuitRejected(problem)
    return checked


def _term(pair: Any) -> tuple[float, str]:
    try:
        first, second = pair
    except (TypeError, ValueError):
        raise CircuitRejected(f"{_EXPECTED}; {pair!r:.60} is no term") from None
    letters, coefficient = (first, second) if isinstance(first, str) else (second, first)
    if not isinstance(letters, str) or not isinstance(coefficient, Complex):
        raise CircuitRejected(f"{_EXPECTED}; {pair!r:.60} is no term")
    try:
        number = complex(coefficient)
    except OverflowError as error:
        raise CircuitRejected(f"the observable's coefficient of {letters!r:.80} is too large: {error}") from None
    if number.imag:
        raise CircuitRejected(f"an observable's coefficients are real numbers, unlike {number} of {letters!r:.80}")
    return number.real, str(letters).upper()


def problem_of(terms: Terms, qubits: int | None = None) -> str:
    """Why these cannot be the terms of an observable, on so many qubits where that is known; empty when they can."""
    if not 1 <= len(terms) <= MAX_TERMS:
        return f"an observable has 1 to {MAX_TERMS} terms, not {len(terms)}"
    width = len(terms[0][1]) if qubits is None else qubits
    for coefficient, letters in terms:
        if not _LETTERS.issuperset(letters) or not letters:
            return f"an observable's terms are of the letters I, X, Y and Z, one a qubit, unlike {letters!r:.80}"
        if len(letters) != width:
            other = f"the circuit has {width} qubits" if qubits is not None else f"the first term has {width}"
            return f"the observable's term {letters!r:.80} has {len(letters)} letters; {other}"
        if not isfinite(coefficient):
            return f"the observable's coefficient of {letters!r:.80} is {coefficient}"
    return ""
