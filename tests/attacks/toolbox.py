"""What attacks are written with: travels in the bundle of each, and describes them to the test and the docs."""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import platform
import stat
import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

REFUSED = "refused"
"""The way an attack ends that gained nothing: its job goes on and completes."""


@dataclass(frozen=True)
class Attack:
    """One attack: a function that returns what it gained, nothing where it failed.

    Attributes:
        number: Its row in the table.
        title: What it tries.
        stopped_by: What stops it.
        function: The code, which is given the job's context.
        ends: How its job may end: REFUSED, or the kind of error it fails with.
        open_at: Levels at which it succeeds, with what that means.
        limits: Limits of its job, in seconds.
        steps: Steps of the neighbour, about 3 ms each: as long as the attack takes.
        top_level: Code for the bundle's main file, run when it is imported.
    """

    number: int
    title: str
    stopped_by: str
    function: Callable[[Any], Any]
    ends: tuple[str, ...] = (REFUSED,)
    open_at: dict[str, str] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    steps: int = 25
    top_level: str = ""

    @property
    def name(self) -> str:
        return self.function.__name__


PACKET = 64 * 1024
ATTACKS: list[Attack] = []


def attack(number: int, title: str, stopped_by: str, **more: Any) -> Callable[[Callable[[Any], Any]], Any]:
    """Enter a function into the table."""

    def enter(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        ATTACKS.append(Attack(number, title, stopped_by, function, **more))
        return function

    return enter


def outcome(function: Callable[[Any], Any], context: Any) -> dict[str, Any]:
    """Run an attack: what it gained, or what refused it."""
    try:
        gained = function(context)
    except (OSError, MemoryError, ImportError, RuntimeError, AttributeError, RecursionError, ValueError) as error:
        return {"gained": None, "refused": f"{type(error).__name__}: {error}"[:300]}
    return {"gained": gained or None}


def tried(things: Iterable[Any], one: Callable[[Any], Any]) -> list[str]:
    """Those of `things` for which `one` did not fail, with what it returned."""
    gained = []
    for thing in things:
        try:
            got = one(thing)
        except (OSError, MemoryError, ValueError):
            continue
        gained.append(f"{thing}: {got!r:.60}")
    return gained


# ------------------------------------------------------------------ system calls by number

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
X86 = platform.machine() == "x86_64"
# Numbers on x86-64 and aarch64; 0 where the processor has no such call.
_TABLE = """
    ptrace 101 117  process_vm_readv 310 270  process_vm_writev 311 271  kcmp 312 272  kill 62 129  tkill 200 130
    tgkill 234 131  rt_sigqueueinfo 129 138  rt_tgsigqueueinfo 297 240  pidfd_send_signal 424 424  pidfd_open 434 434
    pidfd_getfd 438 438  socket 41 198  socketpair 53 199  sendmsg 46 211  recvmsg 47 212  sendmmsg 307 269
    connect 42 203  bind 49 200  listen 50 201  accept4 288 242  fork 57 0  vfork 58 0  clone 56 220  clone3 435 435
    execve 59 221  execveat 322 281  unshare 272 97  setns 308 268  mount 165 40  umount2 166 39  pivot_root 155 41
    chroot 161 51  open_by_handle_at 304 265  name_to_handle_at 303 264  open_tree 428 428  move_mount 429 429
    fsopen 430 430  fsmount 432 432  fspick 433 433  mount_setattr 442 442  statmount 457 457  listmount 458 458
    io_uring_setup 425 425  io_uring_enter 426 426  io_uring_register 427 427  bpf 321 280  add_key 248 217
    request_key 249 218  keyctl 250 219  perf_event_open 298 241  userfaultfd 323 282  memfd_create 319 279
    memfd_secret 447 447  shmget 29 194  shmat 30 196  semget 64 190  msgget 68 186  mq_open 240 180
    clock_settime 227 112  settimeofday 164 170  adjtimex 159 171  clock_adjtime 305 266  sethostname 170 161
    setdomainname 171 162  sched_setaffinity 203 122  sched_setscheduler 144 119  sched_setattr 314 274
    sched_setparam 142 118  setpriority 141 140  ioprio_set 251 30  personality 135 92  prctl 157 167  seccomp 317 277
    setrlimit 160 164  prlimit64 302 261  setuid 105 146  setgid 106 144  setresuid 117 147  setresgid 119 149
    setgroups 116 159  capset 126 91  mknodat 259 33  symlinkat 266 36  linkat 265 37  fchownat 260 54
    setxattr 188 5  getxattr 191 8  fchmodat2 452 452  iopl 172 0  ioperm 173 0  modify_ldt 154 0  arch_prctl 158 0
    kexec_load 246 104  init_module 175 105  finit_module 313 273  delete_module 176 106  reboot 169 142
    swapon 167 224  swapoff 168 225  acct 163 89  quotactl 179 60  syslog 103 116  vhangup 153 58
    process_madvise 440 440  process_mrelease 448 448  move_pages 279 239  migrate_pages 256 238  mbind 237 235
    set_mempolicy 238 237  inotify_init1 294 26  fanotify_init 300 262  signalfd4 289 74  timer_create 222 107
    timerfd_create 283 85  splice 275 76  tee 276 77  vmsplice 278 75  landlock_create_ruleset 444 444
    mlockall 151 230  mlock2 325 284  membarrier 324 283  cachestat 451 451  mincore 27 232  readahead 187 213
    sync 162 81  syncfs 306 267  flock 73 32  openat2 437 437  fcntl 72 25  ioctl 16 29  preadv2 327 286
    fadvise64 221 223  madvise 28 233  setsid 112 157  setpgid 109 154  get_robust_list 274 100  lookup_dcookie 212 18
    getpid 39 172  renameat2 316 276
"""
_words = _TABLE.split()
NUMBERS = {
    name: int(x86 if X86 else arm) for name, x86, arm in zip(_words[::3], _words[1::3], _words[2::3], strict=True)
}


def call(name: str, *arguments: int | bytes | Any) -> int:
    """Make a system call.

    Raises:
        OSError: the kernel refused.
    """
    number = NUMBERS[name]
    if number == 0:
        raise OSError(errno.ENOSYS, f"{name} does not exist on this processor")
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result: int = LIBC.syscall(ctypes.c_long(number), *words)
    if result == -1:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


def calls(*attempts: tuple[Any, ...]) -> list[str]:
    """The names of those system calls, each given with its arguments, that the kernel did not refuse."""
    return tried(attempts, lambda attempt: call(*attempt))


# ------------------------------------------------------------------ the worker's own channel


def descriptors() -> list[int]:
    """The open descriptors of this process."""
    found = []
    for fd in range(4096):
        try:
            os.fstat(fd)
        except OSError:
            continue
        found.append(fd)
    return found


@cache
def channel_fd() -> int:
    """The descriptor of the channel to the dispatcher."""
    return next(fd for fd in descriptors() if stat.S_ISSOCK(os.fstat(fd).st_mode))


def send(data: bytes) -> None:
    """Send one packet to the dispatcher, past all code of the runtime."""
    if LIBC.send(channel_fd(), data, ctypes.c_size_t(len(data)), 0x4000) < 0:  # MSG_NOSIGNAL
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def say(*message: Any) -> None:
    """Send one well-formed message of the wire protocol."""
    import msgspec

    data = msgspec.msgpack.encode(list(message))
    if len(data) <= PACKET:
        send(data)
        return
    for start in range(0, len(data), PACKET - 5):
        send(part(len(data), data[start : start + PACKET - 5]))


def part(total: int, body: bytes) -> bytes:
    """One packet of a message that takes several."""
    return struct.pack("<BI", 0xC1, total) + body


def objects(kind: str) -> list[Any]:
    """Objects of the runtime's own code in this process, by the name of their class."""
    return [one for one in gc.get_objects() if type(one).__name__ == kind]


def the_runtime() -> Any:
    """The worker object above this code, found by walking the frames."""
    frame: Any = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            if type(value).__name__ == "Worker":
                return value
        frame = frame.f_back
    raise RuntimeError("no worker above")
