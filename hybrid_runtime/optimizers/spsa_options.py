"""The settings of SPSA, with the values that Spall's guide to its implementation recommends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from numbers import Integral, Real
from typing import Any

from hybrid_runtime.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class SPSAOptions:
    """Settings of SPSA. In iteration k (from 0) the gains are

    a_k = learning_rate / (stability + k + 1)**alpha and c_k = perturbation / (k + 1)**gamma.

    Source: J. C. Spall, "Implementation of the simultaneous perturbation algorithm for stochastic
    optimization", IEEE Transactions on Aerospace and Electronic Systems 34 (1998) 817-823.

    Attributes:
        maxiter: Iterations; each costs `2 * resamplings` evaluations, and one more with `blocking`.
        learning_rate: The gain `a`; None measures it so that the first steps have the length `first_step`.
        perturbation: The gain `c`: how far from the current point the objective is probed. About the standard
            deviation of its noise, in units of the parameters.
        stability: The constant `A`, which keeps the first steps from being too long; a tenth of `maxiter` when None.
        alpha: Decay of the step.
        gamma: Decay of the perturbation.
        first_step: Wanted change of a parameter in the first iteration, where `learning_rate` is measured.
        calibration: Pairs of evaluations for measuring `learning_rate`, and evaluations for measuring `tolerance`;
            each kind is one batch.
        resamplings: Gradient estimates averaged in an iteration; all of its pairs are one batch.
        blocking: Whether to evaluate each new point and stay where it is worse than the last by over `tolerance`.
        tolerance: See `blocking`; twice the standard deviation of the objective at the start when None.
        trust_radius: Longest step (Euclidean); a longer one is shortened. None is no bound.
        last_avg: How many of the last points the result averages.
    """

    maxiter: int = 100
    learning_rate: float | None = None
    perturbation: float = 0.2
    stability: float | None = None
    alpha: float = 0.602
    gamma: float = 0.101
    first_step: float = 0.2
    calibration: int = 25
    resamplings: int = 1
    blocking: bool = False
    tolerance: float | None = None
    trust_radius: float | None = None
    last_avg: int = 1

    def __post_init__(self) -> None:
        for name in ("maxiter", "calibration", "resamplings", "last_avg"):
            self._check_count(name)
        for name in ("perturbation", "alpha", "gamma", "first_step"):
            self._check_number(name, optional=False)
        for name in ("learning_rate", "trust_radius"):
            self._check_number(name)
        for name in ("stability", "tolerance"):
            self._check_number(name, zero=True)

    @classmethod
    def of(cls, given: Any) -> SPSAOptions:
        """The settings that a user gave as a dict, as `SPSAOptions` or not at all.

        Raises:
            InvalidInput: for a name or a value that cannot be used.
        """
        if given is None:
            return cls()
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            raise InvalidInput(f"options is a dict of option names and values, not {given!r}")
        known = [item.name for item in fields(cls)]
        unknown = [str(name) for name in given if name not in known]
        if unknown:
            raise InvalidInput(f"SPSA has no option {', '.join(unknown)}; its options: {', '.join(known)}")
        return cls(**given)

    def _check_count(self, name: str) -> None:
        value = getattr(self, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise InvalidInput(f"SPSA option {name} is a whole number from 1, not {value!r}")

    def _check_number(self, name: str, *, optional: bool = True, zero: bool = False) -> None:
        value = getattr(self, name)
        if value is None and optional:
            return
        number = isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
        if not number or value < 0 or (value == 0 and not zero):
            raise InvalidInput(f"SPSA option {name} is a number {'from' if zero else 'above'} 0, not {value!r}")
