from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hybrid_runtime.bench.placement import Cores, Placement, confined, descendants, possible, spread

ALLOWED = os.sched_getaffinity(0)
SHOW = "import os; print(*sorted(os.sched_getaffinity(0)))"


def cores_of_a_child():
    shown = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True).stdout
    return {int(core) for core in shown.split()}


def test_on_the_same_core_children_stay_on_one_and_we_are_let_go_afterwards():
    with confined(Placement.SAME_CORE):
        assert cores_of_a_child() == {max(ALLOWED)}
    assert os.sched_getaffinity(0) == ALLOWED


def test_we_are_let_go_when_something_fails():
    with pytest.raises(RuntimeError), confined(Placement.SAME_CORE):
        raise RuntimeError
    assert os.sched_getaffinity(0) == ALLOWED


@pytest.mark.parametrize("placement", [Placement.FREE, Placement.SPREAD])
def test_other_placements_do_not_confine_what_is_started(placement):
    with confined(placement):
        assert cores_of_a_child() == ALLOWED


def test_spread_gives_worker_and_dispatcher_cores_of_their_own():
    worker, dispatcher, quantum = Cores(Placement.SPREAD).in_order()
    assert {worker, dispatcher, quantum} <= ALLOWED
    assert (worker != dispatcher) is (len(ALLOWED) > 1)
    assert (quantum not in (worker, dispatcher)) is (len(ALLOWED) > 2)


def test_free_leaves_the_choice_to_the_kernel():
    assert Cores(Placement.FREE).in_order() == (-1, -1, -1)


def test_on_a_single_core_there_is_one_placement(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})
    assert possible() == [Placement.SAME_CORE]


def test_the_processes_of_a_runtime_are_spread_by_what_they_are():
    code = f"import sys; print('here', flush=True); sys.stdin.readline(); {SHOW}"
    modules = ("hybrid_runtime.classical.forkserver", "hybrid_runtime.node", "hybrid_runtime.quantum.runtime", "other")
    processes = [
        subprocess.Popen([sys.executable, "-c", code, module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for module in modules
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
    assert {process.pid for process in processes} <= set(descendants(os.getpid()))
    spread([process.pid for process in processes])
    found = [[int(core) for core in process.communicate("\n")[0].split()] for process in processes]
    assert found == [*([core] for core in Cores(Placement.SPREAD).in_order()), sorted(ALLOWED)]


def test_processes_that_have_ended_are_left_out():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    spread([process.pid])
    assert process.pid not in descendants(os.getpid())
