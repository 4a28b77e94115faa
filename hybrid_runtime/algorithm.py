"""What a user writes: a lifecycle class, or a function marked `@hybrid`.

Whatever the style, a worker reduces it to one blocking primitive: circuits out, their results back.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeAlias, TypeVar, overload

from hybrid_runtime.limits import StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hybrid_runtime.circuit import Circuit
    from hybrid_runtime.context import Context
    from hybrid_runtime.result import QuantumResult

P = ParamSpec("P")
R = TypeVar("R")


class Done:
    """Return it from `initialize` or `execute` to end the job with this value."""

    __slots__ = ("value",)

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Done({self.value!r})"


class StopExecution(Exception):
    """Raise it anywhere in an algorithm to end the job with this value: the same as returning `Done(value)`."""

    def __init__(self, value: Any = None) -> None:
        super().__init__(value)
        self.value = value


Request: TypeAlias = "Circuit | Sequence[Circuit] | Done"
Answer: TypeAlias = "QuantumResult | list[QuantumResult]"


class History:
    """What a job did, for `finalize`.

    Attributes:
        requests: What was sent in each step: a circuit or a list of circuits.
        metrics: Every value reported by `Context.metric`, by name, in order.
        stop_reason: Why the job is ending.
        done: The value given to `Done` or `StopExecution`, else None.
    """

    def __init__(self) -> None:
        self.requests: list[Circuit | list[Circuit]] = []
        self._results: list[Answer] = []
        # Of steps of many rows: what makes their results, by the place where these belong.
        self._unread: dict[int, Callable[[], Answer]] = {}
        self.metrics: dict[str, list[float]] = {}
        self.shots = 0
        self.stop_reason = StopReason.DONE
        self.done: Any = None

    @property
    def results(self) -> list[Answer]:
        """What came back in each step, in the same shape as what was sent."""
        if self._unread:
            for place, make in self._unread.items():
                self._results[place] = make()
            self._unread.clear()
        return self._results

    @property
    def steps(self) -> int:
        """How many steps were answered."""
        return len(self._results)

    def add(self, request: Circuit | list[Circuit], answer: Answer) -> None:
        """A step was answered."""
        self.requests.append(request)
        self._results.append(answer)

    def add_unread(self, request: list[Circuit], make: Callable[[], list[QuantumResult]]) -> None:
        """A step was answered by what makes its results: few are ever looked at again, and many take memory."""
        self._unread[len(self._results)] = make
        self.add(request, [])

    def last_metrics(self) -> dict[str, float]:
        """The newest value of each metric."""
        return {name: values[-1] for name, values in self.metrics.items()}

    def __repr__(self) -> str:
        return f"<History of {self.steps} steps, {self.shots} shots, stopped by {self.stop_reason.value}>"


class HybridAlgorithm:
    """Lifecycle style: subclass it and keep state on `self`; each job has an instance of its own."""

    def initialize(self, context: Context) -> Request:
        """Prepare, and give the first circuits: a `Circuit`, a sequence of them, or `Done`."""
        raise NotImplementedError(f"{type(self).__name__} has no initialize(self, context)")

    def execute(self, results: Any) -> Request:
        """Take the answer to what was sent last, in the same shape; give the next circuits or `Done(value)`."""
        raise NotImplementedError(f"{type(self).__name__} has no execute(self, results)")

    def finalize(self, history: History) -> Any:
        """Make the job's value. Called once at the end, also when a limit or the user stopped the job.

        Without it the value is the one given to `Done`, else the last value of each metric.
        """
        return history.done if history.done is not None else (history.last_metrics() or None)


class HybridFunction(Generic[P, R]):
    """A function marked `@hybrid`: in generator style when it yields, else in blocking style."""

    def __init__(self, function: Callable[P, R]) -> None:
        if not callable(function):
            raise TypeError(f"@hybrid marks a function, not {type(function).__name__}")
        self.function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__

    @property
    def generator(self) -> bool:
        """Whether the function yields its circuits."""
        return inspect.isgeneratorfunction(inspect.unwrap(self.function))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<hybrid {'generator' if self.generator else 'function'} {self.__name__}>"


@overload
def hybrid(function: Callable[P, R]) -> HybridFunction[P, R]: ...
@overload
def hybrid() -> Callable[[Callable[P, R]], HybridFunction[P, R]]: ...
def hybrid(function: Callable[P, R] | None = None) -> Any:
    """Mark `function(context)` as an algorithm, so that `qi-run` finds it in its file."""
    return HybridFunction if function is None else HybridFunction(function)
