"""What a worker can and cannot do, tried from inside real sandboxes."""

from __future__ import annotations

import os
import platform
import select
import shutil
import signal
from pathlib import Path

import pytest

from hybrid_runtime.classical.roots import DEVICES, readable_roots
from hybrid_runtime.classical.syscalls import CAP_DAC_READ_SEARCH

on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="a way of calling that only x86-64 has")

MB = 1 << 20
PATIENCE_S = 10.0


# ------------------------------------------------------------------ what must work


def test_preloaded_and_lazily_imported_packages_work(host, level):
    program = """
        import json, numpy, scipy.optimize
        assert "scipy.stats" not in __import__("sys").modules
        import scipy.stats, sqlite3, zoneinfo
        best = scipy.optimize.minimize(lambda x: (x[0] - 3) ** 2, [0.0], method="COBYLA")
        print(json.dumps([round(float(best.x[0]), 3), float(scipy.stats.norm.cdf(0)), numpy.eye(3).sum()]))
    """
    assert host.confine(level, program, "--preload", "numpy", "--preload", "scipy.optimize").value == [3.0, 0.5, 3.0]


def test_the_scratch_directory_is_the_working_directory_and_writable(host, level):
    program = """
        import json, os, shutil, tempfile
        assert os.getcwd() == scratch
        os.makedirs("a/b")
        with open("a/b/file", "w") as file:
            file.write("text" * 1000)
        os.rename("a/b/file", "file")
        shutil.copyfile("file", "copy")
        with open("copy", "r+") as file:
            file.truncate(4)
        with tempfile.TemporaryDirectory(dir=scratch) as folder, tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
        os.remove("file")
        shutil.rmtree("a")
        print(json.dumps([os.listdir(), open("copy").read()]))
    """
    assert host.confine(level, program).value == [["copy"], "text"]


def test_threads_pipes_polls_timers_and_signals_to_oneself_work(host, level):
    program = """
        import asyncio, json, os, queue, select, signal, threading
        done = queue.Queue()
        threads = [threading.Thread(target=done.put, args=(n,)) for n in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        seen = []
        signal.signal(signal.SIGUSR1, lambda *_: seen.append("usr1"))
        signal.signal(signal.SIGALRM, lambda *_: seen.append("alarm"))
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        signal.pause()
        read, write = os.pipe()
        os.write(write, b"x")
        assert select.select([read], [], [], 5)[0] == [read]
        seen.append(asyncio.run(asyncio.sleep(0, "asyncio")))
        print(json.dumps([done.qsize(), seen]))
    """
    assert host.confine(level, program).value == [4, ["usr1", "alarm", "asyncio"]]


def test_a_crash_is_told_through_a_kept_descriptor(host, level):
    ended = host.confine(level, "import ctypes\nctypes.string_at(8)")
    assert ended.status == 128 + signal.SIGSEGV
    assert "Segmentation fault" in ended.err
    assert 'File "program", line 2' in ended.err


# ------------------------------------------------------------------ what the process is


def status_of(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


NO_CAPABILITY = "0" * 16
READS_PAST_PERMISSIONS = f"{CAP_DAC_READ_SEARCH:016x}"


def test_a_worker_has_no_power_and_gains_none(host, level):
    with host.waiting_worker(level) as pid:
        status = status_of(pid)
    assert status["Seccomp"] == ["2"]
    assert status["NoNewPrivs"] == ["1"]
    assert "0" not in status["Uid"] + status["Gid"]
    # Where the interpreter lies in root's own folder, root's workers at level landlock must still read it.
    spared = READS_PAST_PERMISSIONS if level == "landlock" and not host.changes else NO_CAPABILITY
    assert {*status["CapEff"], *status["CapPrm"]} <= {NO_CAPABILITY, spared}
    assert {*status["CapInh"], *status["CapAmb"]} == {NO_CAPABILITY}
    if level == "strict" or not host.changes:
        assert status["CapBnd"] == [NO_CAPABILITY]


def test_a_strict_worker_has_every_namespace_to_itself_and_is_pid_1_there(host):
    with host.waiting_worker("strict") as pid:
        server = int(status_of(pid)["PPid"][0])
        kinds = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
        for other in ("self", server):
            shared = [k for k in kinds if os.readlink(f"/proc/{pid}/ns/{k}") == os.readlink(f"/proc/{other}/ns/{k}")]
            assert shared == []
        assert status_of(pid)["NSpid"][-1] == "1"


def test_a_worker_dies_with_its_fork_server(host, level):
    with host.waiting_worker(level) as pid:
        worker = os.pidfd_open(pid)
        base = Path(os.readlink(f"/proc/{pid}/cwd")).parent
        os.kill(int(status_of(pid)["PPid"][0]), signal.SIGKILL)
        ended, _, _ = select.select([worker], [], [], PATIENCE_S)
        os.close(worker)
    assert ended == [worker]
    if level == "landlock":
        shutil.rmtree(base)


# ------------------------------------------------------------------ what must fail


def test_files_of_the_host_cannot_be_read_or_listed(host, level, tmp_path):
    program = f"""
        import json, os
        paths = ["/etc/passwd", "/etc/shadow", "/etc", "/proc/self/status", "/proc/1/environ", "/proc", "/sys/kernel",
                 "/var", "/dev/shm", "/dev/mem", "/dev/kmsg", "/dev", {str(tmp_path)!r}]
        opened = []
        for path in paths:
            try:
                os.close(os.open(path, os.O_RDONLY))
            except OSError:
                continue
            opened.append(path)
        print(json.dumps(opened))
    """
    # A strict worker's /etc and /dev are directories of its own.
    assert host.confine(level, program).value == (["/etc", "/dev"] if level == "strict" else [])


def test_a_strict_workers_root_directory_shows_the_way_to_the_readable_roots_only(host):
    program = """
        import json, os
        print(json.dumps({folder: os.listdir(folder) for folder in %r}))
    """
    paths = [*readable_roots(), *DEVICES, "/scratch", "/tmp"]
    shown: dict[str, set[str]] = {}
    for path in paths:
        for parent in Path(path).parents:
            shown.setdefault(str(parent), set()).add(Path(path).relative_to(parent).parts[0])
    found = host.confine("strict", program % list(shown)).value
    assert {folder: set(names) for folder, names in found.items()} == shown


def test_nothing_but_the_scratch_directory_can_be_written(host, level):
    program = """
        import json, os, sysconfig, numpy
        written = []
        folders = ["/", "/usr", "/dev", "/etc", "/scratch/..", "/var/tmp", scratch + "/.."]
        for folder in [*folders, sysconfig.get_path("stdlib"), numpy.__path__[0]]:
            try:
                open(os.path.join(folder, "new"), "w")
                written.append(folder)
            except OSError:
                pass
        try:
            open(numpy.__file__, "a")
            written.append(numpy.__file__)
        except OSError:
            pass
        print(json.dumps(written))
    """
    assert host.confine(level, program).value == []


REFUSED = [
    "os.fork()",
    "os.execv(sys.executable, ['x'])",
    "subprocess.run(['true'])",
    "multiprocessing.get_context('fork').Process(target=print).start()",
    "socket.socket()",
    "socket.socket(socket.AF_UNIX)",
    "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "os.kill(os.getppid() or 2, 0)",
    "os.kill(-1, 0)",
    "os.setpriority(os.PRIO_PROCESS, 0, 5)",
    "os.sched_setaffinity(0, {0})",
    "os.setuid(0)",
    "os.chroot('.')",
    "os.mkfifo('fifo')",
    "os.symlink('/etc/passwd', 'link')",
    "os.link('a', 'b')",
    "os.memfd_create('x')",
    "time.clock_settime(time.CLOCK_REALTIME, 0)",
    "os.setxattr('.', 'user.x', b'y')",
    "os.pidfd_open(os.getpid())",
    "fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, 1 << 20)",
    "fcntl.ioctl(0, termios.TIOCSTI, b'x')",
    "socket.sethostname('x')",
]


def test_what_reaches_beyond_the_worker_is_refused(host, level):
    program = f"""
        import fcntl, json, multiprocessing, os, resource, socket, subprocess, sys, termios, time
        open("a", "w").close()
        found = {{}}
        for attempt in {REFUSED!r}:
            try:
                exec(attempt)
            except Exception as error:
                found[attempt] = type(error).__name__
        print(json.dumps(found))
    """
    assert host.confine(level, program).value == dict.fromkeys(REFUSED, "PermissionError")


def test_limits_can_neither_be_raised_nor_read_of_others(host, level):
    program = """
        import json, os, resource
        found = []
        for who, new in ((0, (9, 9)), (os.getpid(), (9, 9)), (os.getppid() or 2, None)):
            try:
                resource.prlimit(who, resource.RLIMIT_NOFILE, *([new] if new else []))
                found.append("done")
            except (ValueError, OSError) as error:
                found.append("refused")
        found.append(resource.getrlimit(resource.RLIMIT_NOFILE))
        print(json.dumps(found))
    """
    assert host.confine(level, program, open_files=50).value == ["refused", "refused", "refused", [50, 50]]


def test_file_modes_and_times_can_be_changed_only_where_nothing_else_is_in_reach(nobody):
    program = """
        import os, sys
        open("a", "w").close()
        os.chmod("a", 0o600)
        os.utime("a")
    """
    assert nobody.confine("strict", program).status == 0
    assert "PermissionError" in nobody.confine("landlock", program).err


@on_x86
@pytest.mark.parametrize(
    "call",
    [
        # getpid by number 20 of the 32-bit table: mov eax, 20; int 0x80; ret
        "run(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')",
        # getpid with the x32 bit: mov eax, 0x40000027; syscall; ret
        "run(b'\\xb8\\x27\\x00\\x00\\x40\\x0f\\x05\\xc3')",
    ],
    ids=["int 0x80", "x32"],
)
def test_a_foreign_system_call_kills_the_worker(nobody, level, call):
    program = f"""
        import ctypes, mmap
        def run(code):
            memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            memory.write(code)
            return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
        assert run(b'\\xb8\\x27\\x00\\x00\\x00\\x0f\\x05\\xc3') == __import__("os").getpid()
        print("a native call works", flush=True)
        {call}
    """
    ended = nobody.confine(level, program)
    assert ended.out == "a native call works\n"
    assert ended.status == 128 + signal.SIGSYS


def test_only_the_kept_descriptors_are_open(host, level):
    program = """
        import json, os
        found = []
        for fd in range(1024):
            try:
                os.fstat(fd)
                found.append(fd)
            except OSError:
                pass
        print(json.dumps(found))
    """
    assert host.confine(level, program).value == [0, 1, 2]


# ------------------------------------------------------------------ limits


def test_memory_beyond_the_limit_is_a_memory_error(host, level):
    program = """
        import json, mmap
        kept = bytearray(100 << 20)
        found = []
        for attempt in (lambda: bytearray(200 << 20), lambda: mmap.mmap(-1, 200 << 20)):
            try:
                attempt()
            except (MemoryError, OSError) as error:
                found.append(type(error).__name__)
        print(json.dumps(found))
    """
    assert host.confine(level, program, memory_bytes=200 * MB).value == ["MemoryError", "OSError"]


STARTS_THREADS = """
    import json, threading
    end = threading.Event()
    started = []
    try:
        for _ in range(50):
            thread = threading.Thread(target=end.wait)
            thread.start()
            started.append(thread)
    except RuntimeError:
        pass
    end.set()
    [thread.join() for thread in started]
    print(json.dumps(len(started)))
"""


def test_threads_stop_at_the_limit(host):
    assert host.confine("strict", STARTS_THREADS, threads=7).value == 7


def test_threads_stop_at_the_limit_where_each_worker_is_a_user(host_with, as_root):
    # Those of an unprivileged user at level landlock are counted together with all else that the user runs.
    assert host_with().confine("landlock", STARTS_THREADS, threads=7).value == 7


def test_descriptors_stop_at_the_limit(nobody, level):
    program = """
        import json, os
        count = 0
        try:
            while True:
                os.dup(0)
                count += 1
        except OSError:
            print(json.dumps(count))
    """
    assert nobody.confine(level, program, open_files=20).value == 17


def test_scratch_space_and_files_are_limited_at_level_strict(host):
    program = """
        import errno, json, os
        found = []
        try:
            for number in range(5):
                with open(f"part{number}", "wb", buffering=0) as file:
                    file.write(bytes(1 << 20))
                    assert os.fstat(file.fileno()).st_size == 1 << 20
        except (OSError, AssertionError):
            found.append(number)
        for name in os.listdir():
            os.remove(name)
        try:
            for number in range(100):
                open(f"file{number}", "w").close()
        except OSError as error:
            found.append(errno.errorcode[error.errno])
        print(json.dumps(found))
    """
    assert host.confine("strict", program, scratch_bytes=3 * MB, scratch_inodes=20).value == [3, "ENOSPC"]


def test_a_single_file_is_limited_at_every_level(nobody, level):
    program = """
        import errno, json, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            with open("big", "wb") as file:
                file.truncate(2 << 20)
        except OSError as error:
            print(json.dumps(errno.errorcode[error.errno]))
    """
    assert nobody.confine(level, program, scratch_bytes=MB).value == "EFBIG"


# ------------------------------------------------------------------ what stays behind


def test_many_workers_leave_no_mount_file_or_descriptor(host, level):
    mounts = Path("/proc/self/mountinfo").read_text()
    program = """
        import os
        open("left", "w").close()
        os.makedirs("left behind/deep")
    """
    # The fork server itself fails when its scratch directory is not empty, or it holds more descriptors, at the end.
    assert host.confine(level, program, "--workers", "20") == (0, "", "")
    assert Path("/proc/self/mountinfo").read_text() == mounts


def test_a_level_without_isolation_still_limits(nobody):
    program = """
        import json, os
        try:
            bytearray(300 << 20)
        except MemoryError:
            print(json.dumps([os.path.exists("/etc/passwd"), os.getcwd() == scratch]))
    """
    assert nobody.confine("process", program, memory_bytes=200 * MB).value == [True, True]
