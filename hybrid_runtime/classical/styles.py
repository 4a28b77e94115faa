"""How each style of algorithm is driven: all of them through `Context.run`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from hybrid_runtime.algorithm import Done, HybridAlgorithm, HybridFunction, StopExecution
from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import CircuitRejected, StopRequested, UserCodeError
from hybrid_runtime.limits import StopReason

if TYPE_CHECKING:
    from pathlib import Path

    from hybrid_runtime.context import Context

# A generator that answers a stop by yielding again is told again this often, then closed.
_TELL_STOP = 3
# What functions mostly return: looking for anything else in it takes longer than all the rest of a job's end.
_PLAIN = frozenset({type(None), bool, int, float, complex, str, dict, list, tuple})


class Failure(Exception):
    """An algorithm failed in `stage`; `value` is what `finalize` could still make of the steps before."""

    def __init__(self, stage: str, cause: BaseException, value: Any = None) -> None:
        super().__init__(stage)
        self.stage = stage
        self.cause = cause
        self.value = value


def drive(algorithm: Any, context: Context, finalizing: Callable[[], None]) -> Any:
    """Run an algorithm of any style to its end; its value.

    Args:
        algorithm: A `HybridAlgorithm` class or instance, or a `HybridFunction`.
        context: The job's context.
        finalizing: Called when only `finalize` is left.

    Raises:
        Failure: the user's code raised; the cause is what it raised.
    """
    if isinstance(algorithm, HybridFunction):
        value = _drive_function(algorithm, context)
    else:
        value = _drive_lifecycle(algorithm, context, finalizing)
    if value is None:
        value = context.history.done
    return value if value is not None else (context.history.last_metrics() or None)


def _drive_lifecycle(
    algorithm: type[HybridAlgorithm] | HybridAlgorithm, context: Context, finalizing: Callable[[], None]
) -> Any:
    try:
        instance = algorithm() if isinstance(algorithm, type) else algorithm
    except StopExecution as stop:
        return stop.value
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit included
        raise Failure("initialize", error) from None
    failure = _step_lifecycle(instance, context)
    finalizing()
    history = context.history
    try:
        value = instance.finalize(history)
    except StopExecution as stop:
        value = stop.value
    except StopRequested:
        late = UserCodeError(
            "finalize asked for circuits after the job was stopped: check context.stop_requested first"
        )
        raise failure or Failure("finalize", late, history.done) from None
    except BaseException as error:  # noqa: BLE001 - as above
        raise failure or Failure("finalize", error, history.done) from None
    if isinstance(value, Done):
        value = value.value
    if failure is not None:
        failure.value = value
        raise failure
    return value


def _step_lifecycle(instance: HybridAlgorithm, context: Context) -> Failure | None:
    """Initialize, and step until the algorithm is done or stopped; the failure, if it raised.

    Raises:
        Failure: it raised, or was stopped, before there was anything to finalize.
    """
    history = context.history
    stage = "initialize"
    try:
        request: Any = instance.initialize(context)
        while not isinstance(request, Done):
            request = _checked_request(request, instance, stage)
            results = context.run(request)
            stage = "execute"
            request = instance.execute(results)
        history.done = request.value
    except StopExecution as stop:
        history.done = stop.value
    except StopRequested as stop:
        if not context.asked:
            raise Failure(stage, stop) from None
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit included
        if not history.steps:
            raise Failure(stage, error) from None
        history.stop_reason = StopReason.ERROR
        return Failure(stage, error)
    return None


def _checked_request(request: Any, instance: HybridAlgorithm, stage: str) -> Any:
    """A circuit, or a list of what there is instead.

    Raises:
        UserCodeError: it is neither; the text names the method, for no line of the user's is on the stack by then.
    """
    if isinstance(request, Circuit):
        return request
    if not isinstance(request, str) and hasattr(request, "__iter__"):
        items = list(request)
        strange = [item for item in items if not isinstance(item, Circuit)]
        if not strange:
            return items
        problem = f"a sequence that holds {_named(strange[0])}"
    else:
        problem = _named(request)
    code = getattr(getattr(type(instance), stage), "__code__", None)
    where = f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""
    raise UserCodeError(
        f"{type(instance).__name__}.{stage}{where} must return a Circuit, a list of them or Done, not {problem}"
    )


def _named(value: object) -> str:
    if value is None:
        return "nothing (None)"
    if isinstance(value, str):
        return "text: write Circuit(text)"
    if isinstance(value, type):
        return f"the class {value.__name__}: write {value.__name__}(…)"
    return type(value).__name__


def _drive_function(algorithm: HybridFunction[Any, Any], context: Context) -> Any:
    history = context.history
    try:
        returned = algorithm.function(context)
        if type(returned) in _PLAIN:
            return returned
        if isinstance(returned, Generator):
            returned = _drive_generator(returned, context)
        if isinstance(returned, Done):
            returned = history.done = returned.value
        elif inspect.iscoroutine(returned) or inspect.isasyncgen(returned):
            if inspect.iscoroutine(returned):
                returned.close()  # else Python warns that it was never awaited
            raise UserCodeError(f"{algorithm.__name__} is an async function: write it with def, and without await")
        return returned
    except StopExecution as stop:
        history.done = stop.value
    except StopRequested as stop:
        if not context.asked:
            raise Failure("initialize", stop) from None
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit included
        raise Failure("execute" if history.steps else "initialize", error) from None
    return None


def _drive_generator(generator: Generator[Any, Any, Any], context: Context) -> Any:
    told = 0
    go_on: Callable[[Any], Any] = generator.send
    given: Any = None
    while True:
        try:
            request = go_on(given)
        except StopIteration as end:
            return end.value
        if isinstance(request, Done):
            generator.close()
            return request
        try:
            go_on, given = generator.send, context.run(request)
        except StopRequested as stop:
            told += 1
            if told > _TELL_STOP:
                generator.close()
                raise
            go_on, given = generator.throw, stop
        except (CircuitRejected, TypeError) as error:
            # A refused circuit, or something that is no circuit: raised at the user's own `yield`.
            go_on, given = generator.throw, error


def whence(algorithm: Any, folder: Path) -> str:
    """The function that makes an algorithm's value, with its file and line."""
    if isinstance(algorithm, HybridFunction):
        function, name = inspect.unwrap(algorithm.function), algorithm.__name__
    else:
        cls: type[HybridAlgorithm] = algorithm if isinstance(algorithm, type) else type(algorithm)
        # Without a `finalize` of its own, the value is the one given to Done.
        hook = "execute" if cls.finalize is HybridAlgorithm.finalize else "finalize"
        function, name = getattr(cls, hook), f"{cls.__name__}.{hook}"
    code = getattr(function, "__code__", None)
    if code is None:
        return name
    return f"{name}, {code.co_filename.removeprefix(f'{folder}/')}, line {code.co_firstlineno}"
