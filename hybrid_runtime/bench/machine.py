"""What the figures were taken on, and what else was running."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path

import msgspec

_PROC = Path("/proc")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_PACKAGES = ("hybrid-runtime", "numpy", "scipy", "qulacs", "pyzmq", "msgspec", "libqasm")
_WATCH_S = 0.5
# Shares of a core and of all cores from which a measurement is no longer undisturbed.
_BUSY_PROCESS = 0.1
_BUSY_CORES = 0.2
_LOAD_PER_CORE = 0.5


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as a report names it.

    Attributes:
        cpu: Model of the processor.
        cores: Cores that this process may use.
        virtual: Whether it says that it is a virtual machine; None where it does not say.
        kernel: Release of the kernel.
        python: Version of the interpreter.
        versions: Versions of packages; those that are not installed are left out.
        governor: How the processor's frequency is governed, where that can be read.
        load_before: Load averages over 1, 5 and 15 minutes before the first measurement.
        load_after: The same after the last one.
        isolation: Isolation level of the workers; None where what was measured does not tell.
    """

    cpu: str
    cores: int
    virtual: bool | None
    kernel: str
    python: str
    versions: dict[str, str]
    governor: str | None
    load_before: tuple[float, float, float]
    load_after: tuple[float, float, float] | None = None
    isolation: str | None = None


class Disturbance(msgspec.Struct, frozen=True, kw_only=True):
    """What other processes do.

    Attributes:
        cores: How many cores they keep busy.
        processes: The busiest of them: name and share of a core.
        stolen: Share of a core that the hypervisor gave to other machines.
    """

    cores: float
    processes: list[tuple[str, float]]
    stolen: float


def describe() -> Machine:
    """This machine, now."""
    cpu, virtual = _processor()
    return Machine(
        cpu=cpu,
        cores=len(os.sched_getaffinity(0)),
        virtual=virtual,
        kernel=platform.release(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions=_versions(),
        governor=_GOVERNOR.read_text().strip() if _GOVERNOR.exists() else None,
        load_before=os.getloadavg(),
    )


def _processor() -> tuple[str, bool | None]:
    fields: dict[str, str] = {}
    for line in (_PROC / "cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags")
    return fields.get("model name") or platform.machine(), None if flags is None else "hypervisor" in flags.split()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


# ------------------------------------------------------------------ what else is running


def watch(seconds: float = _WATCH_S) -> Disturbance:
    """See for a while what other processes do. This one sleeps meanwhile."""
    before = _Snapshot()
    time.sleep(seconds)
    after = _Snapshot()
    elapsed = after.time - before.time
    tick = os.sysconf("SC_CLK_TCK")
    shares = sorted(
        ((after.names[pid], (used - before.used.get(pid, used)) / tick / elapsed) for pid, used in after.used.items()),
        key=lambda entry: -entry[1],
    )
    busy = [(name, round(share, 2)) for name, share in shares[:3] if share >= _BUSY_PROCESS]
    cores, stolen = ((now - then) / tick / elapsed for now, then in zip(after.cpu, before.cpu, strict=True))
    return Disturbance(cores=round(cores, 2), processes=busy, stolen=round(stolen, 2))


class _Snapshot:
    """Clock ticks used so far by all processors together and by each process."""

    def __init__(self) -> None:
        self.time = time.monotonic()
        # user nice system idle iowait irq softirq steal
        ticks = [int(field) for field in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
        self.cpu = (sum(ticks[:3]) + sum(ticks[5:7]), ticks[7])
        self.used: dict[int, int] = {}
        self.names: dict[int, str] = {}
        for folder in _PROC.glob("[0-9]*"):
            try:
                head, _, rest = (folder / "stat").read_text().rpartition(")")
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
            pid, fields = int(folder.name), rest.split()
            if pid != os.getpid():
                self.used[pid] = int(fields[11]) + int(fields[12])
                self.names[pid] = head.partition("(")[2]


def warnings(machine: Machine, seen: Disturbance) -> list[str]:
    """What a reader must know before believing the figures, in words."""
    found = []
    if machine.load_before[0] > _LOAD_PER_CORE * machine.cores:
        found.append(
            f"taken under load: the load average was {machine.load_before[0]:.1f} on {machine.cores} cores beforehand"
        )
    if seen.cores > _BUSY_CORES:
        names = ", ".join(f"{name} ({share:.0%} of a core)" for name, share in seen.processes)
        found.append(
            f"taken under load: other processes kept {seen.cores:.1f} of {machine.cores} cores busy beforehand"
            + (f": {names}" if names else "")
        )
    if seen.stolen > _BUSY_CORES:
        found.append(f"taken under load: the hypervisor gave {seen.stolen:.1f} cores to other virtual machines")
    if machine.governor not in (None, "performance"):
        found.append(f"the processor's frequency is governed by {machine.governor!r}: latencies vary with it")
    if sys.gettrace() is not None:
        found.append("taken under a debugger or a coverage tool")
    return found
