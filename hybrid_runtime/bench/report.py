"""Everything that a run of the benchmarks found, as it is written to JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from hybrid_runtime.bench.loops import Comparison
from hybrid_runtime.bench.machine import Machine
from hybrid_runtime.bench.peers import Peer
from hybrid_runtime.bench.quantiles import Quantiles

REPORT_VERSION = 1

# Table I of Schusler et al., QCE 2023; its first entry is quoted as it is printed.
PAPER = {"initialization": "3 s 792 us", "execution": "17 us", "termination": "200 us"}
PAPER_EXECUTION_S = 17e-6
PAPER_TERMINATION_S = 200e-6

Placed = dict[str, Quantiles]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Steps of several parameter sets each.

    Attributes:
        step_s: A step by how many sets it has.
        speedup: How much quicker one step of most sets is than as many steps of one set each.
    """

    step_s: dict[str, Quantiles]
    speedup: float


class Refill(msgspec.Struct, frozen=True, kw_only=True):
    """How quickly workers are made: from the request for one until it is ready for a job."""

    ready_s: Quantiles
    workers_per_s: float


class Report(msgspec.Struct, kw_only=True):
    """What was measured, in seconds; None or empty what was not, and then `absent` says why, by the same name.

    Attributes:
        version: Version of this format.
        taken_at: When the run began: UTC, ISO 8601.
        quick: Whether it was the short run.
        duration_s: How long the run took.
        warnings: What a reader must know before believing the figures.
        machine: What they were taken on.
        paper: Table I of the paper.
        initialize_warm_s: Bundle handed to a waiting worker until its first circuit was received.
        initialize_cold_s: The same from nothing, with the start of all processes.
        step_s: One step as the algorithm sees it, by channel and placement.
        terminate_s: Last results handed to the worker until the final result was recorded.
        payload: A step by how many numbers it sends.
        journal: A step by what is kept of it: `none`, the runtime's `own` journal, one forced to the disk by `group`.
        batch: Steps of several parameter sets, by backend.
        refill: How quickly workers are made.
        floor_c_s: A step's messages in C and nothing else, by mode and placement.
        ratios: Figures of this run divided by each other.
        emulator: A dense circuit of so many qubits and 1024 shots on the emulator, without the runtime.
        vqe: H2 by COBYLA, with the runtime and without.
        qaoa: A maximum cut by COBYLA, likewise.
        peers: The same step by other means.
        absent: Why something was not measured.
    """

    version: int = REPORT_VERSION
    taken_at: str
    quick: bool
    duration_s: float = 0.0
    warnings: list[str] = []
    machine: Machine
    paper: dict[str, str] = msgspec.field(default_factory=lambda: dict(PAPER))
    initialize_warm_s: Quantiles | None = None
    initialize_cold_s: Quantiles | None = None
    step_s: dict[str, Placed] = {}
    terminate_s: Quantiles | None = None
    payload: dict[str, Quantiles] = {}
    journal: dict[str, Quantiles] = {}
    batch: dict[str, Batch] = {}
    refill: Refill | None = None
    floor_c_s: dict[str, Placed] = {}
    ratios: dict[str, float] = {}
    emulator: dict[str, Quantiles] = {}
    vqe: Comparison | None = None
    qaoa: Comparison | None = None
    peers: dict[str, Peer] = {}
    absent: dict[str, str] = {}

    def to_dict(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made


def ratios(report: Report) -> dict[str, float]:
    """What can be compared within one run, where both parts were measured.

    ====================== ==================================================================
    key                    medians
    ====================== ==================================================================
    `step/floor PLACEMENT` a step over SEQPACKET by the C floor at the same placement
    `step/floor best`      the best of our placements by the best of the floor's, SEQPACKET
    `peer/step NAME`       the best of a peer's placements by the best of ours, SEQPACKET
    `cold/warm`            cold by warm initialization
    `paper/step`           the paper's execution by the best of our placements
    `paper/terminate`      the paper's termination by ours
    ====================== ==================================================================
    """
    found: dict[str, float] = {}
    ours, floor = report.step_s.get("seqpacket", {}), report.floor_c_s.get("seqpacket", {})
    for placement in ours.keys() & floor.keys():
        found[f"step/floor {placement}"] = ours[placement].p50 / floor[placement].p50
    if ours:
        best = min(step.p50 for step in ours.values())
        found["paper/step"] = PAPER_EXECUTION_S / best
        if floor:
            found["step/floor best"] = best / min(step.p50 for step in floor.values())
        for name, peer in report.peers.items():
            if peer.step_s:
                found[f"peer/step {name}"] = min(step.p50 for step in peer.step_s.values()) / best
    if report.initialize_cold_s and report.initialize_warm_s:
        found["cold/warm"] = report.initialize_cold_s.p50 / report.initialize_warm_s.p50
    if report.terminate_s:
        found["paper/terminate"] = PAPER_TERMINATION_S / report.terminate_s.p50
    return dict(sorted(found.items()))
