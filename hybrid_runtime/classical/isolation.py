"""Which isolation levels this host can give, and which one to use.

A level is tried, not guessed: a short-lived process enters the sandbox for real and says how far it came. Kernels,
containers and security modules refuse in too many ways to be foreseen from settings alone.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

from hybrid_runtime.classical.sandbox import Level, Sandbox, SandboxLimits
from hybrid_runtime.config import child_environment
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.process import interpreter

_PROBE_TIMEOUT_S = 30
_STANDARD_FDS = {0, 1, 2}

# Settings by which hosts switch user namespaces off: the value that does, and what to say about it.
_SWITCHES: Final = (
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with 'userns' for it",
    ),
)


class Promise(NamedTuple):
    """What a level holds an algorithm to, and what it does not."""

    keeps: str
    leaves: str


PROMISES: Final = {
    Level.STRICT: Promise(
        "sees a read-only interpreter with its packages, its bundle and a scratch directory of limited size; no other "
        "file, process or network of the host, by name or otherwise; makes only the system calls that computing needs",
        "the kernel's own faults, timing and caches of the processor, load and memory of the host as sysinfo and "
        "uname tell them; processor time and memory are bounded per worker, not in all",
    ),
    Level.LANDLOCK: Promise(
        "opens no file but the interpreter's, its bundle and its scratch directory; no network, no other process; "
        "makes only the system calls that computing needs",
        "what strict leaves, and: names, sizes and times of files outside and the ids of processes can be seen; the "
        "scratch directory lies on the host's disk and is measured four times a second, so that what can be written "
        "between two looks is not bounded; workers of one unprivileged user share a bound on threads",
    ),
    Level.PROCESS: Promise(
        "has a process of its own, with limits on memory, file size and descriptors",
        "everything else: it may do whatever its user may, so it is for one's own code only",
    ),
}


class _Failure(msgspec.Struct):
    """Why a probe could not enter the sandbox."""

    text: str
    number: int | None


Probe: TypeAlias = Callable[[Level], str | None]
"""Says why a level cannot be had; None where it can."""


def available() -> dict[Level, str | None]:
    """Every level with the reason why this host cannot give it, None where it can."""
    return {level: _probe(level) for level in Level}


def choose(wanted: str | None = None, probe: Probe | None = None) -> Level:
    """The level of this name; without one, the strictest available, which never is `process`.

    Args:
        wanted: A level's name.
        probe: How to find out; a process of its own tries each level when None.

    Raises:
        InvalidInput: where it cannot be had; the text names the kernel feature that lacks and the remedy.
    """
    probe = probe or _probe
    if wanted is not None:
        return _named(wanted, probe)
    reasons = {}
    for level in (Level.STRICT, Level.LANDLOCK):
        lacking = probe(level)
        if lacking is None:
            return level
        reasons[level] = lacking
    found = "; ".join(f"{level}: {lacking}" for level, lacking in reasons.items())
    raise InvalidInput(
        f"this host can isolate no worker ({found}). For your own code only, isolation level "
        f"'{Level.PROCESS}' can be asked for by name: it sets limits but hides nothing"
    )


def _named(wanted: str, probe: Probe) -> Level:
    try:
        level = Level(wanted)
    except ValueError:
        raise InvalidInput(f"isolation level {wanted!r} is not known; choose one of {', '.join(Level)}") from None
    lacking = None if level is Level.PROCESS else probe(level)
    if lacking is not None:
        raise InvalidInput(f"isolation level '{level}' cannot be had on this host: {lacking}")
    return level


@cache
def _probe(level: Level) -> str | None:
    if level is Level.PROCESS:
        return None
    if sys.platform != "linux":
        return f"it needs Linux, and this is {sys.platform}"
    import subprocess  # fork servers load this module, too, and start nothing

    with tempfile.TemporaryDirectory() as folder:
        command = interpreter(__name__, level, folder)
        try:
            result = subprocess.run(
                command, env=_environment(), capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return f"entering it took more than {_PROBE_TIMEOUT_S} s"
    return None if result.returncode == 0 else reason(result.returncode, result.stdout, result.stderr)


def reason(status: int, said: bytes, printed: bytes = b"") -> str:
    """Why `rehearse` failed, from its exit status and what it wrote to `report` and to stderr."""
    try:
        return _explain(msgspec.json.decode(said, type=_Failure))
    except msgspec.DecodeError:
        text = printed.decode(errors="replace").strip().rpartition("\n")[2]
        return f"the process that tried it ended with status {status}" + (f": {text}" if text else "")


def _environment() -> dict[str, str]:
    # The probe is to find this very package, however the present process found it.
    package = str(Path(__file__).parents[2])
    environment = child_environment()
    paths = [package, environment.get("PYTHONPATH", "")]
    return environment | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _explain(failure: _Failure) -> str:
    """The failed call, with what lacks and how to get it."""
    text = failure.text
    if text.startswith("landlock_"):
        return (
            f"{text}. Landlock is not active: it needs Linux 5.13 with CONFIG_SECURITY_LANDLOCK, and 'landlock' in "
            "the list that the boot parameter lsm= gives (see /sys/kernel/security/lsm)"
        )
    if text.startswith("seccomp"):
        return f"{text}. System-call filters are not active: they need a kernel with CONFIG_SECCOMP_FILTER"
    if text.startswith(("unshare", "write", "mount", "open_tree", "setns", "pivot_root")):
        return f"{text}. {_namespace_remedy(failure.number)}"
    return text


def _namespace_remedy(number: int | None) -> str:
    if number == errno.ENOSYS:
        return "The kernel is too old: namespaces of workers need Linux 5.12"
    for path, off, remedy in _SWITCHES:
        try:
            value = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue  # this kernel has no such switch
        if value == off:
            return f"User namespaces are switched off by {path}; an administrator can allow them: {remedy}"
    if number == errno.ENOSPC:
        return "A limit in /proc/sys/user/max_*_namespaces is reached; an administrator can raise it"
    return (
        "The host or its container refuses namespaces to this process; a container needs a seccomp profile that "
        "allows unshare and mount, or --privileged, and a kernel CONFIG_USER_NS=y"
    )


def rehearse(level: Level, scratch: str, report: int) -> int:
    """Enter the sandbox for good; 0 if it can be entered, else 1 and the reason written to `report`."""
    try:
        Sandbox(level, SandboxLimits(), scratch=scratch).rehearse(keep_fds=_STANDARD_FDS | {report})
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        text = f"{error.strerror or error}{where}"
        os.write(report, msgspec.json.encode(_Failure(text, error.errno)))
        return 1
    return 0


def main() -> None:
    """`python -m hybrid_runtime.classical.isolation LEVEL DIR`: exit 0 if it can be entered, else say why not."""
    level, folder = sys.argv[1:]
    os._exit(rehearse(Level(level), folder, 1))


if __name__ == "__main__":
    main()
