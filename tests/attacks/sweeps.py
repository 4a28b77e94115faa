"""Attacks by argument: calls that are allowed with some values, tried with all the others."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import signal
import socket
import threading
from typing import Any

from tests.attacks.toolbox import LIBC, X86, attack, call, calls, channel_fd, descriptors, tried

FILTER = "system-call filter"
# What the filter lets by of the many things that fcntl, ioctl and socket options can do.
FCNTL = {0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030}
IOCTL = {0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451}
GET_OPTIONS = {3, 4, 20, 38, 39}
SET_OPTIONS = {20, 21}
ADVICE = {0, 1, 2, 3, 4, 8, 14, 15, 16, 17}
THREAD = 0x3D0F00
DETACHED = 1 << 22


def _every_descriptor() -> list[int]:
    return [*descriptors(), os.open("file", os.O_RDWR | os.O_CREAT), os.open(".", os.O_RDONLY)]


@attack(163, "Use every command of fcntl: signals for others, leases, notices, sizes of pipes", FILTER)
def use_every_fcntl(context: Any) -> Any:
    commands = [*set(range(64)) - FCNTL, *set(range(1024, 1060)) - FCNTL]
    return calls(*[("fcntl", fd, command, os.getpid()) for fd in _every_descriptor() for command in commands])


@attack(164, "Use every ioctl of terminals, sockets, files, namespaces and block devices", FILTER)
def use_every_ioctl(context: Any) -> Any:
    plain = [*range(0x5400, 0x5480), *range(0x8900, 0x8A00), *range(0x1200, 0x1280), *range(0xB700, 0xB710), 1, 2]
    sized = [
        direction << 30 | size << 16 | kind << 8 | number
        for direction in (1, 2, 3)
        for size in (4, 8, 24)
        for kind in (0x66, 0x94, 0x58, 0x15, 0xAA, 0xAE)
        for number in range(16)
    ]
    area = ctypes.create_string_buffer(4096)
    asked = [request for request in [*plain, *sized] if request not in IOCTL]
    return calls(*[("ioctl", fd, request, area) for fd in _every_descriptor() for request in asked])


@attack(165, "Get and set every option of a socket: peers, filters, marks, priorities", FILTER)
def use_every_option(context: Any) -> Any:
    pair = socket.socketpair()
    gained = []
    for end in (channel_fd(), pair[0].fileno()):
        with socket.socket(fileno=os.dup(end)) as sock:
            for level in (0, socket.SOL_SOCKET, 6, 17, 41, 270, 279):
                read = [one for one in range(90) if (level, one) not in {(1, known) for known in GET_OPTIONS}]
                written = [one for one in range(90) if (level, one) not in {(1, known) for known in SET_OPTIONS}]
                gained += tried(read, lambda option: sock.getsockopt(level, option, 64))  # noqa: B023
                gained += tried(written, lambda option: sock.setsockopt(level, option, 1))  # noqa: B023
    return gained


@attack(166, "Make a thread that is not quite one: every flag of clone the other way round", FILTER)
def use_every_clone_flag(context: Any) -> Any:
    flags = [THREAD ^ 1 << bit for bit in range(32) if 1 << bit != DETACHED]
    return tried(flags, lambda flag: call("clone", ctypes.c_ulong(flag), 0, 0, 0, 0))


@attack(167, "Give every advice about memory and files, and every flag of reading, writing and renaming", FILTER)
def use_every_advice(context: Any) -> Any:
    area = mmap.mmap(-1, 1 << 16)
    place = ctypes.addressof(ctypes.c_char.from_buffer(area))
    shared = os.open(os.__file__, os.O_RDONLY)
    block = ctypes.create_string_buffer(16)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(block), 16)
    advice = [one for one in [*range(40), 100, 101] if one not in ADVICE]
    return calls(
        *[("madvise", ctypes.c_void_p(place), 1 << 16, one) for one in advice],
        *[("fadvise64", shared, 0, 0, one) for one in (4, *range(6, 20))],
        *[("preadv2", shared, vector, 1, 0, 0, 1 << bit) for bit in range(8)],
        *[("renameat2", -100, b"file", -100, b"other", flag) for flag in range(3, 16)],
    )


@attack(168, "Map the address zero, the kernel's addresses, and what another has mapped", "the kernel's least address")
def map_strange_places(context: Any) -> Any:
    LIBC.mmap.restype, LIBC.mremap.restype = ctypes.c_void_p, ctypes.c_void_p
    failed = ctypes.c_void_p(-1).value
    gained = []
    for place in (0, 0xFFFF_8000_0000_0000, 0xFFFF_FFFF_8000_0000, 0xFFFF_FFFF_FF60_0000):
        if LIBC.mmap(ctypes.c_void_p(place), ctypes.c_size_t(4096), 7, 0x32, -1, ctypes.c_long(0)) != failed:
            gained.append(f"mmap {place:#x}")
        if LIBC.mremap(ctypes.c_void_p(place), ctypes.c_size_t(0), ctypes.c_size_t(4096), 1) != failed:
            gained.append(f"mremap {place:#x}")
        if LIBC.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(4096), 7) == 0:
            gained.append(f"mprotect {place:#x}")
    return gained


@attack(
    169, "Have the kernel write at its own addresses: answers, signal stacks, lists that a thread leaves", "the kernel"
)
def point_at_the_kernel(context: Any) -> Any:
    there = ctypes.c_void_p(0xFFFF_8000_0000_0000)
    read, write = os.pipe()
    os.write(write, b"x" * 4096)
    gained = []
    for name, ways in {
        "read": lambda: LIBC.read(read, there, ctypes.c_size_t(4096)),
        "getrandom": lambda: LIBC.getrandom(there, ctypes.c_size_t(64), 0),
        "uname": lambda: LIBC.uname(there),
        "clock_gettime": lambda: LIBC.syscall(228 if X86 else 113, 1, there),
        "getcwd": lambda: -1 if LIBC.syscall(79 if X86 else 17, there, ctypes.c_size_t(4096)) < 0 else 0,
    }.items():
        if ways() >= 0:
            gained.append(name)

    def leave() -> None:
        # On its end the kernel would clear a word, and take locks from a list, where these say.
        LIBC.syscall(218 if X86 else 96, there)
        LIBC.syscall(273 if X86 else 99, there, ctypes.c_size_t(24))

    thread = threading.Thread(target=leave)
    thread.start()
    # The C library waits for that word, which nobody clears any more: so does whoever joins.
    thread.join(0.2)
    return gained


@attack(170, "Make files without names in shared directories, and open shared files in every way", "read-only files")
def open_in_every_way(context: Any) -> Any:
    folder = os.path.dirname(os.__file__)
    there = [f"{folder}/made", f"{folder}/__pycache__/made", "/made", "/dev/made", "/usr/made", "/tmp/../made"]
    gained = tried([folder, "/", "/usr", "/dev"], lambda path: os.open(path, os.O_TMPFILE | os.O_RDWR, 0o600))
    gained += tried(there, lambda path: os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    ways = [os.O_WRONLY, os.O_RDWR, os.O_APPEND | os.O_WRONLY, os.O_TRUNC, os.O_TRUNC | os.O_WRONLY, 3]
    return gained + tried(ways, lambda flags: os.open(os.__file__, flags))


@attack(171, "Change oneself through /proc: memory, maps, names, out-of-memory score, security labels", "Landlock")
def write_to_proc(context: Any) -> Any:
    names = ["mem", "maps", "map_files", "pagemap", "clear_refs", "oom_score_adj", "oom_adj", "coredump_filter", "comm"]
    names += ["uid_map", "gid_map", "setgroups", "attr/current", "attr/exec", "loginuid", "timerslack_ns", "sched"]
    names += ["autogroup", "make-it-fail", "fdinfo/0", "environ", "auxv"]
    paths = [f"/proc/{who}/{name}" for who in ("self", "thread-self", str(os.getpid())) for name in names]
    paths += [f"/proc/sys/kernel/{name}" for name in ("core_pattern", "modprobe", "ns_last_pid", "sysrq")]
    gained = tried(paths, lambda path: os.open(path, os.O_WRONLY)) + tried(
        paths, lambda path: os.open(path, os.O_RDONLY)
    )
    for kind in ("user", "mnt", "net", "pid_for_children"):
        try:
            fd = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
        except OSError:
            continue
        # One's own can be opened at some levels: nothing can be done with it.
        gained += calls(("setns", fd, 0), *[("ioctl", fd, request, 0) for request in range(0xB701, 0xB70B)])
    return gained


@attack(172, "Tell by the way of refusing which processes there are", "system-call filter: all are refused alike")
def ask_for_processes(context: Any) -> Any:
    there, nowhere = [os.getppid(), 1, 2], [4_190_000, 4_190_001]
    me = os.getpid()
    asked: dict[str, Any] = {
        "kill": lambda pid: call("kill", pid, 0),
        "tgkill": lambda pid: call("tgkill", pid, pid, 0),
        "getsid": os.getsid,
        "getpgid": os.getpgid,
        "priority": lambda pid: os.getpriority(os.PRIO_PROCESS, pid),
        "group": lambda pid: os.getpriority(os.PRIO_PGRP, pid),
        "scheduler": os.sched_getscheduler,
        "limits": lambda pid: call("prlimit64", pid, 7, 0, bytes(16)),
        "pidfd": lambda pid: call("pidfd_open", pid, 0),
        "ioprio": lambda pid: call("process_mrelease", pid, 0),
    }
    gained = []
    for name, ask in asked.items():
        answers = {_answer(ask, pid) for pid in [*there, *nowhere] if pid not in (0, me)}
        if answers != {errno.EPERM}:
            gained.append(f"{name}: {answers}")
    return gained


def _answer(ask: Any, pid: int) -> int:
    try:
        ask(pid)
    except OSError as error:
        return error.errno or 0
    return 0


@attack(
    173,
    "Catch the signal of a forbidden call and go on",
    "the filter kills the process, whatever handles the signal",
    ends=("WorkerLost",),
)
def catch_the_filter(context: Any) -> Any:
    if not X86:
        os.abort()
    signal.signal(signal.SIGSYS, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGSYS})
    LIBC.syscall(ctypes.c_long(0x4000_0000 | 39))
    return "alive"


@attack(174, "Lease files that all workers share, and be told of changes", FILTER)
def lease_shared_files(context: Any) -> Any:
    fd = os.open(os.__file__, os.O_RDONLY)
    asked = [(fcntl.F_SETLEASE, fcntl.F_RDLCK), (fcntl.F_SETLEASE, fcntl.F_WRLCK), (fcntl.F_NOTIFY, 0x3F)]
    return tried(asked, lambda one: fcntl.fcntl(fd, *one))
