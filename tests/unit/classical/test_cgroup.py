"""Cgroups: finding them, and limits written where the kernel reads them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hybrid_runtime.classical import cgroup
from hybrid_runtime.classical.cgroup import Group, GroupLimits

MOUNT = "34 25 0:30 {root} {place} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
OTHER = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"


@pytest.fixture
def tables(tmp_path):
    """Writes what the kernel would show in mountinfo and cgroup; the arguments of `own_folder`."""

    def write(mounts: str, membership: str) -> tuple[Path, Path]:
        paths = tmp_path / "mountinfo", tmp_path / "cgroup"
        for path, text in zip(paths, (mounts, membership), strict=True):
            path.write_text(text)
        return paths

    return write


def test_the_own_group_is_found_below_the_mount(tables):
    given = tables(OTHER + MOUNT.format(root="/", place="/sys/fs/cgroup"), "0::/user.slice/job.scope\n")
    assert cgroup.own_folder(*given) == Path("/sys/fs/cgroup/user.slice/job.scope")


def test_a_mount_of_a_part_of_the_hierarchy_is_taken_into_account(tables):
    given = tables(MOUNT.format(root="/docker/abc", place="/sys/fs/cgroup"), "9:memory:/x\n0::/docker/abc/inner\n")
    assert cgroup.own_folder(*given) == Path("/sys/fs/cgroup/inner")


def test_a_host_without_version_2_has_none(tables):
    assert cgroup.own_folder(*tables(OTHER, "9:memory:/x\n")) is None
    assert cgroup.unavailable(None) == "no cgroup version 2 hierarchy is mounted"


def test_missing_controllers_are_named_with_the_remedy(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpu pids\n")
    reason = cgroup.unavailable(tmp_path)
    assert reason is not None
    assert reason.startswith(f"{tmp_path} has no controller memory: start in a unit with Delegate=yes")


def test_a_writable_group_with_all_controllers_will_do(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (tmp_path / "cgroup.procs").write_text("")
    assert cgroup.unavailable(tmp_path) is None


def test_limits_are_written_the_way_the_kernel_reads_them():
    limits = GroupLimits(memory_bytes=1 << 30, tasks=100, cpus=1.5)
    assert limits.settings() == {
        "memory.max": "1073741824",
        "memory.swap.max": "0",
        "pids.max": "100",
        "cpu.max": "150000 100000",
    }
    assert GroupLimits().settings() == {}


def test_a_limit_that_the_kernel_does_not_know_leaves_no_group_behind(tmp_path):
    # An ordinary directory, like a group without controllers, has no file to write a limit to.
    with pytest.raises(FileNotFoundError, match=r"memory\.max"):
        Group(tmp_path, "workers", GroupLimits(memory_bytes=1))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def real_folder() -> Path:
    folder = cgroup.own_folder()
    if folder is None or not os.access(folder, os.W_OK):
        pytest.skip("no cgroup version 2 that this user may write")
    return folder


def test_children_are_born_in_the_group_and_killed_with_it(real_folder):
    group = Group(real_folder, f"hybrid-runtime-test-{os.getpid()}", GroupLimits())
    program = "import os, sys; sys.stdin.read(1); os.fork(); os.write(1, b'born\\n'); sys.stdin.read()"
    command = [sys.executable, "-c", program]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            group.add(process.pid)
            process.stdin.write("go")
            process.stdin.flush()
            assert [process.stdout.readline(), process.stdout.readline()] == ["born\n"] * 2
            assert process.pid in group.pids()
            assert len(group.pids()) == 2
            with pytest.raises(OSError, match="still holds"):
                group.close()
            group.kill()
            assert process.wait() == -9
    finally:
        # The kernel counts a killed process in until it is reaped, here by init.
        while group.pids():
            os.sched_yield()
        group.close()
    assert not group.folder.exists()


def test_a_group_says_what_it_is(real_folder):
    group = Group(real_folder, f"hybrid-runtime-named-{os.getpid()}", GroupLimits())
    group.close()
    assert repr(group) == f"<Group hybrid-runtime-named-{os.getpid()} {{}}>"
    group.close()
