"""How many threads emulators may use: said by the environment, which they read when they are imported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Circuits of a hybrid algorithm are small and follow each other: handing them to a thread pool costs more
# than it saves, and the cores belong to the workers.
_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# The one among them by which an emulator in C++ takes its number, so an option of its driver can set it.
_EMULATOR_THREADS = "OMP_NUM_THREADS"
_MOST_THREADS = 256


def limit_threads(options: Mapping[str, Any]) -> None:
    """Have what is imported from now on use one thread, and an emulator as many as its driver's option `threads` says.

    A number that cannot be is left to the driver, which refuses it.
    """
    for name in _THREAD_COUNTS:
        os.environ[name] = "1"
    threads = options.get("threads", 1)
    if isinstance(threads, int) and 1 <= threads <= _MOST_THREADS:
        os.environ[_EMULATOR_THREADS] = str(threads)
