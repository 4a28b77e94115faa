from __future__ import annotations

import shutil

import pytest

from hybrid_runtime.bench import floor
from hybrid_runtime.bench.placement import elsewhere
from hybrid_runtime.placement import Placement

has_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler")


@has_compiler
def test_every_mode_gives_a_time_for_each_round():
    with floor.compiled() as program:
        for mode in floor.MODES:
            times = floor.take(program, mode, Placement.FREE, 50)
            assert len(times) == 50
            assert min(times) > 0
    assert not program.exists()


@has_compiler
def test_every_placement_is_measured_but_spinning_on_one_core():
    found = floor.measure(20)
    placements = {placement.value for placement in elsewhere()}
    assert {mode: set(placed) for mode, placed in found.items()} == {
        "seqpacket": placements,
        "futex": placements,
        "spin": placements - {"same-core"},
    }


def test_without_a_compiler_it_says_so(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(floor.NoFloor, match="no C compiler"):
        floor.measure(1)


def test_a_compiler_that_fails_is_told(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: "/bin/false")
    with pytest.raises(floor.NoFloor, match="false failed"):
        floor.measure(1)
