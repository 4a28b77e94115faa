"""Namespaces: a world of its own for each worker, in which other processes, files and networks do not exist.

The fork server first goes into a small world itself (`enter_user_namespace`, `enclose`): a root directory on a
tmpfs that shows the interpreter and its packages, read-only, and nothing else. What costs time is so done once.
Between two workers it goes to namespaces for the next one (`separate`, `new_pid_namespace`), has that worker be born
there, and returns home.

A process that unshares its pid namespace stays where it is; its next child becomes pid 1 of the new one. To return,
a fork server needs CAP_SYS_ADMIN over the namespaces that it returns to: so an unprivileged one lives in namespaces
made by itself, that of its pid included.
"""

from __future__ import annotations

import os
import socket
from typing import Final

from hybrid_runtime.classical import syscalls
from hybrid_runtime.classical.roots import DEVICES, is_below
from hybrid_runtime.classical.syscalls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
)

SCRATCH: Final = "/scratch"
"""Where a worker in its own root directory may write."""

_HOST_NAME = "worker"
_SEPARATE = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP
# Namespaces that a fork server leaves for a moment, by their names in /proc/PID/ns.
_LEFT: Final = {
    "mnt": CLONE_NEWNS,
    "net": CLONE_NEWNET,
    "ipc": CLONE_NEWIPC,
    "uts": CLONE_NEWUTS,
    "cgroup": CLONE_NEWCGROUP,
    "pid": CLONE_NEWPID,
}
# A root directory holds only mount points and a link: a few pages, and an inode for each directory on the way.
_ROOT_OPTIONS = "size=1m,nr_inodes=1024,mode=0755"
# Always there, and needed no more by its name: a place to put the new root together.
_STAGE = "/proc"
_TMP = "/tmp"


def open_proc() -> int:
    """A descriptor of /proc, by which a process can write its id maps when it sees that directory no more."""
    return os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def enter_user_namespace(proc: int, uid: int, gid: int) -> None:
    """Make a user namespace in which only `uid` and `gid`, the process's own, exist, and all powers over it.

    Powers over whatever the process had before are gone.
    """
    syscalls.unshare(CLONE_NEWUSER)
    write_proc(proc, "self/setgroups", "deny")
    write_proc(proc, "self/uid_map", f"{uid} {uid} 1")
    write_proc(proc, "self/gid_map", f"{gid} {gid} 1")


def write_proc(proc: int, name: str, text: str) -> None:
    """Write to the file `name` of the /proc that `proc` is open on.

    Raises:
        OSError: the text names the file.
    """
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise OSError(error.errno, f"write({text}): {error.strerror}", f"/proc/{name}") from None


def new_pid_namespace() -> None:
    """Have the next child be pid 1 of a pid namespace of its own."""
    syscalls.unshare(CLONE_NEWPID)


class Home:
    """The namespaces that this process lives in, to return to."""

    def __init__(self, proc: int) -> None:
        """Remember them, by the /proc that `proc` is open on."""
        flags = os.O_RDONLY | os.O_CLOEXEC
        self._fds = [(os.open(f"self/ns/{name}", flags, dir_fd=proc), kind) for name, kind in _LEFT.items()]

    def enter(self) -> None:
        """Go back, from wherever; the working directory is then the root, and children are born here again."""
        for fd, kind in self._fds:
            syscalls.setns(fd, kind)


def enclose(roots: list[str]) -> None:
    """Go, for good, to a root directory that shows only `roots` and a few devices, and nothing writable.

    The path `SCRATCH` is an empty directory in it, /tmp a link there unless a root lies below /tmp.
    """
    syscalls.unshare(_SEPARATE)
    socket.sethostname(_HOST_NAME)
    syscalls.mount("", "/", MS_REC | MS_PRIVATE)
    read_only = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
    device = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC
    mounts = [(path, _detached(path, read_only)) for path in roots]
    mounts += [(path, _detached(path, device)) for path in DEVICES]
    syscalls.mount("tmpfs", _STAGE, MS_NOSUID | MS_NODEV | MS_NOEXEC, _ROOT_OPTIONS)
    os.chdir(_STAGE)
    for path, fd in mounts:
        _attach(path, fd)
    os.mkdir(_inside(SCRATCH))
    if not any(is_below(path, _TMP) for path in roots):
        os.symlink(SCRATCH, _inside(_TMP))
    syscalls.pivot_root_here()
    syscalls.unmount_lazily(".")
    os.chdir("/")
    _make_root_read_only()


def _detached(path: str, attributes: int) -> int:
    fd = syscalls.clone_mount(path)
    syscalls.restrict_mount(fd, attributes)
    return fd


def _inside(path: str) -> str:
    return "." + path


def _attach(path: str, fd: int) -> None:
    target = _inside(path)
    if os.path.isdir(fd):
        os.makedirs(target)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.mknod(target)
    syscalls.attach_mount(fd, target)
    os.close(fd)


def _make_root_read_only() -> None:
    fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
    syscalls.restrict_mount(fd, MOUNT_ATTR_RDONLY, recursive=False)
    os.close(fd)


def separate() -> None:
    """Give this process new mount, network, ipc, host-name and cgroup namespaces."""
    syscalls.unshare(_SEPARATE)


def mount_scratch(uid: int, gid: int, *, size_bytes: int, inodes: int) -> None:
    """Mount an empty tmpfs of limited size, owned by `uid`, at `SCRATCH`, and go there."""
    options = f"size={size_bytes},nr_inodes={inodes},mode=0700,uid={uid},gid={gid}"
    syscalls.mount("tmpfs", SCRATCH, MS_NOSUID | MS_NODEV | MS_NOEXEC, options)
    os.chdir(SCRATCH)


def become(uid: int, gid: int) -> None:
    """Change to another user and group, for good, without supplementary groups."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
