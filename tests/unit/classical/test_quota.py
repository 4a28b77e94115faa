"""What counts as a worker's share of the disk."""

from __future__ import annotations

import os

import pytest

from hybrid_runtime.classical import quota

KB = 1 << 10


@pytest.fixture
def over(tmp_path):
    """Whether this process has taken more below a folder than so much."""

    def look(most_bytes: int = 100 * KB, most_files: int = 10) -> bool:
        return quota.exceeded(str(tmp_path), os.getpid(), most_bytes=most_bytes, most_files=most_files)

    return look


def test_files_count_together(tmp_path, over):
    for number in range(3):
        (tmp_path / f"part{number}").write_bytes(b"x" * 30 * KB)
    assert not over()
    (tmp_path / "part3").write_bytes(b"x" * 30 * KB)
    assert over()


def test_holes_in_files_do_not_count(tmp_path, over):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 30)
    assert not over()


def test_files_are_counted_wherever_they_are(tmp_path, over):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for number in range(8):
        (tmp_path / "a" / "b" / str(number)).touch()
    assert not over()
    (tmp_path / "a" / "c").touch()
    assert over()


def test_what_has_no_name_any_more_counts_while_it_is_open(tmp_path, over):
    with open(tmp_path / "file", "wb") as file:
        file.write(b"x" * 200 * KB)
        file.flush()
        (tmp_path / "file").unlink()
        assert over()
    assert not over()


def test_a_directory_that_cannot_be_listed_is_made_to(tmp_path, over):
    (tmp_path / "closed").mkdir()
    for number in range(12):
        (tmp_path / "closed" / str(number)).touch()
    (tmp_path / "closed").chmod(0o300)
    assert over()


def test_directories_too_deep_to_be_looked_into_are_too_much(tmp_path, over):
    deep = tmp_path.joinpath(*["d"] * (quota.MAX_DEPTH + 1))
    deep.mkdir(parents=True)
    assert over(most_files=1000)


def test_a_folder_that_is_gone_holds_nothing(tmp_path, over):
    tmp_path.rmdir()
    assert not over()
    tmp_path.mkdir()
