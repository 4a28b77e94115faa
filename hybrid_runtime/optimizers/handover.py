"""Another optimizer takes over in the middle of a minimization, as a fork of a job may ask for.

::

    old optimizer ──points, values──▶ due: its best point ──▶ new optimizer, which begins there
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.optimizers.methods import GLOBAL, GRADIENT, canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hybrid_runtime.optimizers.problem import Problem


class Handover:
    """What is planned for this process.

    Args:
        takeovers: Methods that take over, each with the number of steps after which it does, in order.
        steps: How many steps have been answered.

    Attributes:
        made: The methods to which a minimization has been handed over.
    """

    def __init__(self, takeovers: Iterable[tuple[str, int]], steps: Callable[[], int]) -> None:
        self._takeovers = [(canonical(method), after) for method, after in takeovers]
        self._steps = steps
        self.made: set[str] = set()

    def due(self) -> str | None:
        """The method that is to be used by now; None while it is the algorithm's own."""
        steps = self._steps()
        found = None
        for method, after in self._takeovers:
            if steps >= after:
                found = method
        return found


_planned: Handover | None = None


@contextmanager
def planned(handover: Handover) -> Iterator[None]:
    """Minimizations that are entered meanwhile are handed over, those under way and those that begin later."""
    global _planned
    _planned = handover
    try:
        yield
    finally:
        _planned = None


class Best:
    """The best point of one minimization so far."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._point: Any = None
        self._value = float("inf")

    def note(self, points: Sequence[Any], values: Sequence[Any]) -> None:
        """These points have these values, or pairs of value and gradient."""
        if _planned is None:
            return
        for point, value in zip(points, values, strict=True):
            number = float(value[0] if self._problem.jac is True else value)
            if number < self._value:
                self._point, self._value = point.copy(), number

    def successor(self) -> Problem | None:
        """The problem with which another method goes on from here; None where it is not time.

        Raises:
            InvalidInput: that method does not suit the problem.
        """
        method = None if _planned is None else _planned.due()
        if _planned is None or method is None or method == self._problem.method:
            return None
        _planned.made.add(method)
        return _handed_over(self._problem, method, self._point)


def _handed_over(problem: Problem, method: str, point: Any) -> Problem:
    """The same objective, bounds and constraints under another method, whose options are the usual ones."""
    jac = problem.jac
    if method not in GRADIENT:
        if jac is True:
            raise InvalidInput(f"the objective gives its gradient with its value, which method {method} does not take")
        jac = None
    takes = GLOBAL.get(method, ("x0", "tol"))
    start = problem.x0 if point is None else point
    return replace(
        problem,
        method=method,
        x0=start if "x0" in takes else None,
        tol=problem.tol if "tol" in takes else None,
        jac=jac,
        options=None,
    )
