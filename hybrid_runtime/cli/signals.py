"""Ctrl-C and the signals like it, as a number that the waiting loop looks at."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

_STOP = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While it is entered, SIGINT, SIGTERM and SIGHUP are counted and do nothing else.

    An exception raised from a handler could fall between a message and its being taken in, and lose it;
    a number that is looked at between two messages cannot.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, Any] = {}

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1

    def __enter__(self) -> Self:
        for number in _STOP:
            self._before[number] = signal.signal(number, self._heard)
        # Under nohup it is ignored, and stays so.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
