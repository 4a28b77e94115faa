"""The call of scipy for a problem: the same call that a user would write, with our objective in it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.optimizers.methods import GLOBAL, GRADIENT
from hybrid_runtime.optimizers.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.optimizers.answers import Point
    from hybrid_runtime.optimizers.problem import Problem


def solve(problem: Problem, evaluate: Callable[[list[Point]], list[Any]], *, batched: bool) -> Any:
    """Minimize by scipy, blocking, and return its `OptimizeResult`.

    Args:
        problem: Anything but SPSA.
        evaluate: Takes a list of points and returns their values; what it raises is raised here unchanged.
        batched: Whether the points of a gradient or of a population may come together.
    """
    objective = Objective(evaluate)
    result = None
    try:
        result = solve_with(problem, objective, objective.map if batched else None)
    except BaseException:
        if objective.error is None:
            raise
    # Outside the handler, so that the user's exception does not show how scipy was left.
    error, objective.error = objective.error, None
    if error is None:
        return result
    try:
        raise error
    finally:
        del error  # its traceback holds this frame


def solve_with(problem: Problem, function: Callable[[Any], Any], workers: Callable[..., Any] | None = None) -> Any:
    """Call scipy for `problem` with `function` as its objective and `workers` to evaluate batches."""
    from scipy import optimize

    if problem.method in GLOBAL:
        arguments = _global_arguments(problem, getattr(optimize, problem.method))
        # scipy evaluates a population at once only with this setting, which changes the course it takes.
        deferred = problem.method == "differential_evolution" and arguments.get("updating") == "deferred"
        if workers is not None and deferred:
            arguments["workers"] = workers
        return getattr(optimize, problem.method)(function, **arguments)
    options = dict(problem.options)
    if workers is not None and problem.method in GRADIENT:
        options["workers"] = workers
    return optimize.minimize(
        function,
        problem.x0,
        method=problem.method,
        jac=problem.jac,
        bounds=problem.bounds,
        constraints=problem.constraints,
        tol=problem.tol,
        callback=problem.callback,
        options=options,
    )


def _global_arguments(problem: Problem, function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword arguments of one of the global methods: options, and what was given by itself."""
    arguments = dict(problem.options)
    allowed = [name for name in inspect.signature(function).parameters if name not in ("func", "bounds", "args")]
    unknown = [str(name) for name in arguments if name not in allowed and name not in GLOBAL[problem.method]]
    if unknown:
        raise InvalidInput(
            f"method {problem.method} has no option {', '.join(unknown)}; its options: {', '.join(allowed)}"
        )
    for name in GLOBAL[problem.method]:
        value = getattr(problem, name)
        if value is None or (name == "constraints" and isinstance(value, tuple | list) and not value):
            continue
        if name in arguments:
            raise InvalidInput(f"{name} is given twice: by itself and in options")
        arguments[name] = value
    return {"bounds": problem.bounds, **arguments}
