"""An algorithm that ends its own process is made to say at which line it did, and does end.

The first process of a process-id namespace, which a worker is at level `strict`, ignores fatal signals that it sends
itself: without this, `os.kill(os.getpid(), SIGKILL)` would do nothing there, and something else elsewhere.
It is a courtesy to honest code. Code that calls the kernel by itself goes around it, at no one's cost but its own.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from hybrid_runtime.process import KILLED_BY

if TYPE_CHECKING:
    from collections.abc import Iterator

_HARMLESS = frozenset({0, signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH})
_STOPS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_STDERR = 2


@contextmanager
def last_words() -> Iterator[None]:
    """While it holds, every way by which Python code ends its own process says where first."""
    real_exit, real_kill, real_raise = os._exit, os.kill, signal.raise_signal

    def end(status: int) -> NoReturn:
        faulthandler.dump_traceback(_STDERR, all_threads=False)
        real_exit(status)

    def kill(pid: int, number: int, /) -> None:
        if pid in (0, os.getpid()) and _ends(number):
            end(KILLED_BY + number)
        real_kill(pid, number)

    def raise_signal(number: int, /) -> None:
        if _ends(number):
            end(KILLED_BY + number)
        real_raise(number)

    def abort() -> NoReturn:
        end(KILLED_BY + signal.SIGABRT)

    replaced: list[tuple[Any, str, Any]] = [
        (os, "_exit", end),
        (os, "kill", kill),
        (os, "abort", abort),
        (signal, "raise_signal", raise_signal),
    ]
    originals = [(module, name, getattr(module, name)) for module, name, _ in replaced]
    for module, name, function in replaced:
        setattr(module, name, function)
    try:
        yield
    finally:
        for module, name, function in originals:
            setattr(module, name, function)


def _ends(number: int) -> bool:
    """Whether this signal would end the process: it is fatal, and the algorithm has not set a handler for it."""
    if number in _HARMLESS or number in _STOPS:
        return False
    if number == signal.SIGKILL:
        return True
    return number in signal.valid_signals() and signal.getsignal(number) is signal.SIG_DFL


def flush_quietly(stream: Any) -> None:
    """Flush a stream that a user's code may have done anything to."""
    try:
        stream.flush()
    except BaseException:  # noqa: BLE001 - the user may have replaced or closed it: their loss alone
        return
