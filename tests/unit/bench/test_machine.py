from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from hybrid_runtime.bench import machine
from hybrid_runtime.bench.machine import Disturbance, Machine, warnings

QUIET = Disturbance(cores=0.0, processes=[], stolen=0.0)


@pytest.fixture(autouse=True)
def _no_tool_is_watching(monkeypatch):
    monkeypatch.setattr(sys, "gettrace", lambda: None)


def a_machine(**changes):
    made = Machine(
        cpu="a processor",
        cores=2,
        virtual=True,
        kernel="6.1",
        python="CPython 3.11",
        versions={},
        governor=None,
        load_before=(0.0, 0.0, 0.0),
    )
    return msgspec.structs.replace(made, **changes)


def test_an_idle_machine_gives_no_warning():
    assert warnings(a_machine(load_before=(0.9, 5.0, 5.0)), QUIET) == []


def test_a_high_load_average_is_told_in_words():
    (warning,) = warnings(a_machine(load_before=(1.1, 0.0, 0.0)), QUIET)
    assert warning == "taken under load: the load average was 1.1 on 2 cores beforehand"


def test_busy_processes_are_named():
    seen = Disturbance(cores=1.3, processes=[("cc1", 0.99), ("python", 0.31)], stolen=0.0)
    (warning,) = warnings(a_machine(), seen)
    assert warning == (
        "taken under load: other processes kept 1.3 of 2 cores busy beforehand: "
        "cc1 (99% of a core), python (31% of a core)"
    )


def test_time_that_the_hypervisor_takes_is_told():
    (warning,) = warnings(a_machine(), Disturbance(cores=0.0, processes=[], stolen=0.5))
    assert "hypervisor gave 0.5 cores" in warning


@pytest.mark.parametrize(("governor", "told"), [("performance", False), (None, False), ("powersave", True)])
def test_a_frequency_that_varies_is_told(governor, told):
    assert bool(warnings(a_machine(governor=governor), QUIET)) is told


def test_this_machine_can_be_described():
    found = machine.describe()
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.cpu
    assert found.kernel == os.uname().release
    assert found.versions["numpy"]


def test_a_process_that_computes_is_seen():
    loop = "print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", loop], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        before = machine._Snapshot()
        while machine._Snapshot().used.get(process.pid, 0) < before.used[process.pid] + 5:
            pass
        after = machine._Snapshot()
        process.kill()
    assert after.cpu[0] >= before.cpu[0] + 5
    assert after.names[process.pid].startswith("python")


def test_watching_gives_shares_that_can_be():
    seen = machine.watch(0.05)
    assert 0 <= seen.cores <= (os.cpu_count() or 1) + 1
    assert len(seen.processes) <= 3
