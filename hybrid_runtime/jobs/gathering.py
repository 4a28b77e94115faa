"""Group commit: what many threads ask for at once is done by one of them, in one transaction."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hybrid_runtime.errors import HybridRuntimeError, InternalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class _Call(Generic[Asked, Answer]):
    __slots__ = ("answer", "asked", "done")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.answer: Answer | Exception | None = None
        self.done = False


class Gathering(Generic[Asked, Answer]):
    """Calls `work` with all that has been asked for while it was busy.

    Args:
        work: Takes what was asked and returns as many answers; an answer that is an exception is raised where it was
            asked for. An exception that it raises itself is everybody's.
        most: How much is done at once.
    """

    def __init__(self, work: Callable[[Sequence[Asked]], Sequence[Answer | Exception]], most: int = 500) -> None:
        self._work = work
        self._most = most
        self._waiting: list[_Call[Asked, Answer]] = []
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def ask(self, asked: Asked) -> Any:
        """The answer, once what was asked for has been done."""
        call: _Call[Asked, Answer] = _Call(asked)
        with self._lock:
            self._waiting.append(call)
        # Whoever gets the turn does what has gathered; those who wait for it then mostly find their own part done.
        with self._turn:
            while not call.done:
                self._do_some()
        if isinstance(call.answer, Exception):
            raise call.answer
        return call.answer

    def _do_some(self) -> None:
        with self._lock:
            calls, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        answers: Sequence[Answer | Exception]
        try:
            answers = self._work([call.asked for call in calls])
        except BaseException as error:
            # Everybody gets it, in an exception of their own: a traceback belongs to one thread.
            answers = [_copy(error) for _ in calls]
            raise
        finally:
            for call, answer in zip(calls, answers, strict=True):
                call.answer, call.done = answer, True


def _copy(error: BaseException) -> HybridRuntimeError:
    kind = type(error) if isinstance(error, HybridRuntimeError) else InternalError
    copy = kind(str(error) if isinstance(error, HybridRuntimeError) else f"{type(error).__name__}: {error}")
    copy.__cause__ = error
    return copy
