"""The worker's system-call policy on both processors, and the filter in the running kernel."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import re
import signal
import socket
import termios
from pathlib import Path

import pytest

from hybrid_runtime.classical import seccomp
from hybrid_runtime.classical.bpf import ALLOW, KILL_PROCESS, Program, refuse
from hybrid_runtime.classical.seccomp_tables import ARCHITECTURES, NUMBERS, X32_BIT

REFUSED = refuse(errno.EPERM)
PID = 4321
MACHINES = sorted(NUMBERS)

# What is not in the tables, by number: (x86-64, aarch64).
DANGEROUS = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept4": (288, 242),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "setuid": (105, 146),
    "setgroups": (116, 159),
    "capset": (126, 91),
    "setpriority": (141, 140),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sethostname": (170, 161),
    "clock_settime": (227, 112),
    "settimeofday": (164, 170),
    "adjtimex": (159, 171),
    "personality": (135, 92),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "quotactl": (179, 60),
    "mknodat": (259, 33),
    "symlinkat": (266, 36),
    "linkat": (265, 37),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "mlockall": (151, 230),
    "mbind": (237, 235),
    "membarrier": (324, 283),
    "kcmp": (312, 272),
    "seccomp": (317, 277),
    "landlock_create_ruleset": (444, 444),
    "splice": (275, 76),
    "vmsplice": (278, 75),
    "sync": (162, 81),
    "acct": (163, 89),
    "lookup_dcookie": (212, 18),
    "arch_prctl": (158, None),
    "modify_ldt": (154, None),
    "ioperm": (173, None),
    "iopl": (172, None),
}


@pytest.fixture(params=MACHINES)
def machine(request):
    return request.param


@pytest.fixture
def decide(machine, verdict):
    """The verdict on a call by name, for the process with pid PID."""

    def decide(name, *arguments, private_root=False):
        program = Program(seccomp.program(private_root=private_root, machine=machine).for_pid(PID), ())
        number = NUMBERS[machine].get(name)
        if number is None:
            number = DANGEROUS[name][MACHINES.index("x86_64") - MACHINES.index(machine)]
        return verdict(program, ARCHITECTURES[machine], number, *arguments)

    return decide


@pytest.mark.parametrize("private_root", [False, True])
def test_dangerous_calls_are_refused(machine, verdict, private_root):
    program = Program(seccomp.program(private_root=private_root, machine=machine).for_pid(PID), ())
    column = 0 if machine == "x86_64" else 1
    numbers = {name: pair[column] for name, pair in DANGEROUS.items() if pair[column] is not None}
    wrong = [name for name, number in numbers.items() if verdict(program, ARCHITECTURES[machine], number) != REFUSED]
    assert wrong == []


def test_calls_beyond_the_tables_are_refused(machine, verdict):
    program = seccomp.program(private_root=True, machine=machine)
    known = set(NUMBERS[machine].values())
    for number in set(range(2000)) - known:
        assert verdict(program, ARCHITECTURES[machine], number) == REFUSED


@pytest.mark.parametrize(
    "name", ["read", "write", "sendto", "recvfrom", "futex", "clock_gettime", "munmap", "exit_group"]
)
def test_calls_of_the_hot_path_are_allowed_whatever_their_arguments(decide, name):
    # So the kernel can remember the verdict and skip the filter.
    assert decide(name) == ALLOW
    assert decide(name, *[0xFFFFFFFFFFFFFFFF] * 6) == ALLOW


GLIBC_THREAD = 0x3D0F00
MUSL_THREAD = 0x7D0F00


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (GLIBC_THREAD, ALLOW),
        (MUSL_THREAD, ALLOW),
        (signal.SIGCHLD, REFUSED),  # fork
        (0x4100 | signal.SIGCHLD, REFUSED),  # vfork
        (GLIBC_THREAD | 0x10000000, REFUSED),  # CLONE_NEWUSER
        (GLIBC_THREAD | 0x20000000, REFUSED),  # CLONE_NEWPID
        (GLIBC_THREAD | 0x00002000, REFUSED),  # CLONE_PTRACE
        (GLIBC_THREAD | 0x00001000, REFUSED),  # CLONE_PIDFD
        (GLIBC_THREAD & ~0x100, REFUSED),  # not sharing memory
        (GLIBC_THREAD & ~0x10000, REFUSED),  # not a thread
    ],
)
def test_clone_makes_threads_only(decide, flags, wanted):
    assert decide("clone", flags) == wanted


def test_clone3_is_said_not_to_exist_so_that_the_c_library_falls_back_to_clone(decide):
    assert decide("clone3") == refuse(errno.ENOSYS)


@pytest.mark.parametrize("name", ["kill", "tgkill"])
def test_signals_reach_the_process_itself_only(decide, name):
    assert decide(name, PID, signal.SIGTERM) == ALLOW
    for pid in (0, -1, 1, PID + 1, -PID):
        assert decide(name, pid & 0xFFFFFFFFFFFFFFFF, signal.SIGTERM) == REFUSED


def test_limits_can_be_read_of_oneself_but_not_set(decide):
    assert decide("prlimit64", 0, 7, 0, 0x1000) == ALLOW
    assert decide("prlimit64", PID, 7, 0, 0x1000) == ALLOW
    assert decide("prlimit64", 1, 7, 0, 0x1000) == REFUSED
    assert decide("prlimit64", 0, 7, 0x7FFF00000000, 0x1000) == REFUSED


def test_no_option_but_the_threads_name_can_be_set(decide):
    assert [option for option in range(100) if decide("prctl", option) == ALLOW] == [15, 16]


def test_devices_are_asked_but_not_told(decide):
    assert decide("ioctl", 0, termios.TCGETS) == ALLOW
    for request in (termios.TIOCSTI, termios.TIOCLINUX, termios.TCSETS, 0x80047476, 0xAE00, 0x9409):
        assert decide("ioctl", 0, request) == REFUSED


def test_descriptors_cannot_signal_lease_or_watch(decide):
    assert decide("fcntl", 0, fcntl.F_GETFL) == ALLOW
    for command in (fcntl.F_SETOWN, fcntl.F_SETLEASE, fcntl.F_NOTIFY, fcntl.F_SETPIPE_SZ, fcntl.F_ADD_SEALS):
        assert decide("fcntl", 0, command) == REFUSED


def test_a_socket_pair_is_of_streams_which_can_be_given_no_address(decide):
    stream = socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    assert decide("socketpair", socket.AF_UNIX, stream) == ALLOW
    assert decide("socketpair", socket.AF_UNIX, socket.SOCK_DGRAM) == REFUSED
    assert decide("socketpair", socket.AF_UNIX, socket.SOCK_SEQPACKET) == REFUSED
    assert decide("socketpair", socket.AF_INET, stream) == REFUSED


def test_a_sockets_peer_cannot_be_had_as_a_process(decide):
    peer_pidfd = 77
    assert decide("getsockopt", 3, socket.SOL_SOCKET, socket.SO_ERROR) == ALLOW
    assert decide("getsockopt", 3, socket.SOL_SOCKET, peer_pidfd) == REFUSED
    assert decide("setsockopt", 3, socket.SOL_SOCKET, socket.SO_RCVTIMEO) == ALLOW
    assert decide("setsockopt", 3, socket.SOL_SOCKET, socket.SO_SNDBUF) == REFUSED
    assert decide("setsockopt", 3, socket.IPPROTO_TCP, socket.SO_RCVTIMEO) == REFUSED


def test_a_file_open_for_reading_cannot_be_truncated_on_the_way(decide):
    assert decide("openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC) == ALLOW
    assert decide("openat", 0, 0, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) == ALLOW
    assert decide("openat", 0, 0, os.O_RDWR | os.O_TRUNC) == ALLOW
    assert decide("openat", 0, 0, os.O_RDONLY | os.O_TRUNC) == REFUSED


@pytest.mark.parametrize("name", ["fchmod", "fchmodat", "utimensat", "truncate"])
def test_files_are_changed_by_name_only_in_a_private_root(decide, name):
    assert decide(name, private_root=False) == REFUSED
    assert decide(name, private_root=True) == ALLOW


def test_memory_is_taken_from_no_shared_pool_and_merged_with_nobodys(decide):
    assert decide("mmap", 0, 4096, 3, 0x22) == ALLOW
    assert decide("mmap", 0, 4096, 3, 0x22 | 0x40000) == REFUSED
    assert decide("madvise", 0, 4096, 14) == ALLOW
    assert decide("madvise", 0, 4096, 12) == REFUSED


def test_files_that_all_workers_share_are_neither_locked_nor_thrown_out_of_memory(decide):
    assert decide("flock", 3, fcntl.LOCK_EX) == refuse(errno.ENOSYS)
    assert decide("fadvise64", 3, 0, 0, os.POSIX_FADV_SEQUENTIAL) == ALLOW
    assert decide("fadvise64", 3, 0, 0, os.POSIX_FADV_DONTNEED) == REFUSED


def test_a_rename_leaves_no_device_node_behind(decide):
    whiteout = 4
    assert decide("renameat2", 0, 0, 0, 0, 0) == ALLOW
    assert decide("renameat2", 0, 0, 0, 0, whiteout) == REFUSED


def test_x32_calls_kill(verdict):
    program = seccomp.program(private_root=True, machine="x86_64")
    assert verdict(program, ARCHITECTURES["x86_64"], X32_BIT | 39) == KILL_PROCESS


@pytest.mark.parametrize(
    ("machine", "header"),
    [("x86_64", "x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h")],
)
def test_the_tables_agree_with_the_kernels_headers(machine, header):
    path = Path("/usr/include") / header
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    found = re.findall(r"#define\s+__NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())
    numbers = {name: int(number) for name, number in found}
    # The header that aarch64 shares with others calls two of them by their older names.
    numbers |= {"newfstatat": numbers.get("newfstatat", numbers.get("fstatat", -1))}
    wrong = {
        name: (number, numbers.get(name)) for name, number in NUMBERS[machine].items() if numbers.get(name) != number
    }
    assert wrong == {}


def test_every_call_of_the_policy_has_a_number_somewhere():
    named = set(seccomp.named_calls())
    assert named == set().union(*NUMBERS.values())
    assert set(NUMBERS["aarch64"]) <= set(NUMBERS["x86_64"])


@pytest.mark.skipif(platform.machine() not in NUMBERS, reason="no table for this processor")
def test_the_kernel_takes_the_filter(nobody):
    program = """
        import os
        from hybrid_runtime.classical import seccomp, syscalls
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")
        seccomp.install(seccomp.program(private_root=False).for_pid(os.getpid()))
        os.kill(os.getpid(), 0)
        try:
            os.kill(os.getppid(), 0)
        except PermissionError:
            print("refused")
    """
    assert nobody.python(program) == (0, "refused\n", "")


def test_the_kernel_takes_no_filter_from_a_process_that_could_gain_privileges(nobody):
    program = """
        from hybrid_runtime.classical import seccomp
        seccomp.install(seccomp.program(private_root=False).for_pid(1))
    """
    assert "PermissionError: [Errno 13] seccomp: Permission denied" in nobody.python(program).err
