"""Where the processes of a runtime run, and how they wait for each other.

Worker, dispatcher and quantum runtime wait for each other by turns: at any time one of them has something to do. So
most of a step can be the time in which the kernel wakes the next one, and the placement decides about it.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from hybrid_runtime import config, handoff
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.protocol import lines

if TYPE_CHECKING:
    from collections.abc import Iterator

# For how long a process looks for its next message before it sleeps. Most optimizers think for less.
PATIENCE_S = 0.002
# Looking is chosen where it takes at most this share of the time that waking takes.
_WORTH_IT = 0.8
# With less processor time than this, looking would take it from the algorithm.
_FEWEST_CORES = 2
_GROUPS = Path("/sys/fs/cgroup")


class Placement(StrEnum):
    """The choices; the value is what options and reports say."""

    AUTO = "auto"  # `inline` where this host gains by looking and can afford it, else `free`
    INLINE = "inline"  # as `spin`; and the dispatcher runs brief circuits itself, where the backend is an emulator
    SPIN = "spin"  # anywhere; who waits looks for its message for two milliseconds before it sleeps
    SAME_CORE = "same-core"  # all on one core; who waits sleeps
    FREE = "free"  # anywhere; who waits sleeps
    SPREAD = "spread"  # each on a core of its own, as far as there are any; who waits sleeps

    @property
    def patience_s(self) -> float:
        """For how long a process looks for its next message."""
        return PATIENCE_S if self in (Placement.INLINE, Placement.SPIN) else 0.0


def parse(text: str) -> Placement:
    """The placement of this name.

    Raises:
        InvalidInput: there is none.
    """
    try:
        return Placement(text)
    except ValueError:
        raise InvalidInput(f"placement {text!r} is not known; choose {', '.join(Placement)}") from None


def settled(placement: Placement, *, shared: bool = False) -> Placement:
    """The placement itself, or the one that `auto` is on this host: measured once after each start of the host.

    Where several users share the dispatcher, no circuit is run in its process unless that is asked for by name.

    Raises:
        InvalidInput: this host cannot have it.
    """
    if placement.patience_s and not lines.available():
        raise InvalidInput(f"placement {placement} needs an x86-64 processor: choose another, or auto")
    if placement is not Placement.AUTO:
        return placement
    if not lines.available() or processor_time() < _FEWEST_CORES:
        return Placement.FREE
    found = _remembered()
    if found.looking_s > _WORTH_IT * found.waking_s:
        return Placement.FREE
    return Placement.SPIN if shared else Placement.INLINE


def processor_time() -> float:
    """How many cores may be busy for this process: by its affinity, and by the quotas of its control groups."""
    found = float(len(os.sched_getaffinity(0)))
    with suppress(OSError, ValueError):
        lineage = Path("/proc/self/cgroup").read_text().strip().rpartition("0::")[2].lstrip("/")
        for group in (_GROUPS / lineage, *(_GROUPS / lineage).parents):
            if (group / "cpu.max").exists():
                quota, period = (group / "cpu.max").read_text().split()
                if quota != "max":
                    found = min(found, int(quota) / int(period))
    return found


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


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Processes started meanwhile stay on this core, where one is given; the calling thread is let go at the end."""
    before = os.sched_getaffinity(0)
    stay_on(core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def stay_on(core: int | None) -> None:
    """Keep the calling thread on this core, where one is given."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def _remembered() -> handoff.Handoff:
    """What was measured since this host was started; measured now where nothing was."""
    with suppress(OSError):
        started = Path("/proc/sys/kernel/random/boot_id").read_text()
        key = hashlib.blake2b(f"{started} {len(os.sched_getaffinity(0))} 1".encode(), digest_size=8).hexdigest()
        file = config.cache_folder() / f"handoff-{key}.json"
        with suppress(FileNotFoundError, ValueError, TypeError):
            return handoff.Handoff(**json.loads(file.read_text()))
        found = handoff.measure()
        with suppress(OSError):  # nowhere to keep it: it is measured again the next time
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(found._asdict()))
        return found
    return handoff.measure()
