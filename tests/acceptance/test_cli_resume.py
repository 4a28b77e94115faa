"""A job that failed is resumed from the folder it was kept in, and its journal can be looked at."""

from __future__ import annotations

import json
import shutil

SOURCE = """
from hybrid_runtime import Circuit, hybrid
ONE = Circuit("version 3.0\\nqubit q\\nbit b\\nH q\\nb = measure q")
@hybrid
def algorithm(context):
    ones = [context.run(ONE).counts.get("1", 0) for _ in range(3)]
    context.metric("ones", sum(ones))
    RAISE
    return sum(ones) + context.run(ONE).shots_done + context.parameters["more"]
"""


def test_a_corrected_algorithm_goes_on_where_it_failed(qi_run):
    qi_run.file("a.py", SOURCE.replace("RAISE", "1 / 0"))
    first = qi_run("run", "a.py", "--json", "--out", "kept", "-p", "more=1000", "--seed", "3", "--shots", "20")
    assert (first.code, first.told["steps"]) == (1, 3)
    job = first.told["job_id"]
    shown = qi_run("journal", "show", f"kept/{job}", "--json")
    assert (shown.told["state"], shown.told["steps"], shown.told["parameters"]) == ("failed", 3, {"more": 1000})

    qi_run.file("a.py", SOURCE.replace("RAISE", ""))
    again = qi_run("run", "a.py", "--json", "--out", "kept", "--resume", job)
    assert (again.code, again.told["job_id"], again.told["steps"]) == (0, job, 4)
    assert (again.told["seed"], again.told["result"]) == (3, int(again.told["metrics"]["ones"][0]) + 1020)
    assert json.loads((qi_run.folder / "kept" / job / "result.json").read_text()) == again.told

    over = qi_run("run", "a.py", "--out", "kept", "--resume", job)
    assert over.code == 2
    assert "has completed: there is nothing to resume" in over.err
    lines = [json.loads(line) for line in qi_run("journal", "export", f"kept/{job}").out.splitlines()]
    assert [line["number"] for line in lines if line["record"] == "step"] == [1, 2, 3, 4]
    assert lines[-1]["state"] == "completed"
    assert f"{len(lines)} records with 4 steps, all whole" in qi_run("journal", "verify", f"kept/{job}").out


def test_a_job_that_was_moved_to_another_place_goes_on_there(qi_run):
    qi_run.file("a.py", SOURCE.replace("RAISE", "1 / 0"))
    given = ("-p", "more=1000", "--seed", "3", "--shots", "20")
    job = qi_run("run", "a.py", "--json", "--out", "kept", *given).told["job_id"]
    elsewhere = qi_run.folder / "elsewhere"
    shutil.copytree(qi_run.folder / "kept" / job, elsewhere / "runs" / job)
    shutil.rmtree(qi_run.folder / "kept")
    (elsewhere / "b.py").write_text(SOURCE.replace("RAISE", ""))
    (qi_run.folder / "a.py").unlink()

    again = qi_run("run", "elsewhere/b.py", "--json", "--out", "elsewhere/runs", "--resume", job)
    assert (again.code, again.told["job_id"], again.told["steps"], again.told["seed"]) == (0, job, 4, 3)
    whole = qi_run("run", "elsewhere/b.py", "--json", *given)
    assert again.told["result"] == whole.told["result"]
    assert qi_run("replay", f"elsewhere/runs/{job}", "--json").told["same"]
    assert not (qi_run.folder / "kept").exists()


def test_a_damaged_journal_is_refused_with_its_offset(qi_run):
    qi_run.file("a.py", SOURCE.replace("RAISE", ""))
    job = qi_run("run", "a.py", "--json", "--out", "kept", "-p", "more=1").told["job_id"]
    journal = qi_run.folder / "kept" / job / "journal.bin"
    content = bytearray(journal.read_bytes())
    content[20] ^= 1
    journal.write_bytes(content)
    ran = qi_run("journal", "verify", f"kept/{job}")
    assert (ran.code, "is corrupt at offset 8" in ran.err) == (2, True)


def test_what_resume_cannot_take_is_refused(qi_run):
    qi_run.file("a.py", SOURCE)
    assert "needs --out DIR" in qi_run("run", "a.py", "--resume", "x").err
    assert "leave them out" in qi_run("run", "a.py", "--resume", "x", "--out", "kept", "--seed", "1").err
    assert "keeps no journal of a job 'x'" in qi_run("run", "a.py", "--resume", "x", "--out", "kept").err
