from __future__ import annotations

import os
import re
import select
import signal

import pytest

STEPS = """\
from hybrid_runtime import Circuit, HybridAlgorithm

BELL = Circuit("version 3.0; qubit[2] q; bit[2] b; H q[0]; CNOT q[0], q[1]; b = measure q")


class Steps(HybridAlgorithm):
    def initialize(self, context):
        return BELL

    def execute(self, results):
        if not hasattr(self, "told"):
            self.told = True
            print("ready", flush=True)
        return BELL

    def finalize(self, history):
        return {"reason": history.stop_reason, "steps": history.steps}
"""

COMPUTES = """\
from hybrid_runtime import HybridAlgorithm


class Computes(HybridAlgorithm):
    def initialize(self, context):
        print("ready", flush=True)
        while True:
            pass
"""

STUBBORN = """\
from hybrid_runtime import hybrid


@hybrid
def stubborn(context):
    while True:
        try:
            print("ready", flush=True)
            while True:
                pass
        except BaseException:
            pass
"""


@pytest.fixture
def start(qi_run):
    """Start a file with the command and wait until its algorithm says that it is ready."""

    def ready(text, *arguments):
        process = qi_run.start("run", qi_run.file("a.py", text), *arguments)
        wait_for("ready", process)
        return process

    return ready


def wait_for(text, process):
    """Read the command's messages up to one that holds this text."""
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"the command ended without saying {text!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_first_signal_lets_the_algorithm_finalize(qi_run, start, number):
    process = start(STEPS, "--json")
    process.send_signal(number)
    ran = qi_run.end(process)
    assert ran.code == 0
    assert (ran.told["state"], ran.told["stop_reason"]) == ("completed", "cancelled")
    assert ran.told["result"] == {"reason": "cancelled", "steps": ran.told["steps"]}
    assert "press Ctrl-C again to kill it" in ran.err


def test_an_algorithm_that_computes_is_interrupted(qi_run, start):
    process = start(COMPUTES, "--json")
    process.send_signal(signal.SIGINT)
    ran = qi_run.end(process)
    assert ran.code == 4
    assert (ran.told["state"], ran.told["stop_reason"]) == ("cancelled", "cancelled")
    # The signal may still have met the algorithm while it was printing.
    assert re.search(r"cancelled before its first step \(a.py, line [678], in initialize\)", ran.told["error"]["text"])


def test_a_second_signal_kills_an_algorithm_that_does_not_stop(qi_run, start):
    process = start(STUBBORN, "--json")
    process.send_signal(signal.SIGINT)
    wait_for("press Ctrl-C again", process)
    process.send_signal(signal.SIGINT)
    ran = qi_run.end(process)
    assert ran.code == 4
    assert ran.told["state"] == "cancelled"
    assert ran.told["error"]["kind"] == "JobCancelled"
    assert "killing the algorithm" in ran.err


def test_an_algorithm_that_does_not_stop_is_killed_when_its_grace_is_over(qi_run, start):
    process = start(STUBBORN, "--json", "--limit", "finalize=200ms")
    process.send_signal(signal.SIGINT)
    ran = qi_run.end(process)
    assert ran.code == 4
    assert "did not stop within 0.2 s" in ran.told["error"]["text"]


def test_a_signal_while_the_runtime_starts_is_heeded_as_well(qi_run):
    qi_run.file("a.py", STEPS)
    process = qi_run.start("run", "a.py", "--json")
    # The node is the first process that the command starts.
    while process.poll() is None and not children(process.pid):
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    ran = qi_run.end(process)
    assert ran.code in (0, 4)
    assert "Traceback" not in ran.err


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def test_the_runtime_ends_with_a_command_that_is_killed(qi_run, start):
    process = start(STEPS)
    runtime = set(qi_run.processes()) - {process.pid}
    # A node, a quantum runtime, a fork server and a worker, at least.
    assert len(runtime) >= 4
    process.kill()
    qi_run.end(process)
    wait_until_gone(runtime)


def wait_until_gone(pids):
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([pidfd], [], [], 30)[0], f"process {pid} goes on"
        finally:
            os.close(pidfd)
