"""`qi-run fork` of a run that was kept in a folder."""

from __future__ import annotations

SOURCE = """
from hybrid_runtime import Circuit, hybrid
from hybrid_runtime.optimize import minimize

TURN = Circuit("version 3.0; qubit q; bit b; Rx({t}) q; b = measure q", parameters=["t"])

@hybrid
def search(context):
    def energy(x):
        result = yield TURN.bind(t=x[0] + context.parameters.get("shift", 0.0))
        return result.expectation("Z")

    found = yield from minimize(energy, [0.4], "COBYLA", options={"maxiter": 12})
    return float(found.x[0])
"""


def test_a_kept_run_is_forked_here(qi_run):
    qi_run.file("a.py", SOURCE)
    first = qi_run("run", "a.py", "--json", "--out", "kept", "--seed", "3").told
    job = f"kept/{first['job_id']}"
    same = qi_run("fork", f"{job}@4", "--json").told
    assert (same["result"], same["steps"], same["seed"]) == (first["result"], first["steps"], 3)
    assert (qi_run.folder / "kept" / same["job_id"] / "result.json").exists()
    other = qi_run("fork", f"{job}@4", "--optimizer", "powell", "--backend", "qulacs", "--out", "new", "--json").told
    assert other["result"] != first["result"]
    assert qi_run("replay", f"new/{other['job_id']}", "--json").told["same"]

    diverged = qi_run("fork", f"{job}@4", "--param", "shift=1.0", "--json")
    assert (diverged.code, diverged.told["error"]["kind"]) == (1, "ReplayDiverged")
    assert "step 1 was 1 circuit" in diverged.told["error"]["text"]
    assert qi_run("fork", f"{job}@4", "--param", "shift=1.0", "--on-divergence", "live", "--json").code == 0


def test_what_cannot_be_forked_is_refused(qi_run):
    qi_run.file("a.py", SOURCE)
    first = qi_run("run", "a.py", "--json", "--out", "kept").told
    job = f"kept/{first['job_id']}"
    for arguments, text in [
        ((f"{job}@99",), f"has {first['steps']} steps, not 99"),
        (("kept/nothing@1",), "there is no journal"),
        ((f"{job}@1", "--optimizer", "Powel"), "did you mean 'Powell'"),
        ((f"{job}@1", "--name", "x"), "--name goes with a job on a server"),
        (("last@1", "--optimizer", "Powell"), "--optimizer goes with a folder"),
        ((job,), "is not JOB@STEP"),
    ]:
        ran = qi_run("fork", *arguments)
        assert (ran.code, text in ran.err) == (2, True), ran.err
    assert [folder.name for folder in (qi_run.folder / "kept").iterdir()] == [first["job_id"]]
