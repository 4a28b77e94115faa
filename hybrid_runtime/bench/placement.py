"""Where the processes of a measurement run, and the jobs that they run."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hybrid_runtime.local import PRELOAD, LocalRuntime
from hybrid_runtime.placement import Cores, Placement, on_core
from hybrid_runtime.protocol import lines

if TYPE_CHECKING:
    from collections.abc import Iterator

# The bundles of all jobs that are measured.
ALGORITHMS = Path(__file__).with_name("algorithms.py")
SHORT_JOBS = Path(__file__).with_name("short_jobs.py")
_PROC = Path("/proc")


def possible() -> list[Placement]:
    """The placements that differ on this machine."""
    several = len(os.sched_getaffinity(0)) > 1
    found = [Placement.SAME_CORE, Placement.FREE, Placement.SPREAD] if several else [Placement.SAME_CORE]
    return [Placement.INLINE, Placement.SPIN, *found] if lines.available() else found


def elsewhere() -> list[Placement]:
    """Those that differ for processes which are not the runtime's own and wait as they do."""
    return [placement for placement in possible() if not placement.patience_s]


def in_order(placement: Placement) -> tuple[int, int, int]:
    """The cores of worker, dispatcher and quantum runtime; -1 where the kernel chooses."""
    cores = Cores(placement)
    worker, dispatcher, quantum = (
        -1 if core is None else core for core in (cores.worker, cores.dispatcher, cores.quantum)
    )
    return worker, dispatcher, quantum


@contextmanager
def confined(placement: Placement) -> Iterator[None]:
    """Processes started meanwhile stay on one core, where that is the placement.

    Only the calling thread is confined with them, and let go at the end.
    """
    with on_core(Cores(placement).worker if placement is Placement.SAME_CORE else None):
        yield


@contextmanager
def started(backend: str, placement: Placement, *, preload: tuple[str, ...] = PRELOAD) -> Iterator[LocalRuntime]:
    """A runtime with its processes placed; the measuring process itself stays where it is."""
    with LocalRuntime(backend, placement=placement, preload=preload) as client:
        yield client


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
