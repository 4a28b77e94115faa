from __future__ import annotations

import pytest

from hybrid_runtime.quantum import memory


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A machine with 8 GiB free and this process in the control group /jobs/one."""
    (tmp_path / "meminfo").write_text("MemTotal: 16777216 kB\nMemAvailable:    8388608 kB\n")
    (tmp_path / "own").write_text("3:cpu:/elsewhere\n0::/jobs/one\n")
    root = tmp_path / "groups"
    (root / "jobs" / "one").mkdir(parents=True)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(memory, "_GROUPS", root)
    return root


def test_free_memory_counts_where_no_group_limits_it(groups):
    (groups / "jobs" / "memory.max").write_text("max\n")
    assert memory.available_bytes() == 8 << 30


def test_the_lowest_limit_of_the_groups_above_counts(groups):
    (groups / "jobs" / "one" / "memory.max").write_text(f"{2 << 30}\n")
    (groups / "jobs" / "memory.max").write_text(f"{1 << 30}\n")
    assert memory.available_bytes() == 1 << 30


def test_this_machine_has_some_memory():
    assert memory.available_bytes() > 1 << 20
