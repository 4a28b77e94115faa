"""How every process of the tree looks after itself: it dies with its parent, leaves Ctrl-C to the client, and gives up
what it does not need."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

# An exit status beyond this names the signal by which a process ended itself, as in shells.
KILLED_BY = 128

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWNET = 0x4000_0000
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_ABI = 1
# Landlock's accesses that change files, by the ABI that brought them: writing, removing and making; moving; cutting.
_WRITING = ((1, 0x1FF2), (2, 1 << 13), (3, 1 << 14))


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


def renounce(*, outside: bool) -> None:
    """Give up, for good, core dumps and what set-user-id programs could bring; with `outside`, all that is beyond
    this process and the descriptors that it has: every network, and the writing of files, as far as the host lets.

    Call it before `die_with_parent` and before any thread is started.

    Raises:
        OSError: the kernel refused what no kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    if outside:
        # Whoever may not make a network namespace outright may in a user namespace, where those are allowed.
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        _renounce_writing(libc)


def _renounce_writing(libc: ctypes.CDLL) -> None:
    """Have Landlock, where the kernel has it, refuse to make, change and remove any file."""
    abi = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_ABI)
    if abi < 1:
        return
    governed = ctypes.c_uint64(sum(accesses for since, accesses in _WRITING if since <= abi))
    rules = libc.syscall(_LANDLOCK_CREATE_RULESET, ctypes.byref(governed), ctypes.c_size_t(8), 0)
    if rules >= 0:
        libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0)
        os.close(rules)


def ignore_interrupts() -> None:
    """Leave the terminal's Ctrl-C to the client, which turns it into a message."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def interpreter(module: str, *arguments: str, python: str | None = None) -> list[str]:
    """The command that runs one of our modules as a process, with this interpreter or that of another environment."""
    # -s: a package in the user's home must not shadow what was installed for the runtime.
    # -P: nor must a file in the present folder, which may be full of a user's scripts.
    return [python or sys.executable, "-s", "-P", "-m", module, *arguments]
