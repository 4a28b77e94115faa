"""Namespaces: a world of its own for each worker, in which other processes, files and networks do not exist.

The fork server first goes into a small world itself (`enter_user_namespace`, `enclose`): a root directory on a
tmpfs that shows the interpreter and its packages, read-only, and nothing else. What costs time is so done once;
a worker then takes copies of its own (`separate`), which are a few microseconds each.

A process that unshares its pid namespace stays where it is; its next child becomes pid 1 of the new one. To fork
again, a fork server must return to its own namespace in between, which the kernel permits only with CAP_SYS_ADMIN
over that namespace: so an unprivileged fork server lives in a pid namespace made by itself.
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


def open_pid_namespace(proc: int) -> int:
    """A descriptor of the pid namespace that this process lives in."""
    return os.open("self/ns/pid", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)


def return_to_pid_namespace(fd: int) -> None:
    """Have further children be made in the namespace `fd` again."""
    syscalls.setns(fd, CLONE_NEWPID)


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
    """Give this process mount, network, ipc, host-name and cgroup namespaces of its own."""
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
