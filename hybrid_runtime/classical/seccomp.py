"""The system calls that a worker may make: an allow-list, installed as the last step of entering the sandbox.

What is not named here fails with EPERM; what a 64-bit program never does (32-bit and x32 calls) kills the process.
The list is what CPython, numpy and scipy need to compute, to keep threads, to use files in the scratch directory
and to talk over the descriptors they were given: nothing that makes a process, a socket to anywhere, a namespace,
or reaches another process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import struct
import termios
from array import array
from functools import cache
from typing import Final

from hybrid_runtime.classical import syscalls
from hybrid_runtime.classical.bpf import ALLOW, Bits, Condition, Null, OneOf, Program, Rule, assemble, refuse
from hybrid_runtime.classical.seccomp_tables import ARCHITECTURES, NUMBERS, X32_BIT

_SET_MODE_FILTER = 1
# Without this flag older kernels turn speculative store bypass off for filtered processes, which slows all of their
# code. It guards secrets within one address space, and a worker's holds none but its own.
_FLAG_SPEC_ALLOW = 1 << 2

_ALWAYS: Final = """
    read write readv writev pread64 pwrite64 preadv pwritev lseek sendfile copy_file_range
    close close_range dup dup2 dup3 pipe pipe2 fsync fdatasync ftruncate fallocate
    stat fstat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getdents64 getcwd chdir fchdir
    umask mkdir mkdirat rmdir unlink unlinkat rename renameat creat
    munmap mremap mprotect msync brk
    futex set_robust_list rseq set_tid_address exit exit_group sched_yield restart_syscall wait4
    sched_getaffinity getpid gettid getppid getpgrp getuid geteuid getgid getegid getresuid getresgid getgroups
    getrlimit getrusage times sysinfo uname getrandom
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack pause
    alarm getitimer setitimer
    clock_gettime clock_getres clock_nanosleep gettimeofday time nanosleep
    recvfrom sendto shutdown getsockname getpeername
    poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    eventfd eventfd2
"""

# These change files by path or by a descriptor open for reading, and Landlock does not govern them. So they are
# safe only where all that can be named is read-only or the worker's own.
_IN_A_PRIVATE_ROOT: Final = " chmod fchmod fchmodat utime utimes futimesat utimensat truncate"

# Said not to exist, so that callers do without. clone3: the C library falls back to clone, whose flags are a value
# and not behind a pointer, so that a filter can see them. flock: it would lock files that all workers share.
_NOT_IMPLEMENTED: Final = "clone3 flock"

# clone(2) flags of a thread as glibc and musl make it; musl adds the last, which has no effect.
_THREAD_FLAGS = (
    0x0000_0100  # CLONE_VM
    | 0x0000_0200  # CLONE_FS
    | 0x0000_0400  # CLONE_FILES
    | 0x0000_0800  # CLONE_SIGHAND
    | 0x0001_0000  # CLONE_THREAD
    | 0x0004_0000  # CLONE_SYSVSEM
    | 0x0008_0000  # CLONE_SETTLS
    | 0x0010_0000  # CLONE_PARENT_SETTID
    | 0x0020_0000  # CLONE_CHILD_CLEARTID
)
_CLONE_DETACHED = 0x0040_0000

# mmap(2) and madvise(2)
_MAP_HUGETLB = 0x4_0000  # takes from a pool that the whole host shares
_MADVICE = (
    0,  # NORMAL
    1,  # RANDOM
    2,  # SEQUENTIAL
    3,  # WILLNEED
    4,  # DONTNEED
    8,  # FREE
    14,  # HUGEPAGE
    15,  # NOHUGEPAGE
    16,  # DONTDUMP
    17,  # DODUMP
)  # not MERGEABLE: pages shared with another tenant tell by timing what they hold

# posix_fadvise(2) without DONTNEED, which would throw files that all workers share out of the page cache.
_FILE_ADVICE = (
    0,  # NORMAL
    1,  # RANDOM
    2,  # SEQUENTIAL
    3,  # WILLNEED
    5,  # NOREUSE
)
# renameat2(2) without WHITEOUT, which makes a device node.
_RENAME_FLAGS = (
    0,
    1,  # NOREPLACE
    2,  # EXCHANGE
)

_PR_SET_NAME = 15
_PR_GET_NAME = 16
_TCGETS2 = 0x802C_542A  # isatty() of newer libc versions
_FIOCLEX = 0x5451
_FIONCLEX = 0x5450
_F_OFD_LOCKS = (36, 37, 38)  # F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW
_SOCK_TYPE_MASK = 0xF
_THIS_PROCESS = OneOf(0, (0,), or_own_pid=True)

_CHECKED: Final[dict[str, tuple[Condition, ...]]] = {
    # Landlock up to ABI 2 lets a file that is open for reading only be truncated; no honest program asks for that.
    "open": (Bits(1, os.O_TRUNC | os.O_ACCMODE, os.O_TRUNC, unequal=True),),
    "openat": (Bits(2, os.O_TRUNC | os.O_ACCMODE, os.O_TRUNC, unequal=True),),
    "mmap": (Bits(3, _MAP_HUGETLB),),
    "madvise": (OneOf(2, _MADVICE),),
    "fadvise64": (OneOf(3, _FILE_ADVICE),),
    # Without flags: one of them tells whether a file that all workers share is in the page cache.
    "preadv2": (OneOf(5, (0,)),),
    "pwritev2": (OneOf(5, (0,)),),
    "renameat2": (OneOf(4, _RENAME_FLAGS),),
    "clone": (Bits(0, ~_CLONE_DETACHED, _THREAD_FLAGS),),
    "kill": (OneOf(0, or_own_pid=True),),
    "tgkill": (OneOf(0, or_own_pid=True),),
    "prlimit64": (_THIS_PROCESS, Null(2)),
    "getpgid": (_THIS_PROCESS,),
    "getsid": (_THIS_PROCESS,),
    "sched_getparam": (_THIS_PROCESS,),
    "sched_getscheduler": (_THIS_PROCESS,),
    "getpriority": (OneOf(0, (os.PRIO_PROCESS,)), OneOf(1, (0,), or_own_pid=True)),
    "prctl": (OneOf(0, (_PR_SET_NAME, _PR_GET_NAME)),),
    "ioctl": (
        OneOf(
            1,
            (termios.TCGETS, _TCGETS2, termios.TIOCGWINSZ, termios.FIONREAD, termios.FIONBIO, _FIOCLEX, _FIONCLEX),
        ),
    ),
    "fcntl": (
        OneOf(
            1,
            (
                fcntl.F_DUPFD,
                fcntl.F_DUPFD_CLOEXEC,
                fcntl.F_GETFD,
                fcntl.F_SETFD,
                fcntl.F_GETFL,
                fcntl.F_SETFL,
                fcntl.F_GETLK,
                fcntl.F_SETLK,
                fcntl.F_SETLKW,
                *_F_OFD_LOCKS,
            ),
        ),
    ),
    # A pair of streams cannot be given an address, so nothing sent over one reaches a third process.
    "socketpair": (OneOf(0, (socket.AF_UNIX,)), Bits(1, _SOCK_TYPE_MASK, socket.SOCK_STREAM)),
    "getsockopt": (
        OneOf(1, (socket.SOL_SOCKET,)),
        OneOf(2, (socket.SO_TYPE, socket.SO_ERROR, socket.SO_DOMAIN, socket.SO_PROTOCOL, socket.SO_RCVTIMEO)),
    ),
    "setsockopt": (OneOf(1, (socket.SOL_SOCKET,)), OneOf(2, (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO))),
}


def named_calls() -> list[str]:
    """Every system call that the policy says something about."""
    return [*_ALWAYS.split(), *_IN_A_PRIVATE_ROOT.split(), *_CHECKED, *_NOT_IMPLEMENTED.split()]


@cache
def program(*, private_root: bool, machine: str | None = None) -> Program:
    """The worker's filter, for this machine's processor unless another is named.

    With `private_root`, changing modes and times of files is allowed too: see the comment at that list.
    """
    machine = machine or syscalls.machine()
    refused = refuse(errno.EPERM)
    names = dict.fromkeys((_ALWAYS + (_IN_A_PRIVATE_ROOT if private_root else "")).split(), Rule(ALLOW))
    names |= {name: Rule(ALLOW, conditions, otherwise=refused) for name, conditions in _CHECKED.items()}
    names |= {name: Rule(refuse(errno.ENOSYS)) for name in _NOT_IMPLEMENTED.split()}
    numbers = NUMBERS[machine]
    rules = {numbers[name]: rule for name, rule in names.items() if name in numbers}
    foreign_from = X32_BIT if machine == "x86_64" else None
    return assemble(ARCHITECTURES[machine], rules, Rule(refused), foreign_from=foreign_from)


def install(code: bytes) -> None:
    """Put this process under the filter `code` for good; it must have set no-new-privileges."""
    # Not a buffer of ctypes, which makes a type for each size: in a worker that takes fourteen pages of memory.
    memory = array("B", code)
    header = struct.pack("HxxxxxxP", len(code) // 8, memory.buffer_info()[0])
    syscalls.seccomp(_SET_MODE_FILTER, _FLAG_SPEC_ALLOW, header)


KILLED_BY_FILTER: Final = signal.SIGSYS
"""The signal by which a process dies that made a call no 64-bit program makes."""
