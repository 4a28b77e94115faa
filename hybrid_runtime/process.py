"""How every process of the tree looks after itself: it dies with its parent and leaves Ctrl-C to the client."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent`, which started it, dies.

    Raises:
        OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have died before the call: nobody would tell.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def ignore_interrupts() -> None:
    """Leave the terminal's Ctrl-C to the client, which turns it into a message."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def interpreter(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules as a process, with this interpreter."""
    # -s: a package in the user's home must not shadow what was installed for the runtime.
    # -P: nor must a file in the present folder, which may be full of a user's scripts.
    return [sys.executable, "-s", "-P", "-m", module, *arguments]
