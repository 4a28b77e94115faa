"""The function that scipy calls: it passes points on, singly or a whole batch at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hybrid_runtime.optimizers.answers import Point


class Unwind(BaseException):
    """Ends a scipy call from inside its objective.

    A `BaseException`, because scipy handles some exceptions of an objective itself: `shgo` takes
    AttributeError for a point outside the domain, COBYQA ends on LinAlgError, `differential_evolution`
    replaces ValueError.
    """


class _Recorded(BaseException):
    """The objective was called only to learn the point."""


class Objective:
    """The objective of one scipy call.

    Attributes:
        error: What `evaluate` raised; the scipy call is then being unwound.

    Args:
        evaluate: Takes a list of points and returns their values in order.
    """

    def __init__(self, evaluate: Callable[[list[Point]], list[Any]]) -> None:
        self.error: BaseException | None = None
        self._evaluate = evaluate
        self._recorded: list[Point] | None = None
        self._known: deque[Any] = deque()

    def __call__(self, x: Point) -> Any:
        if self._recorded is not None:
            self._recorded.append(x.copy())
            raise _Recorded
        return self._known.popleft() if self._known else self._values([x])[0]

    def map(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
        """What scipy calls as `workers`: `function` is this objective in layers of scipy's own wrappers.

        Each argument goes through the wrappers twice: first to learn the points, which are then
        evaluated as one batch, then to give scipy their values.
        """
        waiting = list(arguments)
        if not waiting:
            return []
        values = self._values([self._point(function, argument) for argument in waiting])
        self._known.extend(values)
        results = [function(argument) for argument in waiting]
        if self._known:
            raise InternalError("scipy did not ask for every point of a batch; please report its version")
        return results

    def _point(self, function: Callable[[Any], Any], argument: Any) -> Point:
        self._recorded = []
        try:
            function(argument)
        except _Recorded:
            return self._recorded[0]
        finally:
            self._recorded = None
        raise InternalError("scipy evaluates a batch without its objective; please report its version")

    def _values(self, points: list[Point]) -> list[Any]:
        try:
            return self._evaluate(points)
        except BaseException as error:  # noqa: BLE001 - kept, and raised again where scipy cannot replace it
            self.error = error
            raise Unwind from None
