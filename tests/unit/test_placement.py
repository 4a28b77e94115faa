from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hybrid_runtime import config, handoff, placement
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.placement import Cores, Placement, on_core, parse, processor_time, settled
from hybrid_runtime.protocol import lines

ALLOWED = os.sched_getaffinity(0)
QUICK, SLOW = 3e-6, 50e-6


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """A host of four cores on which looking and waking take what is put into the list; how often it was measured."""
    found: list[handoff.Handoff] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(placement, "processor_time", lambda: 4.0)
    monkeypatch.setattr(lines, "available", lambda: True)
    monkeypatch.setattr(handoff, "measure", lambda: found.pop(0))
    return found


def test_every_placement_is_known_by_its_name_and_others_are_refused():
    for one in Placement:
        assert parse(one.value) is one
    with pytest.raises(InvalidInput, match="auto, inline, spin, same-core, free, spread"):
        parse("everywhere")


def test_what_is_asked_for_is_what_is_had():
    for one in (Placement.SAME_CORE, Placement.FREE, Placement.SPREAD):
        assert settled(one) is one


def test_only_to_spin_takes_patience():
    assert [one for one in Placement if one.patience_s] == [Placement.INLINE, Placement.SPIN]


def test_auto_spins_and_runs_brief_circuits_where_that_is_quicker(measured):
    measured.append(handoff.Handoff(QUICK, SLOW))
    assert settled(Placement.AUTO) is Placement.INLINE


def test_where_users_share_a_dispatcher_auto_runs_no_circuits_in_it(measured):
    measured.append(handoff.Handoff(QUICK, SLOW))
    assert settled(Placement.AUTO, shared=True) is Placement.SPIN
    assert settled(Placement.INLINE, shared=True) is Placement.INLINE


def test_auto_does_not_spin_where_that_is_slower(measured):
    measured.append(handoff.Handoff(SLOW, QUICK))
    assert settled(Placement.AUTO) is Placement.FREE


def test_what_was_measured_is_kept(measured):
    measured.append(handoff.Handoff(QUICK, SLOW))
    assert [settled(Placement.AUTO) for _ in range(3)] == [Placement.INLINE] * 3


def test_what_was_kept_by_something_else_is_measured_again(measured):
    measured += [handoff.Handoff(QUICK, SLOW), handoff.Handoff(SLOW, QUICK)]
    settled(Placement.AUTO)
    (kept,) = config.cache_folder().iterdir()
    kept.write_text('{"other": 1}')
    assert settled(Placement.AUTO) is Placement.FREE
    assert json.loads(kept.read_text()) == {"looking_s": SLOW, "waking_s": QUICK}


def test_it_is_measured_each_time_where_it_cannot_be_kept(measured, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    measured += [handoff.Handoff(QUICK, SLOW), handoff.Handoff(SLOW, QUICK)]
    assert [settled(Placement.AUTO), settled(Placement.AUTO)] == [Placement.INLINE, Placement.FREE]


def test_auto_does_not_spin_where_there_is_no_processor_time_for_it(measured, monkeypatch):
    monkeypatch.setattr(placement, "processor_time", lambda: 1.5)
    assert settled(Placement.AUTO) is Placement.FREE


def test_on_other_processors_auto_does_not_spin_and_nobody_can(measured, monkeypatch):
    monkeypatch.setattr(lines, "available", lambda: False)
    assert settled(Placement.AUTO) is Placement.FREE
    for one in (Placement.SPIN, Placement.INLINE):
        with pytest.raises(InvalidInput, match=f"{one} needs an x86-64"):
            settled(one)


def test_the_quotas_of_all_control_groups_above_count(monkeypatch, tmp_path):
    groups = tmp_path / "groups"
    lineage = Path("/proc/self/cgroup").read_text().strip().rpartition("0::")[2].lstrip("/")
    inner = groups / lineage / "inner"
    inner.mkdir(parents=True)
    monkeypatch.setattr(placement, "_GROUPS", groups)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    assert processor_time() == 8
    (groups / "cpu.max").write_text("350000 100000\n")
    assert processor_time() == 3.5
    (groups / "cpu.max").write_text("max 100000\n")
    assert processor_time() == 8


def test_spread_gives_worker_and_dispatcher_cores_of_their_own():
    cores = Cores(Placement.SPREAD)
    assert {cores.worker, cores.dispatcher, cores.quantum} <= ALLOWED
    assert (cores.worker != cores.dispatcher) is (len(ALLOWED) > 1)
    assert (cores.quantum not in (cores.worker, cores.dispatcher)) is (len(ALLOWED) > 2)


def test_what_is_started_on_a_core_stays_there_and_we_are_let_go_afterwards():
    core = max(ALLOWED)
    with on_core(core):
        shown = subprocess.check_output([sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"])
    assert shown.split() == [str(core).encode()]
    assert os.sched_getaffinity(0) == ALLOWED


def test_without_a_core_nothing_is_kept_anywhere():
    with on_core(None):
        assert os.sched_getaffinity(0) == ALLOWED


@pytest.mark.skipif(not lines.available(), reason="this processor cannot look for messages")
def test_the_hand_off_can_be_measured_here():
    found = handoff.measure()
    assert 0 < found.looking_s < 1
    assert 0 < found.waking_s < 1
