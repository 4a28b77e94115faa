"""Attacks on processes and resources: others', the host's, the runtime's."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.attacks.toolbox import LIBC, attack, calls, objects, tried

FILTER = "system-call filter"
KILLED = ("AlgorithmTimeout", "WorkerLost")
SHORT = {"think_s": 0.4, "finalize_s": 0.3}


@attack(51, "Signal, stop and kill other processes: the fork server, the dispatcher, all", FILTER)
def kill_others(context: Any) -> Any:
    pids = [0, -1, os.getppid(), os.getppid() - 1, -os.getpgrp(), 2]
    pids += [pid for pid in (1, os.getpid() - 1, os.getpid() + 1) if pid not in (os.getpid(), 0)]
    return calls(*[("kill", pid, number) for pid in pids for number in (0, signal.SIGSTOP, signal.SIGKILL)])


@attack(52, "Fork, by every call that can", FILTER)
def fork(context: Any) -> Any:
    flags = [0x11, 0x4000 | 0x100 | 0x11, 0x8000 | 0x11, 0x100, 0x10000000 | 0x11, 0x20000000 | 0x11, 0x00010000]
    gained = calls(*[("clone", flag, 0, 0, 0, 0) for flag in flags], ("clone3", bytes(88), 88))
    gained += calls(("fork",), ("vfork",))
    libc_fork = LIBC.fork()
    return gained + ([f"fork {libc_fork}"] if libc_fork >= 0 else [])


@attack(53, "Start programs", FILTER)
def start_programs(context: Any) -> Any:
    import subprocess

    starts = {
        "posix_spawn": lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}),
        "subprocess": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        "exec": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
        "shell": lambda: subprocess.run("true", shell=True, check=True),
    }
    gained = []
    for name, start in starts.items():
        try:
            start()
        except (OSError, RuntimeError):
            continue
        gained.append(name)
    status = LIBC.system(b"true")
    return gained + ([f"system {status}"] if status == 0 else [])


@attack(54, "Compute in several processes (multiprocessing)", FILTER + ", with a message that says what to do instead")
def use_multiprocessing(context: Any) -> Any:
    import concurrent.futures
    import multiprocessing

    gained = []
    told = []
    for start in (
        lambda: multiprocessing.Process(target=print).start(),
        lambda: multiprocessing.Pool(2).map(abs, [1]),
        lambda: concurrent.futures.ProcessPoolExecutor(2).submit(abs, 1).result(),
        lambda: multiprocessing.get_context("spawn").Process(target=print).start(),
    ):
        try:
            start()
        except (OSError, RuntimeError) as error:
            told.append(str(error))
            continue
        gained.append("started")
    if not all("thread" in text for text in told):
        gained.append(f"said nothing useful: {told}")
    return gained


@attack(55, "Start threads without end", "RLIMIT_NPROC; memory of its own")
def thread_bomb(context: Any) -> Any:
    done = threading.Event()
    count = 0
    try:
        while count < 5000:
            threading.Thread(target=done.wait, daemon=True).start()
            count += 1
    except RuntimeError:
        pass
    finally:
        done.set()
    # At level landlock one unprivileged user has all workers: they share a larger number.
    return count if count >= 2000 else None


@attack(56, "Fill the memory", "RLIMIT_AS")
def memory_bomb(context: Any) -> Any:
    held: list[Any] = []
    total = 0
    try:
        while total < 64 << 30:
            held.append(mmap.mmap(-1, 64 << 20))
            total += 64 << 20
    except (OSError, MemoryError):
        pass
    return total if total > 8 << 30 else None


@attack(
    57,
    "Fill the memory with Python objects",
    "RLIMIT_AS: MemoryError in the algorithm",
    ends=("refused", "MemoryError", "WorkerLost"),
    steps=300,
)
def object_bomb(context: Any) -> Any:
    block = b"x" * (32 << 20)
    held = [block]
    for _ in range(12):
        held.append(b"".join(held))
    return "256 GiB"


@attack(58, "Open descriptors without end", "RLIMIT_NOFILE")
def descriptor_bomb(context: Any) -> Any:
    held: list[int] = []
    try:
        while len(held) < 100_000:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    count = len(held)
    for fd in held:
        os.close(fd)
    return count if count > 1000 else None


DISK = "a tmpfs of limited size; at landlock, the fork server looks and kills"


def _hold(seconds: float = 3.0) -> None:
    """Keep what was taken for as long as anybody could overlook it."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.1)


@attack(59, "Fill the scratch directory", DISK, ends=("refused", "WorkerLost"))
def fill_scratch(context: Any) -> Any:
    block = b"x" * (1 << 20)
    total = 0
    for number in range(4):
        with open(f"part{number}", "wb") as file:
            for _ in range(100):
                total += file.write(block)
    _hold()
    return total


@attack(
    60, "Make one huge file, sparse or not", "RLIMIT_FSIZE; a tmpfs of limited size", ends=("refused", "WorkerLost")
)
def huge_file(context: Any) -> Any:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("huge", "wb") as file:
        file.truncate(1 << 40)
    return os.stat("huge").st_size


@attack(61, "Use up inodes with empty files", DISK, ends=("refused", "WorkerLost"))
def inode_bomb(context: Any) -> Any:
    for number in range(6000):
        os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY))
    _hold()
    return 6000


@attack(62, "Find secrets in the environment", "an environment of constants")
def read_environment(context: Any) -> Any:
    import re

    ours = {"LANG", "LC_ALL", "TZ", "PATH", "PYTHONHASHSEED", "TMPDIR", "HOME"}
    return [
        f"{name}={value}"
        for name, value in os.environ.items()
        if name not in ours and not re.match(r".*_NUM_THREADS$", name)
    ]


@attack(
    63,
    "Find secrets in inherited memory: the stack's start, objects, earlier tenants'",
    "the fork server never holds any",
)
def search_memory(context: Any) -> Any:
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    text = b""
    address = ctypes.cast(environ, ctypes.c_void_p).value or 0
    del address
    try:
        # Where the kernel put arguments and environment of the fork server, at the top of the stack.
        start = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45])
        text = ctypes.string_at(start, 4096)
    except OSError:
        pass
    held = [one for one in gc.get_objects() if isinstance(one, dict)]
    strings = [value for one in held for value in list(one.values()) if isinstance(value, str) and len(value) < 200]
    # Put together here, so that this source itself is not what is found.
    mark = "ATTACK" + "-CANARY"
    return [value for value in [*strings, text.decode("latin1")] if re.search(f"{mark}=|TENANT" + "-SECRET", value)]


@attack(64, "Read what an earlier worker left in recycled memory", "the kernel clears pages")
def read_recycled_memory(context: Any) -> Any:
    area = mmap.mmap(-1, 64 << 20)
    return area[:].find(b"TENANT" + b"-SECRET") >= 0 or None


@attack(65, "Crash in compiled code", "a process of its own", ends=("WorkerLost",))
def crash(context: Any) -> Any:
    return ctypes.string_at(0)


@attack(66, "Exit at once without an answer", "the dispatcher sees the end of the process", ends=("WorkerLost",))
def exit_silently(context: Any) -> Any:
    os._exit(0)


@attack(67, "Abort", "a process of its own", ends=("WorkerLost",))
def abort(context: Any) -> Any:
    os.abort()


@attack(
    68,
    "Overflow the stack, in Python and in C",
    "recursion limit; a process of its own",
    ends=("refused", "RecursionError", "WorkerLost"),
)
def overflow_stack(context: Any) -> Any:
    sys.setrecursionlimit(1 << 30)

    def down(n: int) -> int:
        return eval("down(n + 1)", {"down": down, "n": n})

    return down(0)


@attack(69, "Ignore every signal and spin", "SIGKILL from outside after the think limit", ends=KILLED, limits=SHORT)
def spin(context: Any) -> Any:
    for number in range(1, 65):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                continue
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True:
        pass


@attack(
    70,
    "Hold the interpreter lock in C for ever",
    "SIGKILL from outside after the think limit",
    ends=KILLED,
    limits=SHORT,
)
def hold_the_lock(context: Any) -> Any:
    ctypes.PyDLL(None).pause()
    while True:
        ctypes.PyDLL(None).sleep(1000)


@attack(
    71,
    "Match a regular expression that takes for ever",
    "SIGKILL from outside after the think limit",
    ends=KILLED,
    limits=SHORT,
)
def match_for_ever(context: Any) -> Any:
    return re.match(r"(a+)+$", "a" * 64 + "b")


@attack(
    72,
    "Sleep for ever, swallowing every exception",
    "SIGKILL from outside after the think limit",
    ends=KILLED,
    limits=SHORT,
)
def sleep_for_ever(context: Any) -> Any:
    while True:
        try:
            time.sleep(1000)
        except BaseException:  # noqa: BLE001 - what it is about
            continue


@attack(
    73,
    "Stop oneself (SIGSTOP)",
    "SIGKILL from outside, which ends stopped processes too",
    ends=("refused", *KILLED),
    limits=SHORT,
)
def stop_oneself(context: Any) -> Any:
    os.kill(os.getpid(), signal.SIGSTOP)


@attack(74, "Go on in a thread, a destructor or an atexit handler after the job", "SIGKILL at the job's end")
def outlive_the_job(context: Any) -> Any:
    import atexit

    class Stays:
        def __del__(self) -> None:
            while True:
                pass

    sys.modules["stays"] = Stays()  # type: ignore[assignment]
    atexit.register(lambda: time.sleep(1000))
    threading.Thread(target=time.sleep, args=(1000,), daemon=False).start()


@attack(
    75,
    "Take all processor time with every thread allowed",
    "a session of its own, which the scheduler treats as one; limits on threads",
    steps=150,
)
def burn_processors(context: Any) -> Any:
    end = time.monotonic() + 0.3
    libc = ctypes.CDLL(None)

    def burn() -> None:
        while time.monotonic() < end:
            libc.memset(ctypes.create_string_buffer(1 << 16), 0, 1 << 16)

    threads = [threading.Thread(target=burn) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@attack(
    76,
    "See other processes: their number, names, users",
    "a pid namespace of its own; Landlock",
    open_at={
        "landlock": "the pids of others show in /proc to stat, without names or contents; the parent's pid is known"
    },
)
def see_processes(context: Any) -> Any:
    gained = [f"parent {os.getppid()}"] if os.getppid() else []
    return gained + tried(["/proc/1", "/proc/2", f"/proc/{os.getppid()}"], lambda path: os.stat(path).st_uid)


@attack(
    77,
    "Learn about the host: load, memory, kernel, name",
    "a host name of its own",
    open_at={
        "strict": "sysinfo and uname tell load, memory and kernel version of the host",
        "landlock": "sysinfo and uname tell load, memory, kernel version and the host's name",
    },
)
def learn_about_the_host(context: Any) -> Any:
    buffer = ctypes.create_string_buffer(512)
    return ["sysinfo"] if ctypes.CDLL(None).sysinfo(buffer) == 0 else []


@attack(
    78,
    "Read clocks to time what others do",
    "nothing: every computation needs a clock",
    open_at={"strict": "timing channels are not closed", "landlock": "timing channels are not closed"},
)
def read_clocks(context: Any) -> Any:
    return f"{time.perf_counter_ns() - time.perf_counter_ns()} ns"


@attack(79, "Reach the runtime's own objects and use them", "what they can do is what the process can do")
def use_our_objects(context: Any) -> Any:
    gained = []
    for name in ("Sandbox", "ForkServer", "Landlock", "Seat"):
        for one in objects(name):
            for member in ("detach", "enclose", "allot", "_spawn", "close", "forked"):
                function = getattr(one, member, None)
                if function is None:
                    continue
                try:
                    function() if member != "_spawn" else function(1)
                except Exception:  # noqa: BLE001 - any failure is what is wanted
                    continue
                if member in ("detach", "enclose"):
                    gained.append(f"{name}.{member}")
    return gained
