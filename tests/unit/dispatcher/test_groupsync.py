"""A file is forced to the disk when there is something to force, and not else."""

from __future__ import annotations

import os
import threading

from hybrid_runtime.dispatcher.groupsync import GroupSync


def test_nothing_is_forced_before_something_was_written_and_then_once(tmp_path, monkeypatch):
    forced: list[int] = []
    turn = threading.Semaphore(0)

    def count(fd: int) -> None:
        forced.append(fd)
        turn.release()

    monkeypatch.setattr("os.fdatasync", count)
    with (tmp_path / "file").open("w") as file:
        group = GroupSync(file.fileno())
        assert group.idle
        for turns in (1, 2):
            group.wake()
            assert not group.idle
            assert turn.acquire(timeout=10)
            assert group.idle
            assert forced == [file.fileno()] * turns
        group.close()


def test_a_file_that_cannot_be_forced_says_why():
    reading, writing = os.pipe()
    group = GroupSync(writing)
    group.wake()
    group._thread.join(10)
    assert group.failure is not None
    assert group.failure.strerror == "Invalid argument"
    group.close()
    os.close(reading)
    os.close(writing)


def test_it_ends_at_once_with_something_left_to_force(tmp_path):
    with (tmp_path / "file").open("w") as file:
        group = GroupSync(file.fileno())
        group.wake()
        group.close()
        assert not group._thread.is_alive()
