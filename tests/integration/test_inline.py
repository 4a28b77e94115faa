"""Brief circuits run in the dispatcher's process, with the results and the recovery that they have elsewhere."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from hybrid_runtime import Circuit, hybrid
from hybrid_runtime.local import LocalRuntime
from hybrid_runtime.protocol import lines

from .conftest import children

pytestmark = pytest.mark.skipif(not lines.available(), reason="this processor cannot look for messages")

ANSATZ = Circuit("version 3.0\nqubit[2] q\nbit[2] b\nRy({a}) q[0]\nCNOT q[0], q[1]\nb = measure q", parameters=["a"])
MIDWAY = Circuit("version 3.0\nqubit[1] q\nbit[2] b\nH q[0]\nb[0] = measure q[0]\nX q[0]\nb[1] = measure q[0]")
# More than it takes until brief steps are run in the dispatcher without waiting for quiet.
MANY = 1300
# So many rows take long enough to be run by two processes.
ROWS = 3000


@hybrid
def mixed(context):
    """Single circuits, several, many rows of one, those with observables or exact, and one that is not brief."""
    found = []
    for number in range(context.parameters["steps"]):
        circuit = ANSATZ.bind(a=0.01 * number)
        found.append(context.run(circuit).counts)
        if number % 10 == 0:
            found.append([result.counts for result in context.run([circuit, circuit.with_shots(5)])])
            found.append(context.run(circuit, shots=None).probabilities)
            found.append(context.run(MIDWAY).counts)
        if number % 100 == 0:
            many = context.run([ANSATZ.bind(a=0.001 * row) for row in range(ROWS)])
            found.append([(result.seed, result.counts) for result in many])
    return found


def quantum_runtime(client):
    """The process id of the backend's own process."""
    (pid,) = (pid for pid in children(client._node.pid) if Path(f"/proc/{pid}/comm").read_text().startswith("quantum"))
    return pid


def maps_qulacs(pid):
    return "qulacs" in Path(f"/proc/{pid}/maps").read_text()


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("placement", ["inline", "spin"])
def test_results_are_the_same_wherever_circuits_run(placement, elsewhere):
    with LocalRuntime(placement=placement) as client:
        client.run(mixed, parameters={"steps": 2}).raise_for_error()
        if placement == "inline":
            until(lambda: maps_qulacs(client._node.pid))
        value = client.run(mixed, parameters={"steps": 60}, seed=3).raise_for_error().value
    assert value == elsewhere


@pytest.fixture(scope="module")
def elsewhere():
    """What the same job gives where every process sleeps until it is woken."""
    with LocalRuntime(placement="free") as client:
        return client.run(mixed, parameters={"steps": 60}, seed=3).raise_for_error().value


def test_a_job_of_many_steps_changes_over_while_it_runs():
    with LocalRuntime(placement="inline") as client:
        job = client.submit(mixed, parameters={"steps": MANY}, seed=3)
        changed = job.result().raise_for_error()
        assert maps_qulacs(client._node.pid)
        again = client.run(mixed, parameters={"steps": MANY}, seed=3).raise_for_error()
    assert changed.value == again.value
    assert changed.steps == again.steps


def test_a_job_does_not_notice_that_the_idle_quantum_runtime_is_lost():
    with LocalRuntime(placement="inline") as client:
        client.run(mixed, parameters={"steps": 2}).raise_for_error()
        until(lambda: maps_qulacs(client._node.pid))
        undisturbed = client.run(mixed, parameters={"steps": 400}, seed=3).raise_for_error()
        job = client.submit(mixed, parameters={"steps": 400}, seed=3)
        for _ in job.events():
            if job.steps:
                os.kill(quantum_runtime(client), signal.SIGKILL)
                break
        result = job.result().raise_for_error()
    assert (result.value, result.steps) == (undisturbed.value, undisturbed.steps)


def test_with_other_placements_no_circuit_comes_near_the_dispatcher():
    with LocalRuntime(placement="spin") as client:
        client.run(mixed, parameters={"steps": MANY}).raise_for_error()
        assert not maps_qulacs(client._node.pid)
