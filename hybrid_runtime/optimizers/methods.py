"""The names of the methods and what each of them takes."""

from __future__ import annotations

from difflib import get_close_matches

from hybrid_runtime.errors import InvalidInput

SPSA = "SPSA"
COBYQA = "COBYQA"

# Those of scipy.optimize.minimize that estimate gradients by finite differences: a gradient is one batch.
GRADIENT = ("CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP", "trust-constr")
LOCAL = ("Nelder-Mead", "Powell", *GRADIENT, "COBYLA", COBYQA)
# Functions of scipy.optimize of their own, with the arguments of ours that each takes besides `bounds`.
GLOBAL = {
    "differential_evolution": ("x0", "constraints", "tol", "callback", "rng", "seed"),
    "dual_annealing": ("x0", "callback", "rng", "seed"),
    "shgo": ("constraints", "callback"),
    "direct": ("callback",),
}
METHODS = (*LOCAL, SPSA, *GLOBAL)

# scipy methods that ask for second derivatives, with the relative of each that does without.
_NEEDS_HESSIAN = {
    "newton-cg": "TNC",
    "dogleg": "trust-constr",
    "trust-ncg": "trust-constr",
    "trust-exact": "trust-constr",
    "trust-krylov": "trust-constr",
}


def _key(name: str) -> str:
    return name.strip().lower().replace("_", "-")


_BY_KEY = {_key(name): name for name in METHODS}


def canonical(method: object) -> str:
    """The method's name as `METHODS` spells it; letter case and `-` or `_` do not matter.

    Raises:
        InvalidInput: for another name; the text lists those that exist and the nearest one.
    """
    known = ", ".join(METHODS)
    if not isinstance(method, str):
        raise InvalidInput(f"method is one of the names {known}; not {method!r}")
    key = _key(method)
    if key in _BY_KEY:
        return _BY_KEY[key]
    if key in _NEEDS_HESSIAN:
        raise InvalidInput(
            f"method {method!r} needs second derivatives, which a quantum computer does not give; "
            f"the nearest without is {_NEEDS_HESSIAN[key]!r}; known methods: {known}"
        )
    near = get_close_matches(key, _BY_KEY, n=1)
    hint = f"; did you mean {_BY_KEY[near[0]]!r}?" if near else ""
    raise InvalidInput(f"method {method!r} is not known{hint} Known methods: {known}")


def automatic(bounds: object, constraints: object) -> str:
    """The method that scipy takes when none is named."""
    if constraints:
        return "SLSQP"
    return "BFGS" if bounds is None else "L-BFGS-B"
