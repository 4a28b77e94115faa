"""How much memory a simulation may take."""

from __future__ import annotations

from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """Memory that the kernel would give without swapping, or this process's cgroup limit where that is lower."""
    return min([_system_bytes(), *_group_limits()])


def _system_bytes() -> int:
    for line in _MEMINFO.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return 1 << 30  # a guess for kernels before 3.14, which do not say


def _group_limits() -> list[int]:
    """The limits of version 2 control groups on the way up; none where the host has version 1."""
    limits: list[int] = []
    for line in _OWN_GROUPS.read_text().splitlines():
        number, _, path = line.split(":", 2)
        if number != "0":
            continue
        group = _GROUPS / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(_GROUPS):
                break
            limit = folder / "memory.max"
            if limit.is_file() and (text := limit.read_text().strip()) != "max":
                limits.append(int(text))
    return limits
