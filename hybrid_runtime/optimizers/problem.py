"""One optimization as it was asked for: checked when it is made, so that mistakes show before the first circuit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import isgeneratorfunction
from typing import Any

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.optimizers.methods import GLOBAL, SPSA, automatic, canonical
from hybrid_runtime.optimizers.spsa_options import SPSAOptions


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What `minimize` and `minimize_steps` were given, but for the objective.

    Everything has the meaning that scipy gives it and is passed on to scipy as it is.
    """

    x0: Any
    method: Any
    bounds: Any = None
    constraints: Any = ()
    jac: Any = None
    tol: float | None = None
    options: Any = field(default_factory=dict)
    callback: Callable[..., Any] | None = None
    rng: Any = None
    seed: Any = None

    def __post_init__(self) -> None:
        name = automatic(self.bounds, self.constraints) if self.method is None else canonical(self.method)
        object.__setattr__(self, "method", name)
        object.__setattr__(self, "options", _options(self.options, name))
        if self.rng is not None and self.seed is not None:
            raise InvalidInput("rng and seed name the same thing; give one of them")
        if self.callback is not None and not callable(self.callback):
            raise InvalidInput(f"callback is a function, not {self.callback!r}")
        if is_generator_function(self.callback):
            raise InvalidInput("callback cannot yield circuits; only fun and jac can")
        if name in GLOBAL:
            self._check_global()
        elif self.x0 is None:
            raise InvalidInput(f"method {name} starts from a point: give x0")
        if name == SPSA:
            self._refuse("constraints", "jac")

    def _check_global(self) -> None:
        if self.bounds is None:
            raise InvalidInput(f"method {self.method} searches a box: give bounds, a (low, high) pair a parameter")
        self._refuse(*(name for name in ("constraints", "tol") if name not in GLOBAL[self.method]))
        if self.jac is not None:
            raise InvalidInput(f"method {self.method} takes no jac; its local searches take theirs by options")

    def _refuse(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None and not (name == "constraints" and _empty(value)):
                raise InvalidInput(f"method {self.method} takes no {name}")


def _empty(constraints: Any) -> bool:
    return isinstance(constraints, tuple | list | dict) and not constraints


def _options(given: Any, method: str) -> Any:
    if method == SPSA:
        return SPSAOptions.of(given)
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    raise InvalidInput(f"options is a dict of option names and values, not {given!r}")


def is_generator_function(function: Any) -> bool:
    """Whether calling it gives a generator: a function, method, partial of one, or object with such a `__call__`."""
    while isinstance(function, partial):
        function = function.func
    return isgeneratorfunction(function) or isgeneratorfunction(getattr(function, "__call__", None))  # noqa: B004
