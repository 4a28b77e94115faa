"""The three ways to run a problem: asked from outside, blocking, or as a generator of circuits."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.optimizers.answers import RETURNED, SENT, check_for, one_each
from hybrid_runtime.optimizers.asking import Gradient, Question, questions
from hybrid_runtime.optimizers.cobyqa import one_at_a_time
from hybrid_runtime.optimizers.handover import Best
from hybrid_runtime.optimizers.lockstep import in_lockstep
from hybrid_runtime.optimizers.methods import SPSA
from hybrid_runtime.optimizers.solver import solve, solve_with

if TYPE_CHECKING:
    from hybrid_runtime.optimizers.answers import Point
    from hybrid_runtime.optimizers.problem import Problem

Function: TypeAlias = Callable[..., Any]
# Options by which scipy itself calls the objective in another way; the value is the one that asks for nothing.
_SPECIAL = {"workers": 1, "vectorized": False}


def run_steps(problem: Problem, batch: bool) -> Generator[Any, Any, Any]:
    """Yield points (with `batch` arrays of them), be sent values, return the `OptimizeResult`."""
    import numpy as np

    refuse_special(problem)
    best = Best(problem)
    check = check_for(problem.jac)
    asked = questions(problem, batched=batch)
    try:
        points, over = _next(asked)
        while not over:
            successor = best.successor()
            if successor is not None:
                asked.close()
                return (yield from run_steps(successor, batch))
            if batch:
                values = one_each((yield np.array(points)), len(points), check, SENT)
            else:
                values = []
                for point in points:
                    values.append(check((yield point), SENT))
            best.note(points, values)
            points, over = _next(asked, values)
    finally:
        asked.close()
    return points


def run_blocking(problem: Problem, fun: Function, batch: bool) -> Any:
    """Minimize a plain function and return the `OptimizeResult`; scipy is called directly, without a thread."""
    evaluate = _watched(_evaluator(problem, fun, batch), Best(problem))
    try:
        return _run_blocking(problem, fun, evaluate, batch)
    except _HandedOver as handed_over:
        successor = handed_over.problem
    return run_blocking(successor, fun, batch)


def _run_blocking(problem: Problem, fun: Function, evaluate: Callable[[list[Point]], list[Any]], batch: bool) -> Any:
    if problem.method == SPSA:
        return _drive(questions(problem, batched=batch), evaluate)
    with one_at_a_time(problem, suspended=False):
        if _special(problem) and not batch:
            return solve_with(problem, fun)
        refuse_special(problem)
        return solve(problem, evaluate, batched=batch)


def run_yielding(problem: Problem, fun: Function, batch: bool) -> Generator[Any, Any, Any]:
    """Minimize a generator function: yield its circuits, be sent their results, return the `OptimizeResult`."""
    refuse_special(problem)
    best = Best(problem)
    asked = questions(problem, batched=True)
    try:
        question, over = _next(asked)
        while not over:
            successor = best.successor()
            if successor is not None:
                asked.close()
                return (yield from run_yielding(successor, fun, batch))
            answer = yield from _answer(question, problem, fun, batch)
            if not isinstance(question, Gradient):
                best.note(question, answer)
            question, over = _next(asked, answer)
    finally:
        asked.close()
    return question


def refuse_special(problem: Problem) -> None:
    """Refuse the options of scipy that would call the objective in other processes or with other shapes.

    Raises:
        InvalidInput: naming them.
    """
    given = _special(problem)
    if given:
        raise InvalidInput(f"option {given[0]} goes with a plain function only; batch=True evaluates points together")


def _special(problem: Problem) -> list[str]:
    if problem.method == SPSA:
        return []
    return [name for name, idle in _SPECIAL.items() if problem.options.get(name) not in (None, idle)]


def _answer(question: Question, problem: Problem, fun: Function, batch: bool) -> Generator[Any, Any, Any]:
    """The answer to one question, by the user's generators."""
    import numpy as np

    if isinstance(question, Gradient):
        return (yield from problem.jac(question.point))
    check = check_for(problem.jac)
    if batch:
        return one_each((yield from fun(np.array(question))), len(question), check, RETURNED)
    values = yield from in_lockstep([fun(point) for point in question])
    return [check(value, RETURNED) for value in values]


def _evaluator(problem: Problem, fun: Function, batch: bool) -> Callable[[list[Point]], list[Any]]:
    """A plain function as one that takes a list of points."""
    import numpy as np

    check = check_for(problem.jac)
    if batch:
        return lambda points: one_each(fun(np.array(points)), len(points), check, RETURNED)
    return lambda points: [check(fun(point), RETURNED) for point in points]


class _HandedOver(BaseException):
    """Ends the method under way, and passes through scipy."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


def _watched(evaluate: Callable[[list[Point]], list[Any]], best: Best) -> Callable[[list[Point]], list[Any]]:
    """The same, until another method takes over."""

    def watched(points: list[Point]) -> list[Any]:
        successor = best.successor()
        if successor is not None:
            raise _HandedOver(successor)
        values = evaluate(points)
        best.note(points, values)
        return values

    return watched


def _drive(asked: Generator[Any, Any, Any], evaluate: Callable[[list[Point]], list[Any]]) -> Any:
    question, over = _next(asked)
    while not over:
        question, over = _next(asked, evaluate(question))
    return question


def _next(asked: Generator[Any, Any, Any], answer: Any = None) -> tuple[Any, bool]:
    """The next question and False, or the result and True."""
    try:
        return asked.send(answer), False
    except StopIteration as end:
        return end.value, True
