from __future__ import annotations

import json
import re
import subprocess

import pytest

BELL = """\
from hybrid_runtime import Circuit, hybrid

BELL = Circuit("version 3.0; qubit[2] q; bit[2] b; H q[0]; CNOT q[0], q[1]; b = measure q")


@hybrid
def bell(context):
    print("hello from the algorithm")
    return {"counts": context.run(BELL).counts, "parameters": context.parameters}
"""

STEPS = """\
from hybrid_runtime import Circuit, HybridAlgorithm

BELL = Circuit("version 3.0; qubit[2] q; bit[2] b; H q[0]; CNOT q[0], q[1]; b = measure q")


class Steps(HybridAlgorithm):
    def initialize(self, context):
        self.context = context
        return BELL

    def execute(self, results):
        self.context.metric("zz", results.expectation("ZZ"))
        self.context.log(f"step {len(self.context.history.results)}")
        return BELL

    def finalize(self, history):
        return {"steps": history.steps, "reason": history.stop_reason}
"""

FIELDS = [
    "job_id",
    "state",
    "stop_reason",
    "result",
    "error",
    "steps",
    "shots",
    "metrics",
    "backend",
    "seed",
    "isolation",
    "timing",
]
TIMES = ["initialize_s", "step_s", "terminate_s", "classical_s", "quantum_s", "overhead_s", "total_s"]


@pytest.fixture
def bell(qi_run):
    return qi_run.file("bell.py", BELL)


@pytest.fixture
def steps(qi_run):
    return qi_run.file("steps.py", STEPS)


def test_the_json_object_has_the_documented_fields_and_nothing_else_is_on_stdout(qi_run, bell):
    ran = qi_run("run", bell, "--json", "--seed", "7", "--shots", "100")
    assert ran.code == 0
    assert list(ran.told) == FIELDS
    assert list(ran.told["timing"]) == TIMES
    assert list(ran.told["timing"]["step_s"]) == ["p50", "p99", "mean"]
    assert (ran.told["state"], ran.told["stop_reason"], ran.told["error"]) == ("completed", "done", None)
    assert (ran.told["steps"], ran.told["shots"], ran.told["seed"]) == (1, 100, 7)
    assert sum(ran.told["result"]["counts"].values()) == 100


def test_the_same_seed_gives_the_same_result(qi_run, bell):
    first, second = (qi_run("run", bell, "--json", "--seed", "3").told["result"] for _ in range(2))
    assert first == second


def test_parameters_reach_the_algorithm(qi_run, bell):
    qi_run.file("angles.json", "[0.1, 0.2]")
    parameters = ["theta=0.5", "method=COBYLA", "angles=@angles.json", "on=true", 'text="a b"']
    ran = qi_run("run", bell, "--json", *(word for text in parameters for word in ("--param", text)))
    assert ran.told["result"]["parameters"] == {
        "theta": 0.5,
        "method": "COBYLA",
        "angles": [0.1, 0.2],
        "on": True,
        "text": "a b",
    }


def test_results_go_to_stdout_and_everything_else_to_stderr(qi_run, bell):
    ran = qi_run("run", bell)
    assert ran.code == 0
    assert re.search(r"^state +completed$", ran.out, re.MULTILINE)
    assert "00" in ran.out
    assert "hello from the algorithm" not in ran.out
    assert re.match(r"job \d{8}-\d{6}-[0-9a-f]{6} started\nhello from the algorithm\n", ran.err)


def test_quiet_says_nothing_but_the_result(qi_run, bell):
    ran = qi_run("run", bell, "--quiet")
    assert ran.code == 0
    assert "completed" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize(
    ("limit", "reason"), [("steps=3", "steps"), ("shots=4000", "shots"), ("plateau=zz,0,3", "plateau")]
)
def test_a_limit_ends_a_job_that_finalizes_and_names_the_limit(qi_run, steps, limit, reason):
    ran = qi_run("run", steps, "--json", "--limit", limit)
    assert ran.code == 0
    assert ran.told["state"] == "completed"
    assert ran.told["stop_reason"] == reason
    assert ran.told["result"] == {"steps": ran.told["steps"], "reason": reason}
    assert 3 <= ran.told["steps"] <= 4


def test_the_options_of_several_limits_go_together(qi_run, steps):
    # The wall limit is far beyond the first step of even a slow machine, and far before the last step of a quick one.
    limits = ["--limit", "steps=100000000", "--limit", "wall=2s", "--limit", "think=30s"]
    ran = qi_run("run", steps, "--json", *limits)
    assert ran.code == 0
    assert ran.told["stop_reason"] == "wall"


def test_a_named_algorithm_of_several_is_run(qi_run):
    text = BELL + "\n\n@hybrid\ndef other(context):\n    return 'the other one'\n"
    qi_run.file("two.py", text)
    assert qi_run("run", "two.py:other", "--json").told["result"] == "the other one"


def test_local_modules_go_along(qi_run):
    qi_run.file("helper.py", "ANSWER = 42\n")
    qi_run.file("a.py", "from hybrid_runtime import hybrid\nimport helper\n@hybrid\ndef a(c): return helper.ANSWER\n")
    assert qi_run("run", "a.py", "--json").told["result"] == 42


def test_out_keeps_the_job_under_its_name(qi_run, steps):
    ran = qi_run("run", steps, "--json", "--limit", "steps=3", "--out", "kept/here")
    (kept,) = (qi_run.folder / "kept" / "here").iterdir()
    assert kept.name == ran.told["job_id"]
    assert json.loads((kept / "result.json").read_text()) == ran.told
    assert (kept / "metrics.csv").read_text().splitlines()[:2] == ["metric,number,value", "zz,0,1.0"]
    assert (kept / "log.txt").read_text().splitlines()[0] == "step 1"
    assert b"class Steps" in (kept / "bundle.bin").read_bytes()
    assert f"kept in kept/here/{kept.name}" in ran.err


def test_a_failed_job_is_kept_too(qi_run):
    qi_run.file("bad.py", "from hybrid_runtime import hybrid\n@hybrid\ndef a(context):\n    print('x')\n    1 / 0\n")
    ran = qi_run("run", "bad.py", "--out", "kept", "--quiet")
    (kept,) = (qi_run.folder / "kept").iterdir()
    assert ran.code == 1
    assert json.loads((kept / "result.json").read_text())["error"]["kind"] == "ZeroDivisionError"
    assert (kept / "log.txt").read_text() == "x\n"


def test_a_place_that_cannot_be_written_is_refused_before_the_job_runs(qi_run):
    qi_run.file("mark.py", "open('ran', 'w').close()\n" + BELL)
    qi_run.file("taken", "")
    ran = qi_run("run", "mark.py", "--json", "--out", "taken/below")
    assert ran.code == 2
    assert "--out 'taken/below' cannot be written" in ran.told["error"]["text"]
    assert not (qi_run.folder / "ran").exists()


def test_nothing_is_kept_of_a_job_that_was_refused(qi_run, bell):
    assert qi_run("run", bell, "--out", "kept", "--backend", "nope").code == 2
    assert not (qi_run.folder / "kept").exists()


# ------------------------------------------------------------------ pipes


def test_a_reader_that_leaves_early_is_no_error(qi_run, bell):
    process = qi_run.start("run", bell)
    process.stdout.close()
    process.stdout = None
    ran = qi_run.end(process)
    assert ran.code == 0
    assert "Traceback" not in ran.err
    assert "Broken" not in ran.err


def test_a_message_reader_that_leaves_early_does_not_lose_the_result(qi_run, bell):
    process = qi_run.start("run", bell, "--json")
    process.stderr.close()
    process.stderr = None
    ran = qi_run.end(process)
    assert ran.code == 0
    assert json.loads(ran.out)["state"] == "completed"


def test_a_full_disk_behind_stdout_is_told(qi_run, bell):
    with open("/dev/full", "w") as full:
        ran = qi_run("run", bell, stdout=full)
    assert ran.code == 2
    assert "the result cannot be written to stdout: No space left on device" in ran.err
    assert "Traceback" not in ran.err


def test_streams_that_are_closed_from_the_start_are_no_error(qi_run, bell):
    script = '"$@" <&- >&- 2>&-'
    process = subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", *qi_run.command("run", bell)], cwd=qi_run.folder, env=qi_run.environment
    )
    assert process.wait(timeout=60) == 0


def test_an_encoding_without_bars_is_no_error(qi_run, bell):
    qi_run.environment |= {"PYTHONIOENCODING": "ascii"}
    ran = qi_run("run", bell)
    assert ran.code == 0
    assert "???" in ran.out


def test_the_environments_secrets_do_not_reach_the_algorithm(qi_run):
    qi_run.environment |= {"MY_TOKEN": "secret"}
    qi_run.file("a.py", "from hybrid_runtime import hybrid\nimport os\n@hybrid\ndef a(c): return sorted(os.environ)\n")
    assert "MY_TOKEN" not in qi_run("run", "a.py", "--json").told["result"]
