"""Group commit: what many threads ask for at once is done by one of them, in one transaction."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from hybrid_runtime.errors import HybridRuntimeError, InternalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class _Call(Generic[Asked, Answer]):
    __slots__ = ("answer", "asked", "done", "turn")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.answer: Answer | Exception | None = None
        self.done = False
        self.turn = threading.Event()  # it is done, or its thread is to do what has gathered


class Gathering(Generic[Asked, Answer]):
    """Calls `work` with all that has been asked for while it was busy, in one of the threads that asked.

    Args:
        work: Takes what was asked and returns as many answers; an answer that is an exception is raised where it was
            asked for. An exception that it raises itself is everybody's.
        most: How much is done at once.
    """

    def __init__(self, work: Callable[[Sequence[Asked]], Sequence[Answer | Exception]], most: int = 500) -> None:
        self._work = work
        self._most = most
        self._waiting: list[_Call[Asked, Answer]] = []
        self._busy = False
        self._lock = threading.Lock()

    def ask(self, asked: Asked) -> Answer:
        """The answer, once what was asked for has been done."""
        call: _Call[Asked, Answer] = _Call(asked)
        with self._lock:
            self._waiting.append(call)
            if not self._busy:
                self._busy = True
                call.turn.set()
        try:
            call.turn.wait()
        finally:
            self._take_turn(call)
        if isinstance(call.answer, Exception):
            raise call.answer
        return cast("Answer", call.answer)

    def _take_turn(self, call: _Call[Asked, Answer]) -> None:
        """Do what has gathered if it is this call's turn; step back if its thread was interrupted before."""
        with self._lock:
            if call.done:
                return
            if not call.turn.is_set():
                self._waiting.remove(call)
                return
            # It is the first of those that wait, so it is among these.
            calls, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        answers: Sequence[Answer | Exception] = [InternalError("nothing was done")] * len(calls)
        try:
            answers = self._work([one.asked for one in calls])
        except BaseException as error:
            # Everybody gets it, in an exception of their own: a traceback belongs to one thread.
            answers = [_copy(error) for _ in calls]
            raise
        finally:
            self._hand_on(calls, answers)

    def _hand_on(self, calls: list[_Call[Asked, Answer]], answers: Sequence[Answer | Exception]) -> None:
        with self._lock:
            for one, answer in zip(calls, answers, strict=True):
                one.answer, one.done = answer, True
                one.turn.set()
            self._busy = bool(self._waiting)
            if self._busy:
                self._waiting[0].turn.set()


def _copy(error: BaseException) -> HybridRuntimeError:
    kind = type(error) if isinstance(error, HybridRuntimeError) else InternalError
    copy = kind(str(error) if isinstance(error, HybridRuntimeError) else f"{type(error).__name__}: {error}")
    copy.__cause__ = error
    return copy
