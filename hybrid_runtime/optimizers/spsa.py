"""SPSA: a gradient estimate from two evaluations, whatever the number of parameters.

Spall, "Implementation of the simultaneous perturbation algorithm for stochastic optimization" (1998; full
reference in `spsa_options`). With bounds, the pair lies around the nearest point whose perturbations stay
inside: P. Sadegh, "Constrained optimization via stochastic approximation with a simultaneous perturbation
gradient approximation", Automatica 33 (1997) 889-892.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hybrid_runtime.errors import InvalidInput

if TYPE_CHECKING:
    from hybrid_runtime.optimizers.answers import Point
    from hybrid_runtime.optimizers.problem import Problem

Values: TypeAlias = list[float]
Evaluation: TypeAlias = Generator[list["Point"], Values, Any]

# With `tol`, the run ends when so many steps in a row were shorter: Spall asks for "several".
QUIET_STEPS = 5


def spsa(problem: Problem) -> Evaluation:
    """Minimize by SPSA; yields lists of points, is sent lists of their values, returns an `OptimizeResult`."""
    return (yield from _SPSA(problem).run())


class _SPSA:
    """The state of one run. The generators among its methods are steps of `run`."""

    def __init__(self, problem: Problem) -> None:
        self.options = problem.options
        self.tol = problem.tol
        self.report = _report(problem.callback)
        self.x = np.atleast_1d(np.asarray(problem.x0, dtype=float)).copy()
        if self.x.ndim != 1 or not np.all(np.isfinite(self.x)):
            raise InvalidInput("x0 is one finite number or a list of them")
        self.box = None if problem.bounds is None else _box(problem.bounds, self.x.size)
        self.x = self._inside(self.x)
        self.random = _random(problem)
        self.stability = self.options.maxiter / 10 if self.options.stability is None else self.options.stability
        self.tolerance = 0.0
        self.value = np.inf  # at x, where blocking measures it
        self.nfev = 0

    def run(self) -> Evaluation:
        gain = self.options.learning_rate
        if gain is None:
            gain = yield from self._measure_gain()
        if self.options.blocking:
            yield from self._measure_noise()
        last = deque([self.x], maxlen=self.options.last_avg)
        quiet = 0
        status, message, iteration = 0, "The planned number of iterations has been done.", 0
        for iteration in range(1, self.options.maxiter + 1):
            length, seen = yield from self._iterate(iteration - 1, gain)
            last.append(self.x)
            quiet = quiet + 1 if self.tol is not None and length is not None and length < self.tol else 0
            if self.report(self.x, seen):
                status, message = 99, "`callback` raised `StopIteration`."
                break
            if quiet == QUIET_STEPS:
                message = f"The last {QUIET_STEPS} steps were shorter than `tol`."
                break
        self.x = np.mean(last, axis=0)
        [self.value] = yield from self._evaluate([self.x])
        if not np.isfinite(self.value):
            status, message = 2, "The objective is not finite at the last point."
        return self._result(status, message, nit=iteration, learning_rate=gain)

    def _iterate(self, k: int, gain: float) -> Generator[list[Point], Values, tuple[float | None, float]]:
        """One step; returns its length (None where there was none) and a value of the objective near x."""
        options = self.options
        gradient, seen = yield from self._gradient(options.perturbation / (k + 1) ** options.gamma, options.resamplings)
        if gradient is None:
            return None, seen
        step = gain / (self.stability + k + 1) ** options.alpha * gradient
        length = float(np.linalg.norm(step))
        if options.trust_radius is not None and length > options.trust_radius:
            step *= options.trust_radius / length
        candidate = self._inside(self.x - step)
        if options.blocking:
            [seen] = yield from self._evaluate([candidate])
            # Written so that NaN is refused as well.
            if not seen <= self.value + self.tolerance:
                return None, self.value
            self.value = seen
        length = float(np.linalg.norm(candidate - self.x))
        self.x = candidate
        return length, seen

    def _gradient(self, spread: float, count: int) -> Generator[list[Point], Values, tuple[Point | None, float]]:
        """The mean of `count` estimates, and the mean value of their points; None where no estimate is finite."""
        estimates, means = yield from self._estimates(spread, count)
        if not len(estimates):
            return None, float("nan")
        return np.mean(estimates, axis=0), float(np.mean(means))

    def _estimates(self, spread: float, count: int) -> Generator[list[Point], Values, tuple[Any, Any]]:
        """Estimates of the gradient around x, from one batch of pairs; those that are not finite are left out."""
        centre, spreads = self._centre(spread)
        signs = 2.0 * self.random.integers(0, 2, size=(count, self.x.size)) - 1.0
        points = []
        for offset in signs * spreads:
            # Inside again, because the sums may be wrong in the last bit.
            points += [self._inside(centre + offset), self._inside(centre - offset)]
        values = np.asarray((yield from self._evaluate(points)), dtype=float).reshape(count, 2)
        finite = np.all(np.isfinite(values), axis=1)
        values, signs = values[finite], signs[finite]
        # A parameter that its bounds hold still has no slope.
        inverse = np.divide(1.0, 2 * spreads, out=np.zeros_like(spreads), where=spreads > 0)
        return (values[:, :1] - values[:, 1:]) * signs * inverse, values.mean(axis=1)

    def _centre(self, spread: float) -> tuple[Point, Point]:
        """The point between the pairs and how far they reach from it: all of it inside the bounds."""
        if self.box is None:
            return self.x, np.full(self.x.size, spread)
        low, high = self.box
        spreads = np.minimum(spread, (high - low) / 2)
        return np.clip(self.x, low + spreads, high - spreads), spreads

    def _inside(self, x: Point) -> Point:
        return x if self.box is None else np.clip(x, *self.box)

    def _measure_gain(self) -> Generator[list[Point], Values, float]:
        """The gain `a` with which a first step changes a parameter by `first_step`."""
        options = self.options
        estimates, _ = yield from self._estimates(options.perturbation, options.calibration)
        slope = float(np.mean(np.abs(estimates))) if len(estimates) else 0.0
        wanted = options.first_step * (self.stability + 1) ** options.alpha
        # Where the objective is flat there is nothing to measure, and a slope of 1 is as good as any.
        return float(wanted / slope) if slope > 0 else float(wanted)

    def _measure_noise(self) -> Evaluation:
        """The value at x, and the tolerance of blocking where none was given."""
        count = self.options.calibration if self.options.tolerance is None else 1
        values = np.asarray((yield from self._evaluate([self.x] * count)), dtype=float)
        values = values[np.isfinite(values)]
        if len(values):
            self.value = float(np.mean(values))
            self.tolerance = 2 * float(np.std(values))
        if self.options.tolerance is not None:
            self.tolerance = self.options.tolerance

    def _evaluate(self, points: list[Point]) -> Generator[list[Point], Values, Values]:
        values = yield [point.copy() for point in points]
        self.nfev += len(points)
        return values

    def _result(self, status: int, message: str, **more: Any) -> Any:
        from scipy.optimize import OptimizeResult

        return OptimizeResult(
            x=self.x,
            fun=self.value,
            success=status == 0,
            status=status,
            message=message,
            nfev=self.nfev,
            **more,
        )


def _random(problem: Problem) -> np.random.Generator:
    given = problem.seed if problem.rng is None else problem.rng
    if given is None:
        # numpy's global state belongs to the job's seed, so that a job without a seed of its own repeats too.
        given = np.random.randint(2**31)
    return np.random.default_rng(given)


def _box(bounds: Any, size: int) -> tuple[Point, Point]:
    """Lower and upper bounds, infinite where there is none."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        low, high = (np.broadcast_to(np.asarray(side, dtype=float), (size,)) for side in (bounds.lb, bounds.ub))
    else:
        pairs = [tuple(pair) for pair in bounds]
        if len(pairs) != size or any(len(pair) != 2 for pair in pairs):
            raise InvalidInput(f"bounds are {size} pairs (low, high), one a parameter")
        low = np.array([-np.inf if pair[0] is None else pair[0] for pair in pairs], dtype=float)
        high = np.array([np.inf if pair[1] is None else pair[1] for pair in pairs], dtype=float)
    if not np.all(low <= high):
        raise InvalidInput("a lower bound is above its upper bound")
    return low, high


def _report(callback: Callable[..., Any] | None) -> Callable[[Point, float], bool]:
    """The callback in either of scipy's two forms; what is returned says whether it asked to stop."""
    if callback is None:
        return lambda x, value: False
    from scipy.optimize import OptimizeResult

    wants_result = set(inspect.signature(callback).parameters) == {"intermediate_result"}

    def report(x: Point, value: float) -> bool:
        try:
            if wants_result:
                callback(intermediate_result=OptimizeResult(x=x.copy(), fun=value))
            else:
                callback(x.copy())
        except StopIteration:
            return True
        return False

    return report
