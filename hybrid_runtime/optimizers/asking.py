"""A problem as a generator of questions: which points to evaluate next, at which point the gradient is wanted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from hybrid_runtime.optimizers.cobyqa import one_at_a_time
from hybrid_runtime.optimizers.inversion import Ask, called_by_consumer, invert
from hybrid_runtime.optimizers.methods import SPSA
from hybrid_runtime.optimizers.problem import Problem, is_generator_function
from hybrid_runtime.optimizers.solver import solve

if TYPE_CHECKING:
    from collections.abc import Generator

    from hybrid_runtime.optimizers.answers import Point


@dataclass(frozen=True, slots=True)
class Gradient:
    """A question: the value of `jac`, a generator function, at this point."""

    point: Point


Question: TypeAlias = "list[Point] | Gradient"


def questions(problem: Problem, *, batched: bool) -> Generator[Question, Any, Any]:
    """Yield lists of points and be sent the lists of their values; return the `OptimizeResult`.

    Without `batched` each list has one point, but for SPSA, whose lists the caller may split. `Gradient` comes
    only where `jac` is a generator function. Other functions of the user's are called in the consumer's
    thread, but for constraints.
    """
    if problem.method == SPSA:
        from hybrid_runtime.optimizers.spsa import spsa

        return (yield from spsa(problem))
    with one_at_a_time(problem, suspended=True):
        return (yield from invert(lambda ask: _solve(problem, ask, batched)))


def _solve(problem: Problem, ask: Ask, batched: bool) -> Any:
    def evaluate(points: list[Point]) -> Any:
        return ask([point.copy() for point in points])  # scipy may go on using its own

    return solve(_reaching_out(problem, ask), evaluate, batched=batched)


def _reaching_out(problem: Problem, ask: Ask) -> Problem:
    """The problem with stand-ins for the functions that the consumer calls."""
    changes: dict[str, Any] = {}
    if problem.callback is not None:
        changes["callback"] = called_by_consumer(problem.callback, ask)
    if is_generator_function(problem.jac):
        changes["jac"] = lambda x: ask(Gradient(x.copy()))
    elif callable(problem.jac):
        changes["jac"] = called_by_consumer(problem.jac, ask)
    return replace(problem, **changes)
