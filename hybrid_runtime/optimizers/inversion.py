"""A blocking function turned into a generator, so that its caller can answer its questions.

::

    consumer (a generator frame)              optimizer thread
      next() ──── starts ───────────────────▶ run(ask)
      yield question ◀───── asked ─────────── ask(question)
      send(answer) ──────── told ───────────▶   … returns answer
      StopIteration(value) ◀ asked ────────── return value

Exactly one side runs at any time. When the generator is closed or an exception is thrown into it, `ask`
raises `Unwind` in the thread, the blocking function is left, and the thread is gone before the generator is.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator
from contextvars import copy_context
from dataclasses import dataclass
from functools import WRAPPER_ASSIGNMENTS, update_wrapper
from queue import SimpleQueue
from typing import Any, TypeAlias

from hybrid_runtime.errors import UserCodeError
from hybrid_runtime.optimizers.objective import Unwind

Ask: TypeAlias = Callable[[Any], Any]


@dataclass(slots=True)
class _Outcome:
    """What a call gave: a value or an exception."""

    value: Any = None
    error: BaseException | None = None

    @classmethod
    def of(cls, function: Callable[..., Any], *args: Any, **kwargs: Any) -> _Outcome:
        try:
            return cls(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - raised again on the other side
            return cls(error=error)

    def unwrap(self) -> Any:
        if self.error is None:
            return self.value
        error, self.error = self.error, None  # the traceback holds this frame: without a cycle it is freed at once
        try:
            raise error
        finally:
            del error


@dataclass(frozen=True, slots=True)
class _Call:
    """A question that the consumer answers by itself: call this."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _Crossing:
    """Where the two threads meet; `asked` also carries the outcome at the end."""

    def __init__(self) -> None:
        self.asked: SimpleQueue[Any] = SimpleQueue()
        self.told: SimpleQueue[_Outcome] = SimpleQueue()
        self.closed = False

    def ask(self, question: Any) -> Any:
        """Called in the optimizer's thread: hand a question over and wait for its answer."""
        if self.closed:
            raise Unwind
        self.asked.put(question)
        return self.told.get().unwrap()

    def close(self) -> None:
        """Let the optimizer's thread end, whether it waits for an answer, computes or has ended."""
        self.closed = True
        self.told.put(_Outcome(error=Unwind()))


def invert(run: Callable[[Ask], Any]) -> Generator[Any, Any, Any]:
    """Run `run(ask)` in a thread of its own; yield what it asks, and return what it returns.

    Exceptions of `run` are raised here. The thread sees the context variables of the first `next`.

    Raises:
        UserCodeError: when no thread can be started.
    """
    crossing = _Crossing()
    thread = threading.Thread(
        target=copy_context().run,
        args=(lambda: crossing.asked.put(_Outcome.of(run, crossing.ask)),),
        name="optimizer",
        daemon=True,
    )
    _start(thread)
    try:
        question = crossing.asked.get()
        while not isinstance(question, _Outcome):
            if isinstance(question, _Call):
                outcome = _Outcome.of(question.function, *question.args, **question.kwargs)
            else:
                outcome = _Outcome((yield question))
            crossing.told.put(outcome)
            question = crossing.asked.get()
    finally:
        crossing.close()
        # At interpreter exit daemon threads no longer run, and a generator that was left open is closed then.
        if not sys.is_finalizing():
            thread.join()
    return question.unwrap()


def _start(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError as error:
        raise UserCodeError(
            f"the optimizer cannot start its thread ({error}); close optimizers that are not needed any more, or "
            "give minimize a plain function, or use SPSA: these need no thread"
        ) from error


def called_by_consumer(function: Callable[..., Any], ask: Ask) -> Callable[..., Any]:
    """A stand-in for `function` that has the consumer call it, so a user's code runs in the user's thread."""

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        return ask(_Call(function, args, kwargs))

    # scipy looks at the signature of a callback, which `__wrapped__` shows.
    return update_wrapper(stand_in, function, assigned=WRAPPER_ASSIGNMENTS, updated=())
