from __future__ import annotations

import subprocess
import sys
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


@pytest.mark.skipif(available()[Level.LANDLOCK] is not None, reason="the host has no Landlock")
def test_whoever_renounces_the_outside_reads_files_and_writes_none(tmp_path):
    program = f"""
import os
from hybrid_runtime.process import renounce

os.chdir({str(tmp_path)!r})
renounce(outside=True)
assert open("there").read() == "before"
done = []
for name, change in {{
    "write": lambda: open("there", "w"),
    "make": lambda: open("new", "w"),
    "make folder": lambda: os.mkdir("folder"),
    "remove": lambda: os.remove("there"),
    "move": lambda: os.rename("there", "elsewhere"),
    "link": lambda: os.symlink("there", "link"),
    "truncate": lambda: os.truncate("there", 0),
}}.items():
    try:
        change()
    except PermissionError:
        continue
    done.append(name)
print(done)
"""
    (tmp_path / "there").write_text("before")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "[]\n"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("driver", ["null", "qulacs", "paced"])
def test_no_quantum_runtime_leaves_a_core_dump(started, driver):
    limits = (started(driver) / "limits").read_text().splitlines()
    assert next(line for line in limits if "core file" in line).split()[4:6] == ["0", "0"]


@pytest.mark.parametrize("driver", ["null", "qulacs", "paced"])
def test_no_quantum_runtime_can_gain_privileges(started, driver):
    assert "NoNewPrivs:\t1" in (started(driver) / "status").read_text()
