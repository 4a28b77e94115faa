"""Jobs on backends of other makers, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from math import pi
from pathlib import Path

import pytest

from hybrid_runtime import Circuit, hybrid
from hybrid_runtime.job import JobState
from hybrid_runtime.local import LocalRuntime

HERE = Path(__file__).parent / "text_backends"
PATIENCE_S = 30.0


class Script:
    """One of the scripts beside, listening at loopback addresses."""

    def __init__(self, name: str, count: int) -> None:
        command = [sys.executable, str(HERE / name), *["tcp://127.0.0.1:0"] * count]
        # The script finds the modules beside it; the checks keep Python from that for themselves.
        environment = os.environ | {"PYTHONSAFEPATH": ""}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        self.addresses = [self.process.stdout.readline().strip() for _ in range(count)]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def script() -> Iterator:
    """Start scripts; they end with the test."""
    started = []

    def start(name, count=1):
        started.append(Script(name, count))
        return started[-1]

    yield start
    for each in started:
        each.close()


@hybrid
def rotate(context):
    """A step for each angle; what comes out is known for two of them, and half and half for the third."""
    circuit = Circuit(
        "version 3.0\nqubit[2] q\nbit[2] b\nRx({x}) q[0]\nCNOT q[0], q[1]\nb = measure q", parameters=["x"]
    )
    return [context.run(circuit.bind(x=angle)).counts for angle in (1e-9, pi, pi / 2)]


@hybrid
def choose(context):
    """Some bits of some qubits, into bits of other numbers."""
    return context.run(
        Circuit("version 3.0\nqubit[3] q\nbit[3] b\nX q[0]\nb[2] = measure q[0]\nb[1] = measure q[1]")
    ).counts


def check_rotations(result, shots):
    assert result.error is None
    low, high, even = result.value
    assert (low, high) == ({"00": shots}, {"11": shots})
    assert even.keys() == {"00", "11"}
    assert sum(even.values()) == shots


def test_the_quantum_runtime_of_the_paper_serves_a_job(script):
    (address,) = script("quantum_runtime.py").addresses
    with LocalRuntime(f"reqrep-text:{address}") as client:
        result = client.run(rotate, shots=300)
        check_rotations(result, 300)
        assert result.backend == "reqrep-text"
        assert client.run(choose, shots=100).value == {"100": 100}


def test_the_quantum_runtime_of_the_paper_may_die_under_a_job(script):
    runtime = script("quantum_runtime.py")
    with LocalRuntime(f"reqrep-text:{runtime.addresses[0]}", options={"timeout_s": 0.5}) as client:
        check_rotations(client.run(rotate, shots=100), 100)
        runtime.close()
        failed = client.run(rotate, shots=100)
        assert failed.state is JobState.FAILED
        assert failed.error is not None
        assert failed.error.family in ("BackendFailed", "BackendTimeout")
        assert runtime.addresses[0] in failed.error.text


def test_what_the_quantum_runtime_of_the_paper_says_of_a_bad_circuit_is_shown(script):
    (address,) = script("quantum_runtime.py").addresses
    with LocalRuntime(f"reqrep-text:{address}", options={"request": "version 1.0; nonsense {circuit}"}) as client:
        failed = client.run(rotate, shots=100)
    assert failed.error is not None
    assert "Quantum simulation error" in failed.error.text


def test_quantum_inspire_control_software_serves_a_job(script):
    requests, states = script("control_software.py", 2).addresses
    with LocalRuntime(f"qi-v3:{requests}", options={"status": states}) as client:
        result = client.run(rotate, shots=200)
        check_rotations(result, 200)
        assert result.backend == "twin"
        assert client.run(choose, shots=100).value == {"100": 100}


@pytest.mark.parametrize("each_step", [False, True])
def test_quantum_inspire_control_software_is_unlocked_for_the_next(script, each_step):
    requests, states = script("control_software.py", 2).addresses
    for _ in range(2):
        with LocalRuntime(f"qi-v3:{requests}", options={"status": states, "lock_each_step": each_step}) as client:
            check_rotations(client.run(rotate, shots=10), 10)


def test_quantum_inspire_control_software_that_is_in_use_fails_the_job(script):
    requests, states = script("control_software.py", 2).addresses
    with LocalRuntime(f"qi-v3:{requests}", options={"status": states}) as one:
        assert one.run(rotate, shots=10).error is None
        with LocalRuntime(f"qi-v3:{requests}", options={"status": states}) as two:
            refused = two.run(rotate, shots=10)
    assert refused.error is not None
    assert "another session holds the lock" in refused.error.text
