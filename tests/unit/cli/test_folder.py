from __future__ import annotations

import csv
import json
import math

import pytest

from hybrid_runtime.cli.folder import OutFolder, metrics_table
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.job import JobResult, JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.timing import Timing


def result():
    return JobResult(
        value={"energy": -1.5},
        state=JobState.COMPLETED,
        stop_reason=StopReason.DONE,
        steps=2,
        shots=10,
        metrics={"energy": [-1.0, -1.5], "a,b": [0.1]},
        timing=Timing(),
        error=None,
        job_id="20260101-000000-abcdef",
        backend="qulacs",
        seed=7,
        isolation="strict",
        logs=["one", "two"],
    )


def test_a_job_is_kept_under_its_name(tmp_path):
    folder = OutFolder(tmp_path / "deep" / "down")
    folder.begin(b"bundle")
    kept = folder.keep(result())
    assert kept == tmp_path / "deep" / "down" / folder.job_id
    assert sorted(path.name for path in kept.iterdir()) == ["bundle.bin", "log.txt", "metrics.csv", "result.json"]
    assert json.loads((kept / "result.json").read_text()) == result().to_dict()
    assert (kept / "log.txt").read_text() == "one\ntwo\n"
    assert (kept / "bundle.bin").read_bytes() == b"bundle"


def test_nothing_else_is_left_beside_it(tmp_path):
    folder = OutFolder(tmp_path)
    kept = folder.keep(result())
    folder.discard()
    assert list(tmp_path.iterdir()) == [kept]


def test_what_was_made_for_a_job_that_never_ran_is_removed(tmp_path):
    OutFolder(tmp_path / "deep" / "down").discard()
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_has_a_journal_is_kept_whatever_becomes_of_it(tmp_path):
    folder = OutFolder(tmp_path)
    folder.begin(b"bundle")
    folder.journal.write_bytes(b"steps")
    folder.discard()
    assert sorted(path.name for path in folder.folder.iterdir()) == ["bundle.bin", "journal.bin"]
    again = OutFolder(tmp_path, folder.job_id)
    assert (again.journal, again.resumed) == (folder.journal, True)


@pytest.mark.parametrize("name", ["20260101-000000-abcdef", "", "..", "../elsewhere"])
def test_a_job_that_was_not_kept_cannot_be_resumed(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "journal.bin").touch()
    (tmp_path / "kept").mkdir()
    with pytest.raises(InvalidInput, match="keeps no journal of a job"):
        OutFolder(tmp_path / "kept", name)


def test_a_folder_that_was_there_before_stays(tmp_path):
    place = tmp_path / "mine"
    place.mkdir()
    OutFolder(place).discard()
    assert list(tmp_path.iterdir()) == [place]


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written: Not a directory"):
        OutFolder(tmp_path / "file" / "below")


def test_metrics_are_one_value_a_row_and_exact():
    rows = list(csv.reader(metrics_table({"energy": [0.1 + 0.2, math.nan], "a,b": [1.0]}).splitlines()))
    assert rows == [
        ["metric", "number", "value"],
        ["energy", "0", "0.30000000000000004"],
        ["energy", "1", "nan"],
        ["a,b", "0", "1.0"],
    ]
