"""Faults for tests of recovery: processes killed, links cut, garbled and delayed, and drivers that break.

::

    with LocalRuntime("faulty", options=faults.driver(ledger=tmp_path / "ledger", kill_after=[3])) as runtime:
        job = runtime.submit("vqe.py", seed=1)
        faults.kill("worker")
        assert job.result().value == undisturbed
    assert faults.repeated(tmp_path / "ledger") == []

    with faults.BreakingRuntime(faults=[faults.Fault(kind="kill", point="results", at=5)], folder=tmp_path) as runtime:
        assert runtime.run("vqe.py", seed=1).value == undisturbed

These are the faults by which the runtime itself is tested. They break real processes and sockets; nothing is patched.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.dispatcher.breaking import KINDS, POINTS, Fault, Plan
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.local import DEFAULT_BACKEND, LocalRuntime
from hybrid_runtime.quantum.drivers.faulty import BEGUN, DONE
from hybrid_runtime.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "KINDS",
    "POINTS",
    "BreakingRuntime",
    "Fault",
    "Target",
    "TcpProxy",
    "driver",
    "executed",
    "freeze",
    "kill",
    "pids",
    "repeated",
]

_LOOK_AGAIN_S = 0.005


class Target(StrEnum):
    """A process of a runtime."""

    WORKER = "worker"
    DISPATCHER = "dispatcher"
    QUANTUM = "quantum"
    FORK_SERVER = "fork server"


_MODULES = {
    Target.DISPATCHER: b"hybrid_runtime.node",
    Target.QUANTUM: b"hybrid_runtime.quantum.runtime",
    Target.FORK_SERVER: b"hybrid_runtime.classical.forkserver",
}


def pids(target: Target | str, below: int | None = None) -> list[int]:
    """The processes of this kind that live now below a process; below this one when None.

    A fork server is several processes where it has namespaces, outermost first. Workers are told from it by having
    no children themselves.
    """
    target = Target(target)
    root = os.getpid() if below is None else below
    if target is not Target.WORKER:
        return [pid for pid in _descendants(root) if _MODULES[target] in _command(pid)]
    servers = [pid for pid in _descendants(root) if _MODULES[Target.FORK_SERVER] in _command(pid)]
    parents = {_parent(pid) for pid in servers}
    # All of them carry the fork server's command line, for they are forks of it.
    return [pid for pid in servers if pid not in parents and not _children(pid) and _parent(pid) in servers]


def kill(target: Target | str, below: int | None = None, *, patience_s: float = 0.0) -> list[int]:
    """End the processes of this kind by SIGKILL; those that were ended. Workers that wait for a job are ended, too.

    Args:
        target: What to end.
        below: Only those below this process; this one when None.
        patience_s: How long to wait for one to be there.
    """
    deadline = time.monotonic() + patience_s
    while not (found := pids(target, below)) and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN_S)
    ended = []
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it was quicker
        ended.append(pid)
    return ended


@contextmanager
def freeze(target: Target | str, below: int | None = None) -> Iterator[list[int]]:
    """Stop the processes of this kind while it is entered, by SIGSTOP; those that are stopped.

    To them no time has passed when they go on: so it is also what a jump of the clock by which limits are held looks
    like. The time of day jumps by a `Fault` of the kind `jump`.
    """
    stopped = pids(target, below)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield stopped
    finally:
        for pid in stopped:
            # It may have been killed meanwhile.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class BreakingRuntime(LocalRuntime):
    """A `LocalRuntime` whose dispatcher breaks on purpose.

    Args:
        backend: As for `LocalRuntime`, like all that is not named here.
        faults: What breaks; each strikes once. See `Fault`, `POINTS` and `KINDS`.
        folder: An empty folder, in which is kept what has struck.
        most_file_bytes: No file of the dispatcher's, a journal for example, can become larger, as on a full disk.

    Raises:
        InvalidInput: a fault is of no kind or point that there is.
    """

    def __init__(
        self,
        backend: str = DEFAULT_BACKEND,
        *,
        faults: Sequence[Fault] = (),
        folder: str | Path,
        most_file_bytes: int | None = None,
        **settings: Any,
    ) -> None:
        for fault in faults:
            if fault.kind not in KINDS or fault.point not in POINTS or fault.at < 1:
                kinds, points = ", ".join(KINDS), ", ".join(POINTS)
                raise InvalidInput(f"a fault is one of {kinds}, at one of {points}, counted from 1; not {fault}")
        self._plan = Plan(faults=list(faults), folder=str(Path(folder).absolute()), most_file_bytes=most_file_bytes)
        super().__init__(backend, **settings)

    def _more_arguments(self) -> list[str]:
        return ["--faults", msgspec.json.encode(self._plan).decode()]


def driver(inner: str = "qulacs", *, ledger: str | Path | None = None, **faults: Any) -> dict[str, Any]:
    """Options of a backend `faulty`: see `quantum.drivers.faulty.FaultyDriver` for what they mean."""
    kept = {} if ledger is None else {"ledger": str(Path(ledger).absolute())}
    return {"inner": inner, **kept, **faults}


def executed(ledger: str | Path) -> list[int]:
    """The seeds of the rows that a faulty backend executed, in order: each step's rows have seeds of their own."""
    lines = Path(ledger).read_text().split("\n")
    return [int(line.split()[1]) for line in lines if line.startswith(DONE)]


def repeated(ledger: str | Path) -> list[int]:
    """The seeds of the rows that were begun more than once."""
    lines = Path(ledger).read_text().split("\n")
    counts = Counter(int(line.split()[1]) for line in lines if line.startswith(BEGUN))
    return [seed for seed, count in counts.items() if count > 1]


def _descendants(pid: int) -> list[int]:
    below = _children(pid)
    return below + [other for child in below for other in _descendants(child)]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, path.read_text().split())
        except OSError:
            continue  # it has ended while it was looked at
    return found


def _command(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _parent(pid: int) -> int:
    try:
        # The name, in parentheses, may hold anything; what follows it is numbers.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0
