from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hybrid_runtime.bench.placement import confined, descendants, elsewhere, in_order, possible
from hybrid_runtime.placement import Placement
from hybrid_runtime.protocol import lines

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


def test_free_leaves_the_choice_to_the_kernel():
    assert in_order(Placement.FREE) == (-1, -1, -1)


def test_on_a_single_core_there_is_nothing_to_spread(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})
    assert elsewhere() == [Placement.SAME_CORE]
    assert possible() == [Placement.INLINE, Placement.SPIN, Placement.SAME_CORE]


def test_what_needs_another_processor_is_not_measured(monkeypatch):
    monkeypatch.setattr(lines, "available", lambda: False)
    assert possible() == elsewhere()


def test_the_processes_below_one_are_found_and_those_that_have_ended_are_left_out():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.pid in descendants(os.getpid())
        process.communicate(b"\n")
    assert process.pid not in descendants(os.getpid())
