"""`qi-run doctor`: what this host can give, how far algorithms are kept apart on it, and whether workers start."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.options import Debug, Json
from hybrid_runtime.cli.streams import write, write_json
from hybrid_runtime.errors import HybridRuntimeError

if TYPE_CHECKING:
    from hybrid_runtime.classical.sandbox import Level

_WIDTH = 100
_PAIR = 14


def doctor(*, json: Json = False, debug: Debug = False) -> int:
    """Say which isolation levels this host can give, what each promises, and whether a worker starts.

    The exit code is 2 where no level but `process` can be had.
    """
    del debug
    report = examine()
    if json:
        write_json(report)
    else:
        write("\n".join(lines_of(report)))
    return ExitCode.COMPLETED if report["default"] else ExitCode.REFUSED


def examine() -> dict[str, Any]:
    """Everything that is reported, as plain data."""
    # None of it is needed by the other commands, which load this module too.
    from hybrid_runtime.classical import isolation
    from hybrid_runtime.classical.sandbox import Level, SandboxLimits

    lacking = isolation.available()
    default = next((level for level in (Level.STRICT, Level.LANDLOCK) if lacking[level] is None), None)
    levels = {
        level.value: {
            "available": why is None,
            "why_not": why,
            "keeps": isolation.PROMISES[level].keeps,
            "leaves": isolation.PROMISES[level].leaves,
        }
        for level, why in lacking.items()
    }
    return {
        "default": default and default.value,
        "levels": levels,
        "host": _host(),
        "worker_limits": msgspec.to_builtins(SandboxLimits()),
        "pool": _try_pool(default) if default else None,
    }


def _host() -> dict[str, str]:
    from hybrid_runtime.classical import cgroup

    try:
        groups = cgroup.unavailable(cgroup.own_folder())
    except OSError as error:
        groups = str(error)
    return {
        "kernel": f"{platform.system()} {platform.release()} on {platform.machine()}",
        "interpreter": _interpreter(),
        "landlock": _landlock(),
        "user namespaces": _setting("/proc/sys/user/max_user_namespaces", "at most {} on this host"),
        "system calls": _setting("/proc/sys/kernel/seccomp/actions_avail", "filters can {}"),
        "cgroups": "can be made here" if groups is None else f"not used: {groups}",
    }


def _interpreter() -> str:
    """Whether workers, which are other users where the fork server is root, come to it without special powers."""
    from hybrid_runtime.classical.roots import closed_folders, readable_roots

    closed = closed_folders(readable_roots())
    if not closed or os.geteuid() != 0:
        return sys.executable
    first = closed[0]
    return (
        f"{sys.executable}, below {first}, which not every user may enter: at level landlock workers of root keep the "
        f"power to look past permissions, for names and sizes of files, not contents; chmod o+x {first}, or install it "
        "elsewhere"
    )


def _landlock() -> str:
    from hybrid_runtime.classical import landlock

    try:
        return f"ABI {landlock.abi()}"
    except OSError as error:
        return f"not active: {error.strerror}"


def _setting(path: str, text: str) -> str:
    try:
        return text.format(Path(path).read_text(encoding="ascii").strip())
    except OSError:
        return f"not known: there is no {path}"


def _try_pool(level: Level) -> dict[str, Any]:
    """Start a fork server and a worker at this level; what it took, or what went wrong."""
    from hybrid_runtime.classical.pool import Pool

    with tempfile.TemporaryDirectory(prefix="hybrid-runtime-") as folder:
        started = time.perf_counter()
        pool = Pool(Path(folder), warm=1, level=level)
        try:
            pool.wait_ready()
            first_s = time.perf_counter() - started
            again = time.perf_counter()
            pool.wait_ready(2)
            second_s = time.perf_counter() - again
            return {"first_worker_s": first_s, "next_worker_s": second_s, **pool.statistics()._asdict()}
        except (HybridRuntimeError, TimeoutError) as error:
            return {"error": str(error)}
        finally:
            pool.close()


def lines_of(report: dict[str, Any]) -> list[str]:
    """The report for a person."""
    lines = []
    for name, level in report["levels"].items():
        default = ", used unless another is asked for" if name == report["default"] else ""
        state = f"available{default}" if level["available"] else "not available"
        lines += [f"{name}: {state}"]
        if level["why_not"]:
            lines += _pair("why", level["why_not"])
        lines += [*_pair("an algorithm", level["keeps"]), *_pair("not covered", level["leaves"]), ""]
    for name, text in report["host"].items():
        lines += _pair(name, text)
    lines += ["", *_pair("a worker", _limits(report["worker_limits"]))]
    return [*lines, *_pair("pool", _pool(report["pool"]))]


def _pair(name: str, text: str) -> list[str]:
    blank = " " * (4 + _PAIR)
    return textwrap.wrap(text, _WIDTH, initial_indent=f"  {name:{_PAIR + 2}}", subsequent_indent=blank)


def _limits(limits: dict[str, Any]) -> str:
    megabytes = {name: limits[name] >> 20 for name in ("memory_bytes", "scratch_bytes")}
    return (
        f"may use {megabytes['memory_bytes']} MiB of memory, {megabytes['scratch_bytes']} MiB and "
        f"{limits['scratch_inodes']} files of scratch, {limits['threads']} threads, {limits['open_files']} descriptors"
    )


def _pool(pool: dict[str, Any] | None) -> str:
    if pool is None:
        return "not tried, for want of a level"
    if "error" in pool:
        return f"no worker could be started: {pool['error']}"
    return (
        f"the first worker was ready after {pool['first_worker_s'] * 1e3:.0f} ms, the next after "
        f"{pool['next_worker_s'] * 1e3:.1f} ms; at most {pool['most']} jobs have one at a time on this host"
    )
