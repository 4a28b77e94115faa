"""Observables as users give them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.observable import MAX_TERMS, pauli_sum

ZI_XX = ((0.5, "ZI"), (0.25, "XX"))


@pytest.mark.parametrize(
    ("given", "terms"),
    [
        ({"ZI": 0.5, "XX": 0.25}, ZI_XX),
        ([(0.5, "ZI"), (0.25, "XX")], ZI_XX),
        ([("ZI", 0.5), ("XX", 0.25)], ZI_XX),
        ((["zi", np.float64(0.5)], ["xx", np.complex128(0.25)]), ZI_XX),
        (iter([("ZI", 0.5), ("XX", 0.25)]), ZI_XX),
        ("ZZY", ((1.0, "ZZY"),)),
        ({"I": 2}, ((2.0, "I"),)),
        ([(1, "Z"), (1, "Z")], ((1.0, "Z"), (1.0, "Z"))),
    ],
)
def test_an_observable_is_a_mapping_or_pairs_or_one_term(given, terms):
    found = pauli_sum(given)
    assert found == terms
    assert all(type(coefficient) is float for coefficient, _ in found)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (3, "not int"),
        ([], "1 to 10000 terms, not 0"),
        ({}, "1 to 10000 terms, not 0"),
        (["ZI"], "'ZI' is no term"),
        ([("ZI", "XX")], "is no term"),
        ([(1.0, 2.0)], "is no term"),
        ([(1.0, "ZI", 2)], "is no term"),
        ({"ZI": None}, "is no term"),
        ({"ZA": 1}, "letters I, X, Y and Z"),
        ({"": 1}, "letters I, X, Y and Z"),
        ({"ZZ": 1, "Z": 1}, "'Z' has 1 letters; the first term has 2"),
        ({"Z": 1j}, "real numbers"),
        ({"Z": math.nan}, "coefficient of 'Z' is nan"),
        ({"Z": math.inf}, "coefficient of 'Z' is inf"),
        ({"Z": 10**400}, "too large"),
    ],
)
def test_what_is_no_observable_is_refused(given, why):
    with pytest.raises(CircuitRejected, match=why):
        pauli_sum(given)


def test_more_terms_than_allowed_are_refused_without_reading_them_all():
    def endless():
        while True:
            yield (1.0, "Z")

    with pytest.raises(CircuitRejected, match=f"at most {MAX_TERMS} terms"):
        pauli_sum(endless())
