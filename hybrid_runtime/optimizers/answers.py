"""What may come back for a point: one real number, or with `jac=True` a number and its gradient."""

from __future__ import annotations

from inspect import isgenerator
from numbers import Complex, Real
from typing import TYPE_CHECKING, Any, TypeAlias

from hybrid_runtime.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

# A place in parameter space; `jac="cs"` asks at complex ones.
Point: TypeAlias = "npt.NDArray[np.float64]"
Check: TypeAlias = "Callable[[Any, str], Any]"

RETURNED, SENT = "the objective returned", "the value sent for the point is"


def real_number(value: Any, source: str) -> Any:
    """The value as scipy should get it: unchanged when it is a number, its element when it holds just one.

    NaN and infinity pass: what they mean is the method's business.

    Raises:
        InvalidInput: naming what came instead; `source` begins the sentence.
    """
    if isinstance(value, Real):
        return value
    element = _only_element(value)
    if isinstance(element, Real):
        return element
    raise InvalidInput(f"{source} {_shown(value)}, which is not a real number{_advice(value, source)}")


def complex_number(value: Any, source: str) -> Any:
    """As `real_number`, for the complex step (`jac="cs"`), whose points and values have imaginary parts."""
    element = value if isinstance(value, Complex) else _only_element(value)
    return element if isinstance(element, Complex) else real_number(value, source)


def number_and_gradient(value: Any, source: str) -> tuple[Any, Any]:
    """As `real_number`, for `jac=True`: a pair of the value and its gradient."""
    if isinstance(value, tuple | list) and len(value) == 2:
        return real_number(value[0], source), value[1]
    raise InvalidInput(f"{source} {_shown(value)}; with jac=True it is a pair (value, gradient)")


def check_for(jac: Any) -> Check:
    """The check that fits the `jac` of a problem."""
    if jac is True:
        return number_and_gradient
    return complex_number if jac == "cs" else real_number


def one_each(values: Any, count: int, check: Check, source: str) -> list[Any]:
    """The checked values of a batch of `count` points.

    Raises:
        InvalidInput: when it is not a sequence of that length, or an element fails the check.
    """
    try:
        found = list(values)
    except TypeError:
        text = f"{source} {_shown(values)}, but a batch of {count} points takes a sequence of {count} values"
        raise InvalidInput(text + _advice(values, source)) from None
    if len(found) != count:
        raise InvalidInput(f"{source} {len(found)} values, but a batch of {count} points takes {count}")
    return [check(value, source) for value in found]


def _only_element(value: Any) -> Any:
    """The element of an array-like that holds one number; None for everything else."""
    import numpy as np

    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # ragged lists; tensors that refuse to become arrays
        return None
    return array.item() if array.size == 1 and array.dtype.kind in "biufc" else None


def _shown(value: Any) -> str:
    if value is None:
        return "None"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def _advice(value: Any, source: str) -> str:
    if isgenerator(value):
        return ": give minimize the generator function itself, with functools.partial for further arguments"
    if value is None:
        return ": continue with steps.send(value)" if source == SENT else ": end it with `return value`"
    return ""
