"""Attacks by system calls: what a worker has no business with."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
from typing import Any

from tests.attacks.toolbox import LIBC, X86, attack, calls, tried

FILTER = "system-call filter"
STRICT_FILTER = "system-call filter; at strict, namespaces of its own"


@attack(20, "Make every system call that the filter does not name", FILTER)
def sweep_all_calls(context: Any) -> Any:
    from hybrid_runtime.classical import seccomp, syscalls
    from hybrid_runtime.classical.seccomp_tables import NUMBERS

    named = {NUMBERS[syscalls.machine()].get(name) for name in seccomp.named_calls()}
    # x86-64: these two are let past every filter by the kernel itself, and act only where it has set a probe.
    probes = {335, 336} if X86 else set()
    gained = []
    for number in range(600):
        if number in named | probes:
            continue
        ctypes.set_errno(0)
        result = LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6)
        if result != -1 or ctypes.get_errno() != errno.EPERM:
            gained.append(f"{number}: {result} {errno.errorcode.get(ctypes.get_errno())}")
    return gained


@attack(21, "Trace another process, or oneself", FILTER)
def trace(context: Any) -> Any:
    return calls(("ptrace", 0, 0, 0, 0), ("ptrace", 16, 1, 0, 0), ("ptrace", 0x4206, os.getppid(), 0, 0))


@attack(22, "Read and write memory of other processes", FILTER)
def read_memory_of_others(context: Any) -> Any:
    gained = calls(
        ("process_vm_readv", 1, bytes(16), 1, bytes(16), 1, 0),
        ("process_vm_writev", os.getppid(), bytes(16), 1, bytes(16), 1, 0),
        ("process_madvise", 3, bytes(16), 1, 4, 0),
        ("process_mrelease", 3, 0),
        ("kcmp", 1, os.getpid(), 0, 0, 0),
        ("get_robust_list", 1, bytes(8), bytes(8)),
        ("move_pages", os.getppid(), 0, 0, 0, 0, 0),
        ("migrate_pages", os.getppid(), 0, 0, 0),
    )
    return gained + tried(["/proc/1/mem", f"/proc/{os.getppid()}/mem", "/proc/self/mem"], lambda p: os.open(p, 2))


@attack(23, "Take descriptors from other processes", FILTER)
def steal_descriptors(context: Any) -> Any:
    return calls(("pidfd_open", 1, 0), ("pidfd_open", os.getppid(), 0), ("pidfd_getfd", 3, 0, 0))


@attack(24, "Open TCP, UDP, raw, netlink, packet and vsock sockets", STRICT_FILTER)
def open_sockets(context: Any) -> Any:
    kinds = [(2, 1), (2, 2), (10, 1), (10, 2), (2, 3), (16, 3), (17, 3), (40, 1), (38, 5), (31, 3), (44, 3), (15, 3)]
    return tried(kinds, lambda kind: socket.socket(*kind))


@attack(25, "Reach Unix sockets by path and by abstract name", STRICT_FILTER)
def open_unix_sockets(context: Any) -> Any:
    def reach(address: str | bytes) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(address)

    return tried(["/run/dbus/system_bus_socket", "/var/run/docker.sock", b"\0hidden", "/dev/log"], reach)


@attack(26, "Give one's end of a socket pair an address, or connect it elsewhere", FILTER)
def rename_socket_pairs(context: Any) -> Any:
    ours, theirs = socket.socketpair()
    attempts = {
        "bind": lambda: ours.bind(b"\0meet-me"),
        "connect": lambda: theirs.connect(b"\0meet-me"),
        "listen": lambda: ours.listen(),
        "datagrams": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        "peer": lambda: ours.getsockopt(socket.SOL_SOCKET, 17, 12),
        "buffers": lambda: ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30),
    }
    return tried(attempts, lambda name: attempts[name]())


@attack(27, "Resolve names and fetch from the network as libraries do", STRICT_FILTER)
def use_network_libraries(context: Any) -> Any:
    def fetch(host: str) -> Any:
        return socket.create_connection((host, 80), 1)

    return tried(["127.0.0.1", "localhost", "169.254.169.254", "example.org", "::1"], fetch)


@attack(28, "Unshare and enter namespaces", FILTER)
def change_namespaces(context: Any) -> Any:
    kinds = [0x10000000, 0x20000000, 0x40000000, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x80]
    attempts: list[Any] = [("unshare", kind) for kind in kinds]
    return calls(*attempts, ("setns", 0, 0), ("setns", 3, 0x40000000))


@attack(29, "Mount and unmount, the old way and the new", FILTER)
def mount_things(context: Any) -> Any:
    here = os.getcwd().encode()
    return calls(
        ("mount", b"tmpfs", here, b"tmpfs", 0, 0),
        ("mount", b"/", here, b"", 4096, 0),
        ("mount", b"", b"/", b"", 0x20 | 0x1000, 0),
        ("umount2", b"/", 2),
        ("umount2", here, 2),
        ("open_tree", -100, b"/", 1),
        ("move_mount", -100, b"/", -100, here, 0),
        ("fsopen", b"tmpfs", 0),
        ("fsmount", 3, 0, 0),
        ("fspick", -100, b"/", 0),
        ("mount_setattr", -100, b"/", 0x8000, bytes(32), 32),
        ("statmount", bytes(24), bytes(512), 512, 0),
        ("listmount", bytes(24), bytes(512), 64, 0),
    )


@attack(30, "Use io_uring, which makes calls that no filter sees", FILTER)
def use_io_uring(context: Any) -> Any:
    parameters = ctypes.create_string_buffer(120)
    return calls(
        ("io_uring_setup", 8, parameters), ("io_uring_enter", 3, 1, 0, 0, 0), ("io_uring_register", 3, 0, 0, 0)
    )


@attack(31, "Load BPF programs and watch performance counters", FILTER)
def use_bpf_and_perf(context: Any) -> Any:
    return calls(
        ("bpf", 0, bytes(120), 120), ("bpf", 5, bytes(120), 120), ("perf_event_open", bytes(112), 0, -1, -1, 0)
    )


@attack(32, "Read and fill the kernel's key rings", FILTER)
def use_key_rings(context: Any) -> Any:
    return calls(
        ("keyctl", 0, -3, 0),
        ("keyctl", 1, 0),
        ("keyctl", 11, -4, 0, 0),
        ("add_key", b"user", b"x", b"y", 1, -4),
        ("request_key", b"user", b"x", 0, 0),
    )


@attack(33, "Handle page faults in user space, to win races in the kernel", FILTER)
def use_userfaultfd(context: Any) -> Any:
    return calls(("userfaultfd", 0), ("userfaultfd", 1)) + tried(["/dev/userfaultfd"], lambda path: os.open(path, 2))


@attack(34, "Run code from memory files", FILTER)
def use_memory_files(context: Any) -> Any:
    return calls(
        ("memfd_create", b"x", 0), ("memfd_create", b"x", 3), ("memfd_secret", 0), ("execveat", 3, b"", 0, 0, 0x1000)
    )


@attack(35, "Use System V and POSIX shared memory, semaphores and queues", FILTER)
def use_shared_ipc(context: Any) -> Any:
    gained = calls(
        ("shmget", 0, 4096, 0o1666), ("semget", 0, 1, 0o1666), ("msgget", 0, 0o1666), ("mq_open", b"x", 0o102, 0o666, 0)
    )
    try:
        from multiprocessing import shared_memory

        gained.append(shared_memory.SharedMemory(create=True, size=4096).name)
    except (OSError, RuntimeError):
        pass
    return gained


@attack(36, "Set clocks and the host's name", STRICT_FILTER)
def set_clocks_and_names(context: Any) -> Any:
    return calls(
        ("clock_settime", 0, bytes(16)),
        ("settimeofday", bytes(16), 0),
        ("adjtimex", ctypes.create_string_buffer(b"\1", 208)),
        ("clock_adjtime", 0, ctypes.create_string_buffer(b"\1", 208)),
        ("sethostname", b"owned", 5),
        ("setdomainname", b"owned", 5),
    )


@attack(37, "Take other processors, a better priority or real-time scheduling", FILTER)
def change_scheduling(context: Any) -> Any:
    return calls(
        ("sched_setaffinity", 0, 8, b"\1" + bytes(7)),
        ("sched_setscheduler", 0, 1, b"\1\0\0\0"),
        ("sched_setparam", 0, b"\0\0\0\0"),
        ("sched_setattr", 0, bytes(48), 0),
        ("setpriority", 0, 0, -20),
        ("setpriority", 2, 0, 19),
        ("ioprio_set", 1, 0, 1 << 13),
        ("set_mempolicy", 0, 0, 0),
        ("mbind", 0, 0, 0, 0, 0, 0),
    )


@attack(38, "Become another user, or gain capabilities", "no-new-privileges, locked securebits; system-call filter")
def change_user(context: Any) -> Any:
    full = (0x20080522).to_bytes(4, "little") + bytes(4)
    return calls(
        ("setuid", 0),
        ("setgid", 0),
        ("setresuid", 0, 0, 0),
        ("setresgid", 0, 0, 0),
        ("setgroups", 1, bytes(4)),
        ("capset", full, b"\xff" * 24),
    )


@attack(39, "Loosen one's own limits", "hard limits; system-call filter")
def raise_limits(context: Any) -> Any:
    import resource

    kinds = [resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE]
    gained = tried(kinds, lambda kind: resource.setrlimit(kind, (-1, -1)))
    gained += tried(kinds, lambda kind: resource.setrlimit(kind, (1, resource.getrlimit(kind)[1])))
    return gained + calls(("setrlimit", 9, b"\xff" * 16), ("prlimit64", os.getppid(), 9, b"\xff" * 16, 0))


@attack(40, "Undo the filter: prctl, a second filter, tracing by it", FILTER)
def undo_the_filter(context: Any) -> Any:
    return calls(
        ("seccomp", 0, 0, 0),
        ("seccomp", 1, 8, bytes(16)),
        ("prctl", 22, 0, 0, 0, 0),  # PR_SET_SECCOMP
        ("prctl", 4, 1, 0, 0, 0),  # PR_SET_DUMPABLE
        ("prctl", 1, 0, 0, 0, 0),  # PR_SET_PDEATHSIG
        ("prctl", 28, 0, 0, 0, 0),  # PR_SET_SECUREBITS
        ("prctl", 36, 1, 0, 0, 0),  # PR_SET_CHILD_SUBREAPER
        ("prctl", 35, 0, 0, 0, 0),  # PR_SET_MM
        ("prctl", 53, 0, 0, 0, 0),  # PR_SET_SPECULATION_CTRL
        ("prctl", 0x59616D61, -1, 0, 0, 0),  # PR_SET_PTRACER
        ("landlock_create_ruleset", 0, 0, 1),
        ("personality", 0x0040000),  # ADDR_NO_RANDOMIZE
    )


@attack(
    41,
    "Make 32-bit calls (int 0x80), whose numbers mean other things",
    "the filter kills the process",
    ends=("WorkerLost",),
)
def call_as_32_bit(context: Any) -> Any:
    # mov eax, 20 (getpid); int 0x80; ret
    return _run_code(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3") if X86 else os.abort()


@attack(42, "Make x32 calls, which have other numbers", "the filter kills the process", ends=("WorkerLost",))
def call_as_x32(context: Any) -> Any:
    return LIBC.syscall(ctypes.c_long(0x40000000 | 39)) if X86 else os.abort()


def _run_code(code: bytes) -> Any:
    area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    area.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()


@attack(43, "Control the machine: reboot, modules, swap, kernel log, ports", FILTER)
def control_the_machine(context: Any) -> Any:
    # Harmless where they were allowed: wrong magic numbers, no modules, no such files.
    return calls(
        ("reboot", 0, 0, 0, 0),
        ("kexec_load", 0, 0, 0, 0),
        ("init_module", 0, 0, b""),
        ("finit_module", 3, b"", 0),
        ("delete_module", b"no-such-module", 0),
        ("swapon", b"/no-such-file", 0),
        ("swapoff", b"/no-such-file"),
        ("acct", b"/no-such-file"),
        ("quotactl", 0, 0, 0, 0),
        ("syslog", 3, bytes(64), 64),
        ("syslog", 10, 0, 0),
        ("vhangup",),
        ("iopl", 3),
        ("ioperm", 0x70, 1, 1),
        ("modify_ldt", 1, bytes(16), 16),
        ("lookup_dcookie", 0, bytes(8), 8),
    )


@attack(44, "Watch files and signals of others", FILTER)
def watch_others(context: Any) -> Any:
    return calls(
        ("inotify_init1", 0),
        ("fanotify_init", 0, 0),
        ("signalfd4", -1, bytes(8), 8, 0),
        ("timer_create", 1, 0, bytes(8)),
        ("timerfd_create", 1, 0),
    )


@attack(45, "Move pages between pipes and files without copying them", FILTER)
def splice_pages(context: Any) -> Any:
    read, write = os.pipe()
    fd = os.open(os.__file__, os.O_RDONLY)
    return calls(("splice", fd, 0, write, 0, 1, 0), ("tee", read, write, 1, 0), ("vmsplice", write, bytes(16), 1, 0))


@attack(46, "Pin memory, merge pages with other tenants', use huge pages", "system-call filter; RLIMIT_MEMLOCK")
def pin_and_merge(context: Any) -> Any:
    area = mmap.mmap(-1, 1 << 16)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    gained = calls(
        ("mlockall", 3), ("mlock2", address, 4096, 0), ("madvise", address, 4096, 12), ("madvise", address, 4096, 100)
    )
    return gained + tried([0x40000 | 0x22], lambda flags: mmap.mmap(-1, 2 << 20, flags=flags))


@attack(47, "Type into a terminal, or take one over", "system-call filter; no terminal; a session of its own")
def inject_terminal_input(context: Any) -> Any:
    requests = [0x5412, 0x540E, 0x541C, 0x5422, 0x8933, 0x5413 ^ 0xFFFF, 0x8004667E & 0xFFFF, 0x401870CB]
    gained = calls(*[("ioctl", fd, request, b"x") for fd in (0, 1, 2) for request in requests])
    return gained + tried(["/dev/tty", "/dev/console"], lambda path: os.open(path, os.O_RDWR))


@attack(48, "Leave the session or the process group to survive the job", FILTER)
def leave_the_session(context: Any) -> Any:
    return calls(("setsid",), ("setpgid", 0, 0))


@attack(49, "Resolve paths in other ways (openat2), read attributes", "system-call filter; Landlock")
def resolve_otherwise(context: Any) -> Any:
    return calls(
        ("openat2", -100, b"/etc/passwd", bytes(24), 24),
        ("getxattr", b"/", b"security.capability", bytes(64), 64),
        ("fchmodat2", -100, b".", 0o777, 0),
    )


@attack(50, "Send signals with forged senders", FILTER)
def forge_signals(context: Any) -> Any:
    other = 2 if os.getpid() == 1 else 1
    return calls(
        ("rt_sigqueueinfo", other, 10, bytes(128)),
        ("rt_tgsigqueueinfo", other, other, 10, bytes(128)),
        ("tkill", other, 10),
        ("pidfd_send_signal", 3, 9, 0, 0),
    )
