"""Limits on all workers of a fork server together, by a cgroup (version 2), on hosts that let us make one.

Limits of single processes are in `sandbox`; only a cgroup can count what several use at once, and cap their share of
the processors. The fork server is put into the group when it starts and its workers are born there, so that a
group costs nothing per worker.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

import msgspec

_MOUNTS = Path("/proc/self/mountinfo")
_MEMBERSHIP = Path("/proc/self/cgroup")
_CONTROLLERS: Final = ("cpu", "memory", "pids")
# A group with processes of its own can have no limited children: the processes that were there move in here.
_OWN_LEAF = "hybrid-runtime"
_CPU_PERIOD_US = 100_000


class GroupLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the processes of one group may use together; None is no bound.

    Attributes:
        memory_bytes: Memory, page cache and tmpfs included.
        tasks: Processes and threads.
        cpus: Processors, as a number that may be a fraction.
    """

    memory_bytes: int | None = None
    tasks: int | None = None
    cpus: float | None = None

    def settings(self) -> dict[str, str]:
        """The files of a group's directory that hold these limits, with their contents."""
        found: dict[str, str] = {}
        if self.memory_bytes is not None:
            # Without swap: memory that a group may not have must not come back as disk traffic.
            found |= {"memory.max": str(self.memory_bytes), "memory.swap.max": "0"}
        if self.tasks is not None:
            found["pids.max"] = str(self.tasks)
        if self.cpus is not None:
            found["cpu.max"] = f"{round(self.cpus * _CPU_PERIOD_US)} {_CPU_PERIOD_US}"
        return found


def own_folder(mounts: Path = _MOUNTS, membership: Path = _MEMBERSHIP) -> Path | None:
    """The directory of the cgroup that this process is in; None where no version 2 hierarchy is mounted."""
    path = next((line[3:] for line in membership.read_text().splitlines() if line.startswith("0::")), None)
    for line in mounts.read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 ") and path is not None:
            root, place = before.split()[3:5]
            return Path(place) / path.removeprefix(root).lstrip("/")
    return None


def unavailable(folder: Path | None) -> str | None:
    """Why no limited groups can be made below this directory; None where they can."""
    if folder is None:
        return "no cgroup version 2 hierarchy is mounted"
    present = (folder / "cgroup.controllers").read_text().split()
    missing = [name for name in _CONTROLLERS if name not in present]
    if missing:
        return (
            f"{folder} has no controller {', '.join(missing)}: start in a unit with Delegate=yes, "
            "or boot with systemd.unified_cgroup_hierarchy=1 where version 1 holds them"
        )
    if not os.access(folder / "cgroup.procs", os.W_OK) or not os.access(folder, os.W_OK):
        return f"{folder} belongs to another user: start in a unit with Delegate=yes"
    return None


def take_over(folder: Path) -> None:
    """Make it possible to create limited groups below `folder`, by moving its processes into a leaf.

    Raises:
        OSError: where a process there may not be moved.
    """
    leaf = folder / _OWN_LEAF
    leaf.mkdir(exist_ok=True)
    for pid in (folder / "cgroup.procs").read_text().split():
        _move(pid, leaf)
    _write(folder / "cgroup.subtree_control", " ".join(f"+{name}" for name in _CONTROLLERS))


def _move(pid: str, folder: Path) -> None:
    try:
        _write(folder / "cgroup.procs", pid)
    except ProcessLookupError:
        return  # it has ended meanwhile


def _write(path: Path, text: str) -> None:
    # Not as Path.write_text does, which would try to create the file: cgroup file systems refuse that with EACCES.
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


class Group:
    """One cgroup, made when this object is and gone when it is closed."""

    def __init__(self, parent: Path, name: str, limits: GroupLimits) -> None:
        """Make the group `name` below the directory `parent`.

        Raises:
            OSError: where the host does not allow it; see `unavailable`.
        """
        self.limits = limits
        self.folder = parent / name
        self.folder.mkdir()
        try:
            for file, value in limits.settings().items():
                self._set(file, value)
        except OSError:
            self.folder.rmdir()
            raise

    def _set(self, file: str, value: str) -> None:
        try:
            _write(self.folder / file, value)
        except FileNotFoundError:
            # A kernel without swap accounting: there is no swap to forbid.
            if file != "memory.swap.max":
                raise

    def add(self, pid: int) -> None:
        """Move a process in; its later children are born here."""
        _write(self.folder / "cgroup.procs", str(pid))

    def pids(self) -> list[int]:
        """The processes in the group."""
        return [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]

    def kill(self) -> None:
        """Kill every process in the group."""
        _write(self.folder / "cgroup.kill", "1")

    def close(self) -> None:
        """Remove the group.

        Raises:
            OSError: with EBUSY while processes are in it.
        """
        try:
            self.folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise OSError(error.errno, f"cgroup {self.folder.name} still holds {self.pids()}") from error
            raise

    def __repr__(self) -> str:
        return f"<Group {self.folder.name} {self.limits.settings()}>"
