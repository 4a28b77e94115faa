"""A report as a run would make it, without running anything."""

from __future__ import annotations

import pytest

from hybrid_runtime.bench.loops import Comparison
from hybrid_runtime.bench.machine import Machine
from hybrid_runtime.bench.peers import Peer
from hybrid_runtime.bench.quantiles import Quantiles
from hybrid_runtime.bench.report import Batch, Refill, Report, ratios


def around(p50):
    return Quantiles(p50, 2 * p50, 3 * p50, 4 * p50, 1000)


def make_report():
    machine = Machine(
        cpu="a processor",
        cores=2,
        virtual=False,
        kernel="6.1",
        python="CPython 3.11",
        versions={"numpy": "2.1"},
        governor=None,
        load_before=(0.1, 0.2, 0.3),
        load_after=(0.4, 0.5, 0.6),
        isolation="strict",
    )
    report = Report(
        taken_at="2026-01-02T03:04:05+00:00",
        quick=False,
        duration_s=100.0,
        warnings=["taken under load: somebody compiled"],
        machine=machine,
        initialize_warm_s=around(1e-3),
        initialize_cold_s=around(0.5),
        step_s={
            "seqpacket": {"same-core": around(10e-6), "free": around(20e-6), "spread": around(90e-6)},
            "zeromq": {"free": around(80e-6)},
        },
        terminate_s=around(100e-6),
        payload={"0": around(10e-6), "512": around(30e-6)},
        journal={"none": around(9e-6), "own": around(10e-6)},
        batch={"null": Batch(step_s={"1": around(10e-6), "1000": around(500e-6)}, speedup=20.0)},
        refill=Refill(ready_s=around(3e-3), workers_per_s=300.0),
        floor_c_s={"seqpacket": {"same-core": around(5e-6), "free": around(8e-6)}, "spin": {"spread": around(1e-6)}},
        emulator={"2": around(12e-6)},
        vqe=Comparison(evaluations=200, runtime_s=0.11, alone_s=0.1, overhead=0.1, same_result=True, repetitions=7),
        peers={
            "Pyro5": Peer(package="Pyro5", status="measured", version="5", step_s={"free": around(200e-6)}),
            "Ray actor": Peer(package="ray", status="not installed", reason="ray is not installed"),
        },
        absent={"step_s.other": "there is no other"},
    )
    report.ratios = ratios(report)
    return report


@pytest.fixture
def report():
    """One in which everything was measured but QAOA."""
    return make_report()
