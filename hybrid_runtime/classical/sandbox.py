"""The sandbox around a worker: prepared once in the fork server, entered by each worker after its fork.

::

    fork server        detach ── fork ─▶ enclose, preload modules         (strict only: the parent just waits)
      for each worker  allot ─── fork ─▶ enter ─▶ runs one job
                       forked            │
                       release ◀─────────┘ when it is gone

What can be done before a worker is wanted is done in `allot`: at level strict the fork server goes to the worker's
namespaces, in which it is then born, and returns in `forked`.

The order of the steps in `enter` matters: each one needs a power that a later one takes away. Namespaces need
capabilities, dropping capabilities needs a capability, Landlock needs an open path, and the system-call filter, the
last, forbids all of these calls.
"""

from __future__ import annotations

import os
import resource
import stat
import sys
import tempfile
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hybrid_runtime.classical import landlock, namespaces, seccomp, syscalls
from hybrid_runtime.classical.cleaning import remove_tree
from hybrid_runtime.classical.roots import DEVICES, closed_folders, readable_roots
from hybrid_runtime.classical.syscalls import CAP_DAC_READ_SEARCH, CAP_SETGID, CAP_SETPCAP, CAP_SETUID, CAP_SYS_ADMIN
from hybrid_runtime.process import die_with_parent

if TYPE_CHECKING:
    from hybrid_runtime.classical.bpf import Program


class Level(StrEnum):
    """How far a worker is kept apart from the host and from other workers, strictest first."""

    STRICT = "strict"
    """Own namespaces, root directory and user; Landlock, system-call filter, limits."""
    LANDLOCK = "landlock"
    """Landlock, system-call filter, limits; where the host has no namespaces to give."""
    PROCESS = "process"
    """A process with limits only: for one's own code."""


class SandboxLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker may use.

    Attributes:
        memory_bytes: Address space beyond that of the preloaded interpreter.
        scratch_bytes: Size of the scratch directory, and of each single file; see `Sandbox.bounds_disk_by_looking`.
        scratch_inodes: Files and directories in the scratch directory.
        threads: Threads beside the main one.
        open_files: Descriptors.
        cpu_s: Seconds of processor time; None is no bound.
    """

    memory_bytes: int = 2 << 30
    scratch_bytes: int = 256 << 20
    scratch_inodes: int = 4096
    threads: int = 16
    open_files: int = 256
    cpu_s: int | None = None


class Seat(NamedTuple):
    """What is set aside for one worker before it is forked."""

    uid: int
    gid: int
    scratch: str


# With these a fork server can give each worker a user of its own.
_USER_POWERS = CAP_SETUID | CAP_SETGID | CAP_SETPCAP
_MOUNT_POWERS = _USER_POWERS | CAP_SYS_ADMIN
# Users for workers, where the fork server may choose: systemd's table of user ids has this range as unused, and
# containers with few ids have the second. Their own user keeps workers from counting in each other's limits.
_WORKER_USERS: Final = (range(2_000_000_000, 2_000_000_000 + (1 << 26)), range(61_184, 65_520))
_USERS_PER_SERVER = 1 << 12
_WORKERS_OF_A_USER = 64
# Not among the standard library's names in all versions; queued real-time signals, which Python has no use for.
_RLIMIT_SIGPENDING = 11
_PENDING_SIGNALS = 64
# Where the host's memory runs out, the kernel ends a worker rather than what runs all of them.
_FIRST_TO_GO = "1000"


class Sandbox:
    """One level with its limits, for the workers of one fork server, which must be single-threaded."""

    def __init__(self, level: Level, limits: SandboxLimits, *, scratch: str, packages: tuple[str, ...] = ()) -> None:
        """Find out what workers need to see.

        Args:
            scratch: Directory of the host below which workers get theirs, at the levels without an own root.
            packages: Directories of the environment besides the interpreter's own, to be readable.

        Raises:
            OSError: on a processor without system-call table, or where one of `packages` is missing.
        """
        self.level = level
        self.limits = limits
        self._base = scratch
        self._roots = readable_roots(packages)
        powers = _MOUNT_POWERS if level is Level.STRICT else _USER_POWERS
        self._privileged = syscalls.effective_capabilities() & powers == powers
        self._users = _worker_users(os.getpid()) if self._privileged and level is not Level.PROCESS else None
        self._highest_capability = syscalls.highest_capability()
        self._proc = namespaces.open_proc()
        self._seats = 0
        self._home: namespaces.Home | None = None
        self._landlock: landlock.Landlock | None = None
        self._filter: Program | None = None
        self._base_bytes = 0
        self._base_tasks = 0
        self._open_to_all = _is_reachable(scratch) and all(map(_is_readable, self._roots))
        self._server = 0

    @property
    def needs_detaching(self) -> bool:
        """Whether the fork server must call `detach` and then fork once, to go on in the child."""
        return self.level is Level.STRICT

    @property
    def bounds_disk_by_looking(self) -> bool:
        """Whether the fork server must see to it that a worker's files keep within the limits (see `quota`)."""
        return self.level is not Level.STRICT

    def detach(self) -> None:
        """Leave the host's users, if unprivileged, and have the next child live in a new pid namespace.

        That child, as its pid 1, is to be the fork server: when it dies, the kernel kills all its workers.
        """
        if not self._privileged:
            namespaces.enter_user_namespace(self._proc, os.getuid(), os.getgid())
        namespaces.new_pid_namespace()

    def enclose(self) -> None:
        """Make this process the fork server: prepare the rules, and at level strict leave the host's files behind.

        Modules imported from then on are found only where workers would find them too.

        Raises:
            OSError: where the kernel refuses what the level needs; the text names the call.
        """
        self._server = os.getpid()
        if self.level is Level.PROCESS:
            return
        rules = [(path, landlock.READ) for path in self._roots]
        if self.level is Level.STRICT:
            namespaces.enclose(self._roots)
            self._home = namespaces.Home(self._proc)
            rules = [("/", landlock.READ)]
        elif self._users is None:
            self._base_tasks = _tasks_of_user(os.getuid())
        else:
            # The workers are other users: they may pass through to their own directory, but not list it.
            os.chmod(self._base, 0o711)
        self._landlock = landlock.Landlock(rules + [(path, landlock.USE_DEVICE) for path in DEVICES])
        self._filter = seccomp.program(private_root=self.level is Level.STRICT)

    def allot(self) -> Seat:
        """Prepare for one worker, which the next fork makes; to be called once all modules are preloaded.

        Raises:
            OSError: where the host has no more to give.
        """
        if not self._base_bytes:
            self._base_bytes = _address_space(self._proc)
        seat = self._new_seat()
        if self._home is not None:
            try:
                self._go_to(seat)
                namespaces.new_pid_namespace()
            except OSError:
                self._home.enter()
                raise
        return seat

    def _new_seat(self) -> Seat:
        uid, gid = os.getuid(), os.getgid()
        if self._users is not None:
            uid = gid = self._users[self._seats % len(self._users)]
            self._seats += 1
        if self.level is Level.STRICT:
            return Seat(uid, gid, namespaces.SCRATCH)
        scratch = tempfile.mkdtemp(prefix="job-", dir=self._base)
        os.chown(scratch, uid, gid)
        return Seat(uid, gid, scratch)

    def _go_to(self, seat: Seat) -> None:
        limits = self.limits
        namespaces.separate()
        namespaces.mount_scratch(seat.uid, seat.gid, size_bytes=limits.scratch_bytes, inodes=limits.scratch_inodes)

    def forked(self) -> None:
        """In the fork server, after each fork or instead of it: leave what is the worker's to it."""
        if self._home is not None:
            self._home.enter()

    def release(self, seat: Seat, *, most: int | None = None) -> bool:
        """Remove what a worker that is gone has left, up to so many files; whether nothing is left."""
        return self.level is Level.STRICT or remove_tree(seat.scratch, most=most)

    def enter(self, seat: Seat, *, keep_fds: set[int]) -> None:
        """In the worker: confine this process for good, with `keep_fds` as its only descriptors.

        Raises:
            OSError: where a step failed; the process is then in no defined state and must end.
        """
        with suppress(OSError):  # a /proc that is read-only, in some containers
            namespaces.write_proc(self._proc, "self/oom_score_adj", _FIRST_TO_GO)
        rules = self._landlock
        syscalls.close_all_but(keep_fds | {self._proc} | (rules.fds if rules else set()))
        if self.level is Level.STRICT:
            self._enter_user_namespace(seat)
        else:
            os.chdir(seat.scratch)
            if self._users is not None:
                syscalls.lock_capabilities(self._highest_capability)
                namespaces.become(seat.uid, seat.gid)
        os.close(self._proc)
        self._limit()
        if rules is None or self._filter is None:
            self._die_with_server()
            return
        syscalls.set_capabilities(self._kept_capabilities())
        self._die_with_server()
        if self.level is Level.STRICT or self._users is not None:
            # Nobody may trace it or read its memory, and /proc shows its files to root only. Where a fork server that
            # is not root must see what its workers have open, Landlock alone keeps them from tracing each other.
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0, "PR_SET_DUMPABLE")
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")
        rules.restrict(seat.scratch)
        rules.close()
        _refresh_openssl()
        seccomp.install(self._filter.for_pid(os.getpid()))

    def rehearse(self, *, keep_fds: set[int]) -> None:
        """Confine this very process, without the forks in between; what follows can only be its end.

        Raises:
            OSError: where the level cannot be had here; the text names the call that failed.
        """
        if self.needs_detaching:
            self.detach()
        self.enclose()
        self._base_bytes = _address_space(self._proc)
        self._server = os.getppid()
        seat = self._new_seat()
        if self.level is Level.STRICT:
            self._go_to(seat)
        self.enter(seat, keep_fds=keep_fds)

    def _enter_user_namespace(self, seat: Seat) -> None:
        if self._users is not None:
            namespaces.become(seat.uid, seat.gid)
            # The change of user made this process's files in /proc root's; the id maps are among them.
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1, "PR_SET_DUMPABLE")
        namespaces.enter_user_namespace(self._proc, seat.uid, seat.gid)
        syscalls.lock_capabilities(self._highest_capability)

    def _kept_capabilities(self) -> int:
        # An interpreter in a directory that only root can enter: the worker's own user could not import from it.
        # Landlock still grants contents below the roots only, but names and sizes elsewhere become visible.
        if self.level is Level.LANDLOCK and self._users is not None and not self._open_to_all:
            return CAP_DAC_READ_SEARCH
        return 0

    def _limit(self) -> None:
        limits = self.limits
        _lower(resource.RLIMIT_AS, self._base_bytes + limits.memory_bytes)
        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_FSIZE, limits.scratch_bytes)
        _lower(resource.RLIMIT_NOFILE, limits.open_files)
        _lower(resource.RLIMIT_MEMLOCK, 0)
        _lower(resource.RLIMIT_MSGQUEUE, 0)
        # The kernel counts those of one user together, and keeps some for each timer: none may be left for others.
        _lower(_RLIMIT_SIGPENDING, _PENDING_SIGNALS)
        if limits.cpu_s is not None:
            _lower(resource.RLIMIT_CPU, limits.cpu_s)
        tasks = 1 + limits.threads
        if self.level is Level.STRICT or self._users is not None:
            _lower(resource.RLIMIT_NPROC, tasks)
        elif self.level is Level.LANDLOCK:
            # The kernel counts all tasks of the user, whatever they belong to: leave room for other workers.
            _lower(resource.RLIMIT_NPROC, self._base_tasks + _WORKERS_OF_A_USER * tasks)

    def _die_with_server(self) -> None:
        # At level strict the death of the fork server, a pid 1, kills its workers anyway.
        if self.level is not Level.STRICT:
            die_with_parent(self._server)

    def __repr__(self) -> str:
        user = "own users" if self._users is not None else f"user {os.getuid()}"
        return f"<Sandbox {self.level} [{user}, {len(self._roots)} roots]>"


def _worker_users(server: int) -> range | None:
    """User ids for the workers of the fork server with this pid; None where the host has none to spare."""
    for users in _WORKER_USERS:
        if _ids_exist(users):
            servers = len(users) // _USERS_PER_SERVER
            first = users.start + server % servers * _USERS_PER_SERVER
            return range(first, first + _USERS_PER_SERVER)
    return None


def _ids_exist(wanted: range) -> bool:
    """Whether the present user namespace has all these user ids."""
    lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    maps = [range(int(line.split()[0]), int(line.split()[0]) + int(line.split()[2])) for line in lines]
    return any(wanted.start in known and wanted[-1] in known for known in maps)


def _is_reachable(path: str) -> bool:
    """Whether any user can come to `path`, by permission bits alone."""
    return not closed_folders([path])


def _is_readable(path: str) -> bool:
    """Whether any user can come to `path` and read it, by permission bits alone."""
    return _is_reachable(path) and bool(os.stat(path).st_mode & stat.S_IROTH)


def _tasks_of_user(uid: int) -> int:
    """How many threads of the user the host runs."""
    count = 0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and folder.stat().st_uid == uid:
                count += sum(1 for _ in (folder / "task").iterdir())
        except OSError:
            continue  # it has ended meanwhile
    return count


def _address_space(proc: int) -> int:
    """Size of this process's address space in bytes."""
    fd = os.open("self/statm", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        return int(os.read(fd, 64).split()[0]) * resource.getpagesize()
    finally:
        os.close(fd)


def _lower(kind: int, value: int) -> None:
    """Set a resource limit, soft and hard, to `value` or to what it is already if that is less."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _refresh_openssl() -> None:
    """Have OpenSSL, where it is loaded, draw other random bytes than in the siblings, whose memory was the same.

    It takes a change of pid for a fork, but fork server and worker may both be pid 1 of their namespace. All other
    generators are seeded by the job.
    """
    ssl = sys.modules.get("ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(32), 0.0)
