"""System calls that the standard library lacks, as thin functions; every failure is an `OSError` naming the call.

Nothing here decides anything: what to isolate, and in which order, is said in `namespaces`, `landlock`, `seccomp`
and `sandbox`. The numbers are those of x86-64 and aarch64; calls from 424 on have one number everywhere.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from functools import cache
from typing import Final, NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
# Keeps the interpreter lock during a call, so that a child has it too.
_python = ctypes.PyDLL(None, use_errno=True)


class _Numbers(NamedTuple):
    """The calls below 424 that have no libc function on every system."""

    pivot_root: int
    capset: int
    seccomp: int


_NUMBERS: Final = {
    "x86_64": _Numbers(pivot_root=155, capset=126, seccomp=317),
    "aarch64": _Numbers(pivot_root=41, capset=91, seccomp=277),
}
_OPEN_TREE = 428
_MOVE_MOUNT = 429
_CLOSE_RANGE = 436
_MOUNT_SETATTR = 442
LANDLOCK_CREATE_RULESET: Final = 444
LANDLOCK_ADD_RULE: Final = 445
LANDLOCK_RESTRICT_SELF: Final = 446

# unshare(2), setns(2)
CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWCGROUP: Final = 0x0200_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000
_CLONE_NAMES: Final = {
    CLONE_NEWUSER: "CLONE_NEWUSER",
    CLONE_NEWPID: "CLONE_NEWPID",
    CLONE_NEWNS: "CLONE_NEWNS",
    CLONE_NEWNET: "CLONE_NEWNET",
    CLONE_NEWIPC: "CLONE_NEWIPC",
    CLONE_NEWUTS: "CLONE_NEWUTS",
    CLONE_NEWCGROUP: "CLONE_NEWCGROUP",
}

# mount(2), umount2(2), open_tree(2), mount_setattr(2), move_mount(2)
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x4_0000
MNT_DETACH: Final = 2
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8
_OPEN_TREE_CLONE = 1
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_MOVE_MOUNT_F_EMPTY_PATH = 0x4

# prctl(2)
PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

# No privilege by being uid 0, no set-uid fix-up, no keeping over setuid, no ambient ones; each of the four locked.
_SECUREBITS_ALL_LOCKED = 0b1110_1111
# Capabilities, as bits of a set
CAP_DAC_READ_SEARCH: Final = 1 << 2
CAP_SETGID: Final = 1 << 6
CAP_SETUID: Final = 1 << 7
CAP_SETPCAP: Final = 1 << 8
CAP_SYS_ADMIN: Final = 1 << 21

_CAPABILITY_VERSION_3 = 0x2008_0522
_CAP_LAST_CAP = "/proc/sys/kernel/cap_last_cap"
_HIGHEST_FD = 0xFFFF_FFFF


@cache
def machine() -> str:
    """`x86_64` or `aarch64`.

    Raises:
        OSError: on any other processor, for which no system-call table exists.
    """
    name = platform.machine()
    if name not in _NUMBERS:
        raise OSError(f"no system-call table for processor {name!r}; isolation knows {', '.join(_NUMBERS)}")
    return name


def _failure(call: str, path: str | None = None) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}", path)


def syscall(call: str, number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call by number; `call` is the name that an error shows.

    Integers are passed as 64 bits, bytes and buffers as pointers, None as a null pointer.
    """
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result == -1:
        raise _failure(call)
    return result


def seccomp(operation: int, flags: int, argument: bytes) -> None:
    """seccomp(2)."""
    syscall("seccomp", _NUMBERS[machine()].seccomp, operation, flags, argument)


def prctl(option: int, argument: int, name: str) -> None:
    """prctl(2) with one argument; `name` is the option's name, for an error."""
    if _libc.prctl(option, argument, 0, 0, 0) == -1:
        raise _failure(f"prctl({name})")


def fork() -> int:
    """fork(2) of a process with a single thread: 0 in the child, there the child's pid.

    `os.fork` also makes new locks for threading, logging and imports and seeds `random`, which writes to 240 pages:
    each of them is copied, and a worker would be a millisecond later. Nobody else holds these locks here, and
    the job brings its own seed.
    """
    pid: int = _python.fork()
    if pid == -1:
        raise _failure("fork")
    return pid


def unshare(flags: int) -> None:
    """Move this process (its future children, for CLONE_NEWPID) into new namespaces."""
    if _libc.unshare(flags) == -1:
        raise _failure(f"unshare({_clone_names(flags)})")


def setns(fd: int, kind: int) -> None:
    """Join the namespace that `fd` is open on."""
    if _libc.setns(fd, kind) == -1:
        raise _failure(f"setns({_clone_names(kind)})")


def _clone_names(flags: int) -> str:
    return "|".join(name for flag, name in _CLONE_NAMES.items() if flags & flag)


def mount(kind: str, target: str, flags: int, options: str = "") -> None:
    """mount(2) of a file system that has no device; for `kind` "" it changes the propagation of `target`."""
    kind_bytes = kind.encode() or None
    if _libc.mount(kind_bytes, os.fsencode(target), kind_bytes, ctypes.c_ulong(flags), options.encode()) == -1:
        raise _failure(f"mount({kind or 'propagation'})", target)


def unmount_lazily(target: str) -> None:
    """Take the mount at `target` out of the tree; it vanishes when its last user does."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH) == -1:
        raise _failure("umount2", target)


def pivot_root_here() -> None:
    """Make the current directory, a mount point, the root; the old root lies on top of it afterwards."""
    syscall("pivot_root", _NUMBERS[machine()].pivot_root, b".", b".")


def clone_mount(path: str) -> int:
    """A descriptor of a detached copy of what is mounted at or below `path` (a directory or a file)."""
    try:
        flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE
        return syscall("open_tree", _OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags)
    except OSError as error:
        error.filename = path
        raise


def restrict_mount(fd: int, attributes: int, *, recursive: bool = True) -> None:
    """Add MOUNT_ATTR flags to the mount that `fd` is open on and, unless told otherwise, to all below it."""
    attr = struct.pack("QQQQ", attributes, 0, 0, 0)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    syscall("mount_setattr", _MOUNT_SETATTR, fd, b"", flags, attr, len(attr))


def attach_mount(fd: int, target: str) -> None:
    """Attach the detached mount `fd` at `target`."""
    path = os.fsencode(target)
    syscall("move_mount", _MOVE_MOUNT, fd, b"", _AT_FDCWD, path, _MOVE_MOUNT_F_EMPTY_PATH)


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor of this process that is not in `keep`."""
    start = 0
    for fd in sorted(keep):
        if fd > start:
            syscall("close_range", _CLOSE_RANGE, start, fd - 1, 0)
        start = fd + 1
    syscall("close_range", _CLOSE_RANGE, start, _HIGHEST_FD, 0)


def effective_capabilities() -> int:
    """The bit set of what this process may do beyond its user."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))


def highest_capability() -> int:
    """The number of the last capability that the running kernel knows."""
    with open(_CAP_LAST_CAP, encoding="ascii") as file:
        return int(file.read())


def set_capabilities(kept: int = 0) -> None:
    """Reduce the permitted and effective capabilities to the bit set `kept`; the inheritable set becomes empty."""
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    low, high = kept & 0xFFFF_FFFF, kept >> 32
    data = struct.pack("6I", low, low, 0, high, high, 0)
    syscall("capset", _NUMBERS[machine()].capset, header, data)


def lock_capabilities(highest: int) -> None:
    """Close every way to gain a capability later: bounding set, ambient set, and privilege by being uid 0.

    Needs CAP_SETPCAP, which the process has as root or right after it made a user namespace. Changing the user id
    afterwards takes no capabilities away: `set_capabilities` does.
    """
    prctl(_PR_SET_SECUREBITS, _SECUREBITS_ALL_LOCKED, "PR_SET_SECUREBITS")
    for capability in range(highest + 1):
        prctl(_PR_CAPBSET_DROP, capability, "PR_CAPBSET_DROP")
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, "PR_CAP_AMBIENT")
