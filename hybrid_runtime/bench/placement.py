"""Where the processes of a measurement run: all on one core, wherever the kernel puts them, or apart."""

from __future__ import annotations

import os
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from hybrid_runtime.local import PRELOAD, LocalRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator

# The bundles of all jobs that are measured.
ALGORITHMS = Path(__file__).with_name("algorithms.py")
SHORT_JOBS = Path(__file__).with_name("short_jobs.py")
_PROC = Path("/proc")


class Placement(StrEnum):
    """Where the processes of one measurement run."""

    SAME_CORE = "same-core"
    FREE = "free"
    SPREAD = "spread"


class Cores:
    """Which cores worker, dispatcher and quantum runtime get; None where the kernel chooses."""

    def __init__(self, placement: Placement) -> None:
        allowed = sorted(os.sched_getaffinity(0))
        self.worker: int | None = None
        self.dispatcher: int | None = None
        self.quantum: int | None = None
        if placement is Placement.SAME_CORE:
            # Not the first: most interrupts go there.
            self.worker = self.dispatcher = self.quantum = allowed[-1]
        elif placement is Placement.SPREAD:
            self.worker, self.dispatcher, self.quantum = (allowed[-1 - place % len(allowed)] for place in range(3))

    def in_order(self) -> tuple[int, int, int]:
        """Worker, dispatcher, quantum runtime; -1 where the kernel chooses."""
        worker, dispatcher, quantum = (
            -1 if core is None else core for core in (self.worker, self.dispatcher, self.quantum)
        )
        return worker, dispatcher, quantum


def possible() -> list[Placement]:
    """The placements that differ on this machine."""
    several = len(os.sched_getaffinity(0)) > 1
    return list(Placement) if several else [Placement.SAME_CORE]


@contextmanager
def confined(placement: Placement) -> Iterator[None]:
    """Processes started meanwhile stay on one core, where that is the placement.

    Only the calling thread is confined with them, and let go at the end.
    """
    if placement is not Placement.SAME_CORE:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {Cores(placement).in_order()[0]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def started(backend: str, placement: Placement, *, preload: tuple[str, ...] = PRELOAD) -> Iterator[LocalRuntime]:
    """A runtime with its processes placed; the measuring process itself stays where it is."""
    with confined(placement):
        client = LocalRuntime(backend, preload=preload)
    with client:
        if placement is Placement.SPREAD:
            client.run(f"{SHORT_JOBS}:first_circuit").raise_for_error()  # by now every process is there
            spread(descendants(os.getpid()))
        yield client


def spread(pids: list[int]) -> None:
    """Give each process of a runtime the core of its part; workers forked later inherit that of the fork server."""
    cores = Cores(Placement.SPREAD)
    for pid in pids:
        try:
            command = (_PROC / str(pid) / "cmdline").read_bytes()
            if b"hybrid_runtime" in command:
                os.sched_setaffinity(pid, {_core_of(command, cores)})
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended


def _core_of(command: bytes, cores: Cores) -> int:
    worker, dispatcher, quantum = cores.in_order()
    if b"hybrid_runtime.quantum" in command or b"quantum-runtime" in command:
        return quantum
    return worker if b"forkserver" in command else dispatcher


def descendants(pid: int) -> list[int]:
    """The processes below this one, as far as they can be seen."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for listed in (_PROC / str(waiting.pop()) / "task").glob("*/children"):
            try:
                children = [int(child) for child in listed.read_text().split()]
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
            found += children
            waiting += children
    return found
