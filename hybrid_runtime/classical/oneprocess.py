"""A worker is one process: Python code that wants another is told so, and what to do instead.

It is a courtesy to honest code, in place of the bare "Operation not permitted" by which the system-call filter
refuses. Code that calls the kernel by itself goes around it and meets the filter.
"""

from __future__ import annotations

import _posixsubprocess
import importlib
import os
import sys
from typing import Any, NoReturn

# Not in the type stubs of the standard library.
_multiprocessing: Any = importlib.import_module("_multiprocessing")

_TEXT = (
    "an algorithm is one process and cannot start another. To compute side by side use threads "
    "(concurrent.futures.ThreadPoolExecutor), which numpy and scipy do not hold up; to run many circuits give them "
    "to context.run as one list"
)


class _NoSemaphore:
    """In place of multiprocessing's semaphore, which every one of its pools, locks and queues begins with."""

    SEM_VALUE_MAX = _multiprocessing.SemLock.SEM_VALUE_MAX

    def __init__(self, *_: Any, **__: Any) -> None:
        refuse()


def refuse(*_: Any, **__: Any) -> NoReturn:
    """Raise what every start of a process raises in a worker."""
    raise RuntimeError(_TEXT)


def insist() -> None:
    """From here on, starting a process from Python says why it cannot be and what can."""
    for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system", "execv", "execve"):
        setattr(os, name, refuse)
    for module in (_posixsubprocess, sys.modules.get("subprocess"), sys.modules.get("multiprocessing.util")):
        for name in ("fork_exec", "_fork_exec"):
            if hasattr(module, name):
                setattr(module, name, refuse)
    subprocess: Any = sys.modules.get("subprocess")
    if subprocess is not None:
        # It takes this way where it can, by a reference of its own.
        subprocess._USE_POSIX_SPAWN = False
    _multiprocessing.SemLock = _NoSemaphore
