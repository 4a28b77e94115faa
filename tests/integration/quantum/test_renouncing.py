from __future__ import annotations

from pathlib import Path

import pytest

from hybrid_runtime.classical.isolation import available
from hybrid_runtime.classical.sandbox import Level
from hybrid_runtime.quantum.process import QuantumProcess

STRICT = available()[Level.STRICT]


@pytest.fixture
def started():
    processes = []

    def start(driver: str) -> Path:
        processes.append(QuantumProcess(driver))
        processes[-1].channel.receive(20.0)
        return Path(f"/proc/{processes[-1].pid}")

    yield start
    for process in processes:
        process.close()


@pytest.mark.skipif(STRICT is not None, reason="the host has no namespaces to give")
@pytest.mark.parametrize("driver", ["null", "qulacs"])
def test_an_emulator_has_no_network(started, driver):
    assert (started(driver) / "ns/net").readlink() != Path("/proc/self/ns/net").readlink()


def test_a_driver_that_may_reach_a_device_keeps_its_network(started):
    assert (started("paced") / "ns/net").readlink() == Path("/proc/self/ns/net").readlink()


@pytest.mark.parametrize("driver", ["null", "qulacs", "paced"])
def test_no_quantum_runtime_can_gain_privileges(started, driver):
    assert "NoNewPrivs:\t1" in (started(driver) / "status").read_text()
