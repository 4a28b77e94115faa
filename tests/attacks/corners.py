"""Attacks by what a worker may do: calls that are allowed, used in ways that nobody had in mind."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.attacks.toolbox import LIBC, attack, call, calls, channel_fd, say, send, tried

KILLED = ("AlgorithmTimeout", "WorkerLost")
SHORT = {"think_s": 0.6, "finalize_s": 0.3}
BELL = "version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\nCNOT q[0], q[1]\nb = measure q"
DECODED = "every message is decoded into a declared type with size limits"
SO_PEEK_OFF, SO_BUSY_POLL = 42, 46
OWN_FILES = "every worker opens its own"


@attack(125, "Leave marks at the standard descriptors for later workers", OWN_FILES)
def leave_marks(context: Any) -> Any:
    return _marks()


@attack(126, "Find such marks of an earlier worker", OWN_FILES)
def find_marks(context: Any) -> Any:
    return _marks()


def _marks() -> list[str]:
    found = []
    for fd in (0, 1, 2, channel_fd()):
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        if flags & os.O_APPEND:
            found.append(f"{fd}: {flags:#o}")
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_APPEND)
    return found


@attack(127, "Queue signals until the user has none left", "RLIMIT_SIGPENDING")
def queue_signals(context: Any) -> Any:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
    for _ in range(10_000):
        call("kill", os.getpid(), int(signal.SIGRTMIN))
    count = 0
    while signal.sigtimedwait({signal.SIGRTMIN}, 0) is not None:
        count += 1
    return count if count > 1000 else None


@attack(128, "Watch descriptors by epolls within epolls without end", "RLIMIT_NOFILE")
def nest_epolls(context: Any) -> Any:
    read, _ = os.pipe()
    made: list[select.epoll] = []
    watches = 0
    try:
        while watches < 1_000_000:
            one = select.epoll()
            for other in [read, *(each.fileno() for each in made)]:
                one.register(other, 1)
                watches += 1
            made.append(one)
    except OSError:
        pass
    return watches if watches > 100_000 else None


@attack(129, "Fill pipes and socket pairs, whose memory no limit on addresses counts", "RLIMIT_NOFILE")
def fill_kernel_buffers(context: Any) -> Any:
    total = 0
    held: list[Any] = []
    try:
        while total < 1 << 30:
            pair = socket.socketpair()
            held.append(pair)
            for end in pair:
                end.setblocking(False)
                try:
                    while True:
                        total += end.send(bytes(1 << 16))
                except BlockingIOError:
                    continue
    except OSError:
        pass
    return total if total > 128 << 20 else None


@attack(
    130,
    "Stay in the kernel: copy from /dev/zero for ever",
    "SIGKILL from outside after the think limit, which ends long copies too",
    ends=KILLED,
    limits=SHORT,
)
def stay_in_the_kernel(context: Any) -> Any:
    zero = os.open("/dev/zero", os.O_RDONLY)
    area = mmap.mmap(-1, 1 << 30)
    view = ctypes.addressof(ctypes.c_char.from_buffer(area))
    while True:
        LIBC.read(zero, ctypes.c_void_p(view), ctypes.c_size_t(1 << 30))


@attack(
    131,
    "Interrupt oneself a million times a second",
    "a session of its own, which the scheduler treats as one; SIGKILL from outside after the think limit",
    ends=KILLED,
    limits=SHORT,
)
def storm_of_timers(context: Any) -> Any:
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)
    while True:
        try:
            signal.pause()
        except BaseException:  # noqa: BLE001 - the stop is to be ignored
            continue


@attack(
    132,
    "Swallow every stop and go on asking for circuits",
    "SIGKILL after the time to finalize; steps are numbered",
    ends=("AlgorithmTimeout", "WorkerLost", "ProtocolError", "refused"),
    limits={"wall_s": 0.3, "finalize_s": 0.3},
    steps=200,
)
def swallow_stops(context: Any) -> Any:
    from hybrid_runtime import Circuit

    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        try:
            context._stop = None
            context.run(Circuit(BELL, shots=1))
        except BaseException:  # noqa: BLE001 - what it is about
            continue
    return "twenty seconds"


@attack(
    133,
    "Say that one is finalizing, and never end",
    "SIGKILL after the time to finalize",
    ends=KILLED,
    limits=SHORT,
)
def finalize_for_ever(context: Any) -> Any:
    say("finalizing")
    while True:
        try:
            time.sleep(1000)
        except BaseException:  # noqa: BLE001 - the stop is to be ignored
            continue


@attack(134, "Ask for the recorded steps of a job that has none", DECODED, ends=("ProtocolError",))
def ask_for_a_replay(context: Any) -> Any:
    say("more", 0)
    context.run(_circuit())


@attack(135, "Claim that a replay diverged", "it is the tenant's own job that fails", ends=("ReplayDiverged",))
def claim_divergence(context: Any) -> Any:
    say("diverged", 1, b"", b"")
    context.run(_circuit())


@attack(
    136,
    "Send a hundred thousand messages of one byte each",
    "the first that is malformed ends the job",
    ends=("ProtocolError", "WorkerLost"),
)
def send_tiny_messages(context: Any) -> Any:
    for _ in range(100_000):
        send(b"\x90")
    context.run(_circuit())


@attack(
    137,
    "Say nothing a hundred thousand times: notes without entries",
    "one message of each job in turn",
    ends=("refused", "ProtocolError"),
    limits={"think_s": 20.0},
    steps=1200,
)
def send_empty_notes(context: Any) -> Any:
    for _ in range(100_000):
        say("note", [], [])


@attack(
    138,
    "Report metrics under names of a megabyte, of controls, of nothing",
    "names are checked by the dispatcher",
    steps=100,
)
def strange_metric_names(context: Any) -> Any:
    for _ in range(20):
        say("note", [["m" * (1 << 20), 1.0], ["\x1b[2J", 1.0], ["", 1.0], ["\u202e", 1.0]], [])


@attack(
    139,
    "Ask for results that fill the quantum runtime: a million shots of twenty qubits, fifty times",
    "limits on the shots of a step and on the size of its results",
    ends=("refused", "CircuitRejected", "AlgorithmTimeout", "WorkerLost", "ProtocolError"),
    limits={"wall_s": 20.0, "finalize_s": 0.5},
    steps=800,
)
def ask_for_huge_results(context: Any) -> Any:
    from hybrid_runtime import Circuit

    text = "version 3.0\nqubit[18] q\nbit[18] b\nH q\nb = measure q"
    context.run([Circuit(text, shots=1_000_000)] * 50)


@attack(
    140,
    "Fail with an exception whose text, cause and traceback never end",
    "errors are cut; SIGKILL from outside after the think limit",
    ends=("Endless", "AlgorithmTimeout", "WorkerLost", "RecursionError", "refused", "MemoryError"),
    limits={"think_s": 3.0, "finalize_s": 0.3},
    steps=300,
)
def raise_endlessly(context: Any) -> Any:
    class Endless(Exception):
        def __str__(self) -> str:
            return "x" * (64 << 20)

    error: BaseException = Endless()
    for _ in range(20_000):
        outer = Endless()
        outer.__cause__ = error
        error = outer
    raise error


@attack(
    141,
    "Fail in a file whose name moves the cursor of whoever reads it",
    "errors are cut, cleaned and re-labelled",
    ends=("NameError",),
)
def strange_file_name(context: Any) -> Any:
    exec(compile("owned", "\x1b]0;owned\x07\n\x9b2J", "exec"), {})


@attack(
    142,
    "Send urgent data, and to an address",
    "system-call filter; a socket without such data",
    ends=("refused", "ProtocolError"),
)
def send_out_of_band(context: Any) -> Any:
    fd = channel_fd()
    address = b"\x01\x00\x00owned"
    gained = []
    for name, flags, to in (("MSG_OOB", 1, None), ("MSG_OOB to an address", 1, address)):
        if LIBC.sendto(fd, b"x", ctypes.c_size_t(1), flags | 0x4000, to, len(to) if to else 0) > 0:
            gained.append(name)
    with socket.socket(fileno=os.dup(fd)) as sock:
        gained += tried([socket.SO_PASSCRED, SO_PEEK_OFF], lambda o: sock.setsockopt(socket.SOL_SOCKET, o, 1))
        gained += tried([socket.SO_PEERCRED], lambda o: sock.getsockopt(socket.SOL_SOCKET, o, 12))
    return gained


@attack(143, "Lower the dispatcher's speed by a channel that blocks and stops", "the dispatcher never waits for one")
def reconfigure_the_channel(context: Any) -> Any:
    with socket.socket(fileno=os.dup(channel_fd())) as sock:
        sock.setblocking(False)
        sock.settimeout(0.001)
        gained = tried(
            [socket.SO_SNDBUF, socket.SO_RCVBUF, socket.SO_PRIORITY, socket.SO_LINGER, SO_BUSY_POLL],
            lambda option: sock.setsockopt(socket.SOL_SOCKET, option, 1 << 20),
        )
        sock.setblocking(True)
    return gained


@attack(
    144,
    "Look at other processes through links in /proc that no file is opened for",
    "a pid namespace of its own; Landlock, which forbids to trace",
)
def follow_proc_links(context: Any) -> Any:
    names = ("exe", "cwd", "root", "fd/0", "fd/3", "ns/net", "ns/user", "map_files")
    others = {1, *range(max(2, os.getppid() - 30), os.getppid() + 100)} - {os.getpid()}
    paths = [f"/proc/{pid}/{name}" for pid in others for name in names]
    return tried(paths, os.readlink)


@attack(145, "Open without opening: descriptors of paths only, then use them", "Landlock; system-call filter")
def open_paths_only(context: Any) -> Any:
    gained = []
    for path in ("/", "/etc", "/etc/passwd", "/proc", "/root", "/dev"):
        try:
            fd = os.open(path, os.O_PATH)
        except OSError:
            continue
        gained += tried([f"/proc/self/fd/{fd}", f"/dev/fd/{fd}"], lambda way: os.open(way, os.O_RDONLY))
        gained += calls(("openat2", fd, b"", bytes(24), 24), ("execveat", fd, b"", 0, 0, 0x1000))
        if stat.S_ISREG(os.fstat(fd).st_mode):
            gained += tried([fd], lambda one: os.read(one, 1))
            gained += tried([fd], lambda one: mmap.mmap(one, 1, prot=mmap.PROT_READ))
        os.close(fd)
    return gained


@attack(146, "Write to packages through memory: shared and private maps, and changes of protection", "read-only files")
def write_through_maps(context: Any) -> Any:
    fd = os.open(os.__file__, os.O_RDONLY)
    gained = tried([mmap.PROT_READ | mmap.PROT_WRITE], lambda how: mmap.mmap(fd, 4096, mmap.MAP_SHARED, how))
    area = mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
    LIBC.mmap.restype = ctypes.c_void_p
    place = LIBC.mmap(None, ctypes.c_size_t(4096), 1, 1, fd, ctypes.c_long(0))
    if LIBC.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(4096), 3) == 0:
        gained.append("mprotect")
    area.close()
    return gained


@attack(147, "Copy into packages within the kernel: sendfile, copy_file_range, fallocate", "read-only files")
def copy_into_packages(context: Any) -> Any:
    Path("source").write_text("owned")
    source = os.open("source", os.O_RDWR)
    target = os.open(os.__file__, os.O_RDONLY)
    ways: dict[str, Callable[[], Any]] = {
        "sendfile": lambda: os.sendfile(target, source, 0, 5),
        "copy_file_range": lambda: os.copy_file_range(source, target, 5),
        "ftruncate": lambda: os.ftruncate(target, 0),
        "pwrite": lambda: os.pwrite(target, b"owned", 0),
        "fallocate": lambda: os.posix_fallocate(target, 0, 1 << 20),
    }
    return tried(ways, lambda name: ways[name]())


@attack(148, "Swap a file of one's own with one of the packages", "read-only mounts; Landlock")
def swap_with_packages(context: Any) -> Any:
    Path("mine.py").write_text("owned")
    there = os.__file__.encode()
    return calls(*[("renameat2", -100, b"mine.py", -100, there, flag) for flag in (0, 1, 2)]) + tried(
        [os.__file__], lambda path: os.rename("mine.py", path)
    )


@attack(149, "Raise every limit, and lower it to nothing for others", "hard limits; system-call filter")
def raise_every_limit(context: Any) -> Any:
    gained = []
    for kind in range(16):
        gained += calls(("prlimit64", 0, kind, bytes([255] * 16), 0), ("setrlimit", kind, bytes([255] * 16)))
        gained += calls(("prlimit64", os.getppid() or 1, kind, bytes(16), 0))
    return gained


@attack(150, "Use every option of prctl but the two that name a thread", "system-call filter")
def use_prctl(context: Any) -> Any:
    options = [option for option in [*range(1, 80), 0x53564D41, 0x59616D61, 0x41555856] if option not in (15, 16)]
    return calls(*[("prctl", option, 1, 0, 0, 0) for option in options])


@attack(151, "Lock pages in memory: by map, by populate, by call", "RLIMIT_MEMLOCK; system-call filter")
def lock_pages(context: Any) -> Any:
    gained = tried([0x2000], lambda flag: mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | flag))
    return gained + calls(("mlockall", 1), ("mlockall", 4), ("mlock2", 0x10000, 4096, 1), ("memfd_secret", 0))


@attack(152, "Take huge pages that the host shares", "system-call filter")
def take_huge_pages(context: Any) -> Any:
    return tried([0x40000], lambda flag: mmap.mmap(-1, 2 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | flag))


@attack(153, "Stack Landlock domains and filters until the kernel has none", "system-call filter")
def stack_domains(context: Any) -> Any:
    return calls(
        ("landlock_create_ruleset", bytes(8), 8, 0),
        ("landlock_create_ruleset", 0, 0, 1),
        ("seccomp", 1, 0, bytes(16)),
        ("seccomp", 0, 0, 0),
        ("seccomp", 2, 0, bytes(4)),
        ("prctl", 22, 2, bytes(16), 0, 0),
    )


@attack(
    154,
    "Start threads that each raise, print and end, by the thousand",
    "RLIMIT_NPROC; output is kept up to a bound",
    limits={"think_s": 20.0},
    steps=300,
)
def churn_threads(context: Any) -> Any:
    def fall() -> None:
        raise ValueError("\x1b[2J" * 100)

    for _ in range(2000):
        try:
            thread = threading.Thread(target=fall)
            thread.start()
            thread.join()
        except RuntimeError:
            continue


@attack(
    155,
    "Fork past the C library, and share memory with the child",
    "system-call filter",
)
def fork_by_number(context: Any) -> Any:
    flags = (0x11, 0x4111, 0x100 | 17, 0x20000011, 0x8000 | 17, 0x80000000 | 17, 0x200 | 0x800 | 0x100 | 17)
    return calls(*[("clone", flag, 0, 0, 0, 0) for flag in flags], ("clone3", bytes(88), 88), ("vfork",), ("fork",))


@attack(
    156,
    "Compute side by side by every means of the standard library that starts a process",
    "system-call filter, with a message that says what to do instead",
)
def start_pools(context: Any) -> Any:
    import concurrent.futures
    import multiprocessing
    import subprocess

    ways: dict[str, Callable[[], Any]] = {
        "ProcessPoolExecutor": lambda: concurrent.futures.ProcessPoolExecutor(1).submit(int).result(),
        "Manager": multiprocessing.Manager,
        "Pool": lambda: multiprocessing.Pool(1),
        "spawn": lambda: multiprocessing.get_context("spawn").Process(target=int).start(),
        "forkserver": lambda: multiprocessing.get_context("forkserver").Process(target=int).start(),
        "check_output": lambda: subprocess.check_output(["true"]),
        "popen": lambda: os.popen("true").read(),
        "shell": lambda: subprocess.run("true", shell=True, check=True),
    }
    gained = []
    for name, way in ways.items():
        try:
            way()
        except RuntimeError as error:
            if "use threads" not in str(error):
                gained.append(f"{name} says nothing of use: {error}")
        except OSError as error:
            gained.append(f"{name} says nothing of use: {error}")
        else:
            gained.append(name)
    return gained


@attack(
    157,
    "Change what modules do that the worker uses when the job is over",
    "nothing in the worker is trusted",
    ends=("refused", "WorkerLost", "ProtocolError", "ResultNotEncodable", "AlgorithmTimeout"),
    limits=SHORT,
)
def poison_modules(context: Any) -> Any:
    import msgspec

    from hybrid_runtime import values
    from hybrid_runtime.classical import worker
    from hybrid_runtime.protocol import messages

    for module in (msgspec, values, worker, messages, sys.modules["os"]):
        for name in list(vars(module)):
            if not name.startswith("__") and callable(getattr(module, name)):
                setattr(module, name, lambda *_, **__: b"\xc1" * 100)


@attack(158, "Read another worker's part of the channel: peek, wait for all, errors", "each has its own channel")
def peek_at_the_channel(context: Any) -> Any:
    gained = []
    with socket.socket(fileno=os.dup(channel_fd())) as sock:
        for flags in (2, 2 | 0x40, 0x2000, 0x100):
            try:
                data = sock.recv(1 << 16, flags | 0x40)
            except OSError:
                continue
            gained.append(f"{flags}: {data[:20]!r}")
    return gained


@attack(159, "Make time itself flow otherwise: timers, time namespaces, adjtime", "system-call filter")
def change_time(context: Any) -> Any:
    return calls(
        ("unshare", 0x80),
        ("adjtimex", bytes(208)),
        ("clock_adjtime", 0, bytes(208)),
        ("timer_create", 0, 0, bytes(8)),
        ("timerfd_create", 0, 0),
        ("settimeofday", bytes(16), 0),
    )


@attack(160, "Use sockets of every family and kind", "system-call filter; at strict, namespaces of its own")
def use_every_family(context: Any) -> Any:
    families = [("socket", family, kind, 0) for family in range(46) for kind in (1, 2, 3, 5)]
    pairs = [("socketpair", family, kind, 0, bytes(8)) for family in range(46) for kind in (2, 3, 5)]
    return calls(*families, *pairs)


@attack(
    161,
    "Fill the disk with files that have no name any more",
    "a tmpfs of limited size; at landlock, the fork server looks at what is open and kills",
    ends=("refused", "WorkerLost"),
)
def hold_nameless_files(context: Any) -> Any:
    held = []
    for _ in range(4):
        held.append(os.open("file", os.O_CREAT | os.O_RDWR))
        os.unlink("file")
        for _ in range(100):
            os.write(held[-1], b"x" * (1 << 20))
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        time.sleep(0.1)
    return len(held)


@attack(
    162,
    "Hide files in directories that cannot be listed, and far down",
    "a tmpfs of limited inodes; at landlock, the fork server opens them, and does not accept great depth",
    ends=("refused", "WorkerLost"),
)
def hide_files(context: Any) -> Any:
    for _ in range(100):
        os.mkdir("d", 0o300)
        os.chdir("d")
    for number in range(6000):
        os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY))
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        time.sleep(0.1)
    return 6000


def _circuit() -> Any:
    from hybrid_runtime import Circuit

    return Circuit(BELL, shots=16)
