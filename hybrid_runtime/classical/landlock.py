"""Landlock: the kernel's own list of what one process may open, whatever user it runs as.

Which accesses can be governed grows with the ABI of the running kernel; what an older one cannot govern is refused
by the system-call filter instead (see `seccomp`), so that a worker is equally confined everywhere from Linux 5.13 on.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import Final

from hybrid_runtime.classical import syscalls

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
# From ABI 7 on the kernel reports refusals to its audit log, which code that tries and tries again would flood.
_RESTRICT_SELF_LOG_OFF = 1
_LOG_ABI = 7

# LANDLOCK_ACCESS_FS_* in the order of their bits, each with the ABI that brought it.
_ACCESSES: Final = (
    ("execute", 1),
    ("write_file", 1),
    ("read_file", 1),
    ("read_dir", 1),
    ("remove_dir", 1),
    ("remove_file", 1),
    ("make_char", 1),
    ("make_dir", 1),
    ("make_reg", 1),
    ("make_sock", 1),
    ("make_fifo", 1),
    ("make_block", 1),
    ("make_sym", 1),
    ("refer", 2),
    ("truncate", 3),
    ("ioctl_dev", 5),
)
_BIT: Final = {name: 1 << place for place, (name, _) in enumerate(_ACCESSES)}

_FILE_ACCESS = _BIT["execute"] | _BIT["write_file"] | _BIT["read_file"] | _BIT["truncate"] | _BIT["ioctl_dev"]
READ: Final = _BIT["read_file"] | _BIT["read_dir"]
USE_DEVICE: Final = _BIT["read_file"] | _BIT["write_file"]
# No links, devices, sockets or named pipes: what could mean something to a process outside.
WORK: Final = (
    READ
    | _BIT["write_file"]
    | _BIT["truncate"]
    | _BIT["make_reg"]
    | _BIT["make_dir"]
    | _BIT["remove_file"]
    | _BIT["remove_dir"]
    | _BIT["refer"]
)

_NETWORK_ABI = 4
_NETWORK = 0b11  # bind and connect of TCP sockets
_SCOPE_ABI = 6
_SCOPES = 0b11  # abstract Unix sockets, signals


def abi() -> int:
    """The Landlock ABI of the running kernel.

    Raises:
        OSError: where the kernel was built without Landlock (ENOSYS) or started without it (EOPNOTSUPP).
    """
    return _create_ruleset(None, _CREATE_RULESET_VERSION)


def _create_ruleset(attributes: bytes | None, flags: int) -> int:
    size = len(attributes) if attributes else 0
    call = "landlock_create_ruleset"
    return syscalls.syscall(call, syscalls.LANDLOCK_CREATE_RULESET, attributes, size, flags)


class Landlock:
    """The rules for workers, prepared once; each worker adds its scratch directory and puts itself under them.

    Descriptors of the paths are kept open here: a worker opens them no more, and a path that is replaced later
    does not move the rule.
    """

    def __init__(self, rules: list[tuple[str, int]]) -> None:
        """Prepare `rules`: paths, each with the accesses (READ, USE_DEVICE, WORK) granted at and below it.

        Raises:
            OSError: where a path is missing or the kernel has no Landlock.
        """
        self.abi = abi()
        self._governed = sum(_BIT[name] for name, since in _ACCESSES if since <= self.abi)
        attributes = struct.pack("Q", self._governed)
        if self.abi >= _NETWORK_ABI:
            attributes += struct.pack("Q", _NETWORK)
        if self.abi >= _SCOPE_ABI:
            attributes += struct.pack("Q", _SCOPES)
        self._attributes = attributes
        self._rules: list[tuple[int, int]] = []
        for path, accesses in rules:
            self._rules.append(self._open(path, accesses))

    def _open(self, path: str, accesses: int) -> tuple[int, int]:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            accesses &= _FILE_ACCESS
        return fd, accesses & self._governed

    @property
    def fds(self) -> set[int]:
        """The descriptors that must stay open until `restrict`."""
        return {fd for fd, _ in self._rules}

    def restrict(self, scratch: str) -> None:
        """Put this process under the rules, with `scratch` as its only place to write, for good.

        Needs no-new-privileges. Nothing opened before is affected.
        """
        own = self._open(scratch, WORK)
        ruleset = _create_ruleset(self._attributes, 0)
        for fd, accesses in [*self._rules, own]:
            rule = struct.pack("=Qi", accesses, fd)
            syscalls.syscall("landlock_add_rule", syscalls.LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
        flags = _RESTRICT_SELF_LOG_OFF if self.abi >= _LOG_ABI else 0
        syscalls.syscall("landlock_restrict_self", syscalls.LANDLOCK_RESTRICT_SELF, ruleset, flags)
        os.close(ruleset)
        os.close(own[0])

    def close(self) -> None:
        """Let go of the paths."""
        for fd, _ in self._rules:
            os.close(fd)
        self._rules.clear()

    def __repr__(self) -> str:
        return f"<Landlock ABI {self.abi} [{len(self._rules)} paths]>"
