"""A recorded run is gone through again at home: as it was, in part, under the debugger, by a test of the user's own."""

from __future__ import annotations

import subprocess
import sys

import pytest

SOURCE = """
from hybrid_runtime import Circuit, hybrid
TURN = Circuit("version 3.0\\nqubit q\\nbit b\\nRx({a}) q\\nb = measure q", parameters=["a"])
@hybrid
def algorithm(context):
    ones = []
    for number in range(4):
        ones.append(context.run(TURN.bind(a=context.rng.uniform(0, 3))).counts.get("1", 0))
        context.log(f"had {number}")
    return {"ones": ones}
"""


@pytest.fixture
def job(qi_run):
    """The folder of a recorded job, and what came of it."""
    qi_run.file("a.py", SOURCE)
    ran = qi_run("run", "a.py", "--json", "--out", "kept", "--seed", "7", "--shots", "50")
    return f"kept/{ran.told['job_id']}", ran.told["result"]


def test_a_replay_gives_the_recorded_result_without_a_backend(qi_run, job):
    folder, result = job
    told = qi_run("replay", folder, "--json").told
    assert (told["result"], told["recorded"], told["same"], told["steps"]) == (result, result, True, 4)
    assert told["logs"] == ["had 0", "had 1", "had 2", "had 3"]
    assert "the same result" in qi_run("replay", f"{folder}/journal.bin").out


def test_a_replay_goes_as_far_as_it_is_told(qi_run, job):
    told = qi_run("replay", job[0], "--until", "2", "--json").told
    assert (told["steps"], told["same"], told["stop_reason"]) == (2, False, "cancelled")
    refused = qi_run("replay", job[0], "--until", "0")
    assert (refused.code, "goes to a step from 1" in refused.err) == (2, True)


def test_a_changed_algorithm_may_differ_in_what_it_returns_but_not_in_what_it_asks_for(qi_run, job):
    folder, result = job
    qi_run.file("b.py", SOURCE.replace('{"ones": ones}', "sum(ones)"))
    told = qi_run("replay", folder, "--file", "b.py", "--json").told
    assert (told["result"], told["recorded"], told["same"]) == (sum(result["ones"]), result, False)
    qi_run.file("c.py", SOURCE.replace("uniform(0, 3)", "uniform(0, 2)"))
    diverged = qi_run("replay", folder, "--file", "c.py")
    assert (diverged.code, "step 1 was" in diverged.err) == (1, True)
    assert "ReplayDiverged" in diverged.err


def test_an_algorithm_cannot_go_on_from_where_it_left_its_recorded_path(qi_run, job):
    stubborn = """
    try:
        context.run(TURN.bind(a=9.0))
    except BaseException:
        pass
    ones = []"""
    qi_run.file("e.py", SOURCE.replace("    ones = []", stubborn))
    assert "ReplayDiverged" in qi_run("replay", job[0], "--file", "e.py").err


def test_the_debugger_opens_in_the_algorithm_after_the_step_asked_for(qi_run, job):
    process = qi_run.start("replay", job[0], "--pdb", "--until", "2", stdin=subprocess.PIPE)
    out, err = process.communicate("up\np sorted(context.history.metrics), number\nc\n", timeout=60)
    stopped = out + err
    assert process.returncode == 0, stopped
    assert "step 2 has its results" in err
    assert "a.py(8)algorithm()" in out or "a.py(9)algorithm()" in out
    assert "the same result" in out


def test_the_debugger_opens_where_the_algorithm_fails(qi_run, job):
    qi_run.file("f.py", SOURCE.replace('    return {"ones": ones}', "    secret = 42\n    raise ValueError('oh')"))
    process = qi_run.start("replay", job[0], "--file", "f.py", "--pdb", stdin=subprocess.PIPE)
    out, err = process.communicate("p secret * 1000\nq\n", timeout=60)
    assert "42000" in out
    assert "ValueError: oh" in err
    assert process.returncode == 1


def test_what_cannot_be_replayed_is_told(qi_run, job):
    missing = qi_run("replay", "kept/nothing")
    assert (missing.code, "there is no journal kept/nothing" in missing.err) == (2, True)
    (qi_run.folder / job[0] / "bundle.bin").unlink()
    without = qi_run("replay", job[0])
    assert (without.code, "name the algorithm's file instead" in without.err) == (2, True)
    assert qi_run("replay", job[0], "--file", "a.py").code == 0


def test_a_recorded_run_is_a_test_of_the_users_own(qi_run, job):
    qi_run.file(
        "test_mine.py",
        f"""
def test_same(recorded_run):
    run = recorded_run({job[0]!r}, "a.py")
    assert run.same and run.value == {job[1]!r} and run.steps == 4

def test_other(recorded_run):
    recorded_run({job[0]!r}, "other.py")

def test_failing(recorded_run):
    recorded_run({job[0]!r}, "failing.py")
""",
    )
    qi_run.file("other.py", SOURCE.replace("range(4)", "range(3)"))
    qi_run.file("failing.py", SOURCE.replace('return {"ones": ones}', "raise KeyError('mine')"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=qi_run.folder,
        env=qi_run.environment,
        capture_output=True,
        text=True,
    )
    told = [part for part in ("1 passed", "2 failed", "ReplayDiverged", "KeyError: 'mine'") if part not in done.stdout]
    assert told == [], done.stdout


def test_steps_are_exported_as_lines_and_as_a_table(qi_run, job):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert qi_run("journal", "export", job[0], "--format", "parquet", "-o", "t.parquet").code == 0
    rows = parquet.read_table(qi_run.folder / "t.parquet").to_pylist()
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert [dict(row["counts"]).get("1", 0) for row in rows] == job[1]["ones"]
    assert all(len(row["parameters"]) == 1 and row["shots_done"] == 50 for row in rows)
    assert qi_run("journal", "export", job[0], "-o", "t.jsonl").code == 0
    lines = (qi_run.folder / "t.jsonl").read_text().splitlines()
    assert lines == qi_run("journal", "export", job[0]).out.splitlines()
    assert "needs --output FILE" in qi_run("journal", "export", job[0], "--format", "parquet").err
    assert "json or parquet" in qi_run("journal", "export", job[0], "--format", "xml").err
    assert "cannot be written" in qi_run("journal", "export", job[0], "-o", "no/t").err
