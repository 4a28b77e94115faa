"""All measurements by name, in the order in which they are taken."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.bench import floor, loops, machine, peers, startup, steps
from hybrid_runtime.bench.placement import started
from hybrid_runtime.bench.quantiles import quantiles
from hybrid_runtime.bench.report import Batch, Refill, Report, ratios
from hybrid_runtime.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hybrid_runtime.bench.plan import Plan
    from hybrid_runtime.local import LocalRuntime

_BATCH_QUBITS = 4


class Suite:
    """One run: a report that fills up, and the runtimes that several measurements use."""

    def __init__(self, plan: Plan, stack: ExitStack) -> None:
        self._plan = plan
        self._stack = stack
        self._clients: dict[str, LocalRuntime] = {}
        self._before = machine.watch()
        self.report = Report(
            taken_at=datetime.now(UTC).isoformat(timespec="seconds"), quick=plan.quick, machine=machine.describe()
        )

    def _client(self, backend: str) -> LocalRuntime:
        """A runtime as it is by default; it stays up until the end of the run."""
        if backend not in self._clients:
            self._clients[backend] = self._stack.enter_context(started(backend, Placement.AUTO))
        return self._clients[backend]

    def _isolated(self, level: str) -> None:
        self.report.machine = msgspec.structs.replace(self.report.machine, isolation=level)

    def finish(self, duration_s: float) -> Report:
        """The report, with what follows from all of it."""
        report = self.report
        report.ratios = ratios(report)
        report.duration_s = duration_s
        report.warnings = machine.warnings(report.machine, self._before)
        if report.quick:
            report.warnings.append("a quick run: too few samples for more than a first impression")
        report.machine = msgspec.structs.replace(report.machine, load_after=os.getloadavg())
        return report

    # ------------------------------------------------------------------ the measurements

    def step(self) -> None:
        """A step by channel and placement."""
        for channel in steps.CHANNELS:
            reason = steps.missing(channel)
            if reason is None:
                self.report.step_s[channel], isolation = steps.by_placement(channel, self._plan)
                self._isolated(isolation)
            else:
                self.report.absent[f"step_s.{channel}"] = reason

    def floor(self) -> None:
        """The C floor."""
        try:
            self.report.floor_c_s = floor.measure(self._plan.floor_rounds)
        except floor.NoFloor as error:
            self.report.absent["floor_c_s"] = str(error)

    def warm(self) -> None:
        """Warm initialization and termination."""
        found = startup.jobs(self._client("null"), self._plan.jobs)
        self.report.initialize_warm_s = quantiles(found.initialize)
        self.report.terminate_s = quantiles(found.terminate)
        self._isolated(found.isolation)

    def cold(self) -> None:
        """Cold initialization."""
        self.report.initialize_cold_s = quantiles(startup.cold(self._plan.cold_starts))

    def refill(self) -> None:
        """How quickly workers are made."""
        taken, rate = startup.refill(self._plan.refills)
        self.report.refill = Refill(ready_s=quantiles(taken), workers_per_s=rate)

    def payload(self) -> None:
        """A step by how many numbers it sends."""
        self.report.payload = steps.by_slots(self._client("null"), self._plan)

    def journal(self) -> None:
        """A step by what is kept of it."""
        self.report.journal = steps.by_journal(self._client("null"), self._plan)

    def batch(self) -> None:
        """Steps of several parameter sets."""
        for backend in ("null", "qulacs"):
            rows = steps.by_rows(self._client(backend), self._plan, _BATCH_QUBITS)
            self.report.batch[backend] = Batch(step_s=rows, speedup=steps.speedup(rows))

    def emulator(self) -> None:
        """The emulator by itself."""
        taken = loops.emulator(self._plan.executions)
        self.report.emulator = {str(qubits): quantiles(seconds) for qubits, seconds in taken.items()}

    def vqe(self) -> None:
        """H2 with the runtime and without."""
        self.report.vqe = loops.compare(self._client("qulacs"), "vqe", self._plan.loop_repetitions)

    def qaoa(self) -> None:
        """A maximum cut with the runtime and without."""
        self.report.qaoa = loops.compare(self._client("qulacs"), "qaoa", self._plan.loop_repetitions)

    def peers(self) -> None:
        """The same step by other means."""
        for candidate in peers.CANDIDATES:
            self.report.peers[candidate.name] = peers.measure(candidate, self._plan)


# What `--only` can name. The floor comes first, next to the steps that are compared with it.
MEASUREMENTS: dict[str, Callable[[Suite], None]] = {
    "floor": Suite.floor,
    "step": Suite.step,
    "warm": Suite.warm,
    "cold": Suite.cold,
    "refill": Suite.refill,
    "payload": Suite.payload,
    "journal": Suite.journal,
    "batch": Suite.batch,
    "emulator": Suite.emulator,
    "vqe": Suite.vqe,
    "qaoa": Suite.qaoa,
    "peers": Suite.peers,
}


def run(plan: Plan, only: Sequence[str] | None, say: Callable[[str], None]) -> Report:
    """Take the measurements named, or all of them.

    Args:
        plan: How much is measured.
        only: Names from `MEASUREMENTS`.
        say: Told what is being measured.
    """
    start = time.monotonic()
    with ExitStack() as stack:
        suite = Suite(plan, stack)
        for name, measure in MEASUREMENTS.items():
            if only and name not in only:
                continue
            say((measure.__doc__ or name).rstrip("."))
            measure(suite)
    return suite.finish(time.monotonic() - start)
