from __future__ import annotations

import json


def test_a_check_that_finds_nothing_exits_with_0(qi_run):
    assert qi_run("new", "bell").code == 0
    ran = qi_run("check", "bell.py")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "bell.py: nothing wrong was found"


def test_a_check_that_finds_an_error_exits_with_2_and_names_the_line(qi_run):
    qi_run("new", "bell")
    text = (qi_run.folder / "bell.py").read_text()
    qi_run.file("bell.py", text.replace("    H q[0]", "    HH q[0]"))
    ran = qi_run("check", "bell.py")
    line = 1 + text.splitlines().index("    H q[0]")
    assert ran.code == 2
    assert ran.out.startswith(f"bell.py:{line}: error: circuit: line 5, column 5: unknown gate 'HH'; did you mean H?")


def test_a_check_runs_nothing_of_the_file(qi_run):
    qi_run.file("a.py", "open('ran', 'w').close()\nfrom hybrid_runtime import hybrid\n@hybrid\ndef a(c): return 1\n")
    assert qi_run("check", "a.py").code == 0
    assert not (qi_run.folder / "ran").exists()


def test_a_check_as_json_is_one_object(qi_run):
    qi_run.file("a.py", "x = 1\n")
    ran = qi_run("check", "a.py", "--json")
    assert ran.code == 2
    assert ran.told["ok"] is False
    assert ran.told["findings"][0] == {
        "file": "a.py",
        "line": 1,
        "severity": "error",
        "text": "no algorithm: define a subclass of HybridAlgorithm, or mark a function with @hybrid",
    }


def test_a_template_is_copied_and_runs(qi_run):
    ran = qi_run("new", "bell", "mine.py")
    assert ran.code == 0
    assert "run it with: qi-run run mine.py" in ran.err
    assert json.loads(qi_run("run", "mine.py", "--json").out)["state"] == "completed"


def test_a_template_is_not_copied_over_a_file(qi_run):
    qi_run.file("bell.py", "mine")
    ran = qi_run("new", "bell")
    assert ran.code == 2
    assert (qi_run.folder / "bell.py").read_text() == "mine"


def test_an_unknown_command_gets_the_nearest_name(qi_run):
    ran = qi_run("rnu")
    assert ran.code == 2
    assert ran.err == "InvalidInput: No such command 'rnu'. Did you mean 'run'? see qi-run --help\n"
