"""Optimizers for hybrid algorithms: scipy's methods and SPSA, for blocking code, generators and `execute`.

An optimizer can be asked for points and told their values, one by one or a batch at a time::

    steps = minimize_steps([0.1, 0.2], method="COBYLA")
    x = next(steps)
    try:
        while True:
            x = steps.send(value_at(x))
    except StopIteration as end:
        result = end.value

or be given the objective. One that yields circuits makes `minimize` a generator, too, and each gradient and
each population one step::

    def energy(x):
        result = yield circuit.bind(theta=x)
        return result.expectation("ZZ")

    result = yield from minimize(energy, [0.1, 0.2], method="BFGS")

Results equal those of a direct scipy call with the same function, options and seed, to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.optimizers.methods import METHODS
from hybrid_runtime.optimizers.problem import Problem, is_generator_function
from hybrid_runtime.optimizers.running import run_blocking, run_steps, run_yielding
from hybrid_runtime.optimizers.spsa_options import SPSAOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from scipy.optimize import OptimizeResult

__all__ = ["METHODS", "SPSAOptions", "minimize", "minimize_steps"]


def minimize_steps(
    x0: Any = None,
    method: str | None = "COBYLA",
    *,
    bounds: Any = None,
    constraints: Any = (),
    jac: Any = None,
    tol: float | None = None,
    options: Any = None,
    callback: Callable[..., Any] | None = None,
    rng: Any = None,
    seed: Any = None,
    batch: bool = False,
) -> Generator[Any, Any, OptimizeResult]:
    """A minimization that is asked for points and told their values.

    `x = next(steps)` gives the first point, `x = steps.send(value)` the next; StopIteration carries scipy's
    `OptimizeResult` (in a generator: `result = yield from …`). Closing it, or throwing an exception into
    it, ends the optimizer.

    Args:
        x0: Where to start: a number or a sequence. The global methods need bounds instead.
        method: One of `METHODS`; None lets scipy choose.
        bounds: As in scipy.
        constraints: As in scipy. Their functions are called in the optimizer's thread, all others in the caller's.
        jac: As in scipy: a function, the name of a scheme of finite differences, or True where the value sent
            is a pair (value, gradient).
        tol: As in scipy. SPSA ends after five steps in a row that were shorter.
        options: The method's options, under scipy's names; for SPSA those of `SPSAOptions`.
        callback: As in scipy, in either form; SPSA calls it after each iteration.
        rng: Passed to the methods that draw random numbers, under this name.
        seed: The same under scipy's older name, which gives other random numbers for the same number.
        batch: Ask for a 2-D array of k points (k, n) at a time and be sent k values. A gradient by finite
            differences, the pairs of SPSA and a population of differential_evolution (with
            `updating="deferred"`) come as one batch; otherwise k is 1.

    Raises:
        InvalidInput: for an unknown method or an argument that does not suit it, and from `send` for a
            value that is not a real number.
        UserCodeError: from `next`, when another COBYQA is under way in this process.
    """
    if is_generator_function(jac):
        raise InvalidInput("a jac that yields circuits goes with minimize; minimize_steps takes one that returns")
    problem = Problem(
        x0=x0,
        method=method,
        bounds=bounds,
        constraints=constraints,
        jac=jac,
        tol=tol,
        options=options,
        callback=callback,
        rng=rng,
        seed=seed,
    )
    return run_steps(problem, batch)


def minimize(
    fun: Callable[..., Any],
    x0: Any = None,
    method: str | None = "COBYLA",
    *,
    args: Any = (),
    bounds: Any = None,
    constraints: Any = (),
    jac: Any = None,
    tol: float | None = None,
    options: Any = None,
    callback: Callable[..., Any] | None = None,
    rng: Any = None,
    seed: Any = None,
    batch: bool = False,
) -> Any:
    """Minimize `fun(x, *args)`.

    A plain function is minimized at once, and scipy's `OptimizeResult` is returned. With a generator
    function, whose generators yield circuits and return the value, the call gives a generator:
    `result = yield from minimize(…)`. Where points come together (see `batch` of `minimize_steps`) their
    generators run side by side and the circuits of all are yielded as one list.

    Args:
        fun: The objective.
        x0: As in `minimize_steps`, as are all arguments that are not listed here.
        method: One of `METHODS`; None lets scipy choose.
        args: Further arguments of `fun` and of a `jac` function.
        jac: As in `minimize_steps`; may be a generator function when `fun` is one.
        batch: `fun` takes points of shape (k, n) and returns k values.

    Raises:
        InvalidInput: for an unknown method, an argument that does not suit it, or an objective that
            returns something else than a real number.
        UserCodeError: when another COBYQA is under way in this process.
    """
    if not callable(fun):
        raise InvalidInput(f"fun is a function of the parameters, not {fun!r}")
    yields = is_generator_function(fun)
    if is_generator_function(jac) and not yields:
        raise InvalidInput("a jac that yields circuits goes with a fun that yields circuits")
    args = args if isinstance(args, tuple) else (args,)
    problem = Problem(
        x0=x0,
        method=method,
        bounds=bounds,
        constraints=constraints,
        jac=_bound(jac, args),
        tol=tol,
        options=options,
        callback=callback,
        rng=rng,
        seed=seed,
    )
    return (run_yielding if yields else run_blocking)(problem, _bound(fun, args), batch)


def _bound(function: Any, args: tuple[Any, ...]) -> Any:
    """The function of the point alone; a generator function stays one."""
    if not args or not callable(function):
        return function
    if is_generator_function(function):

        def run(x: Any) -> Generator[Any, Any, Any]:
            return (yield from function(x, *args))

        return run
    return lambda x: function(x, *args)
