from __future__ import annotations

from hybrid_runtime.classical.isolation import available
from hybrid_runtime.cli.doctor import examine, lines_of


def test_every_level_is_reported_with_what_it_keeps_and_leaves():
    report = examine()
    found = {name: level["why_not"] for name, level in report["levels"].items()}
    assert found == {level.value: why for level, why in available().items()}
    assert all(level["keeps"] and level["leaves"] for level in report["levels"].values())
    assert report["default"] in (None, *found)
    if report["default"]:
        assert report["pool"]["warm"] >= 1
        assert report["pool"]["first_worker_s"] > 0


def test_a_host_without_levels_is_told_why_and_nothing_is_tried():
    report = {
        "default": None,
        "levels": {
            "strict": {"available": False, "why_not": "the kernel is too old", "keeps": "all", "leaves": "some"}
        },
        "host": {"kernel": "Linux 4.18"},
        "worker_limits": {
            "memory_bytes": 2 << 30,
            "scratch_bytes": 1 << 28,
            "scratch_inodes": 4096,
            "threads": 16,
            "open_files": 256,
        },
        "pool": None,
    }
    text = "\n".join(lines_of(report))
    assert "strict: not available" in text
    assert "the kernel is too old" in text
    assert "not tried, for want of a level" in text
    assert "2048 MiB of memory, 256 MiB and 4096 files" in text


def test_a_worker_that_could_not_be_started_is_told():
    report = examine() | {"pool": {"error": "the fork server is gone"}}
    assert "no worker could be started: the fork server is gone" in "\n".join(lines_of(report))
