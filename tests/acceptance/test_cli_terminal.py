"""What a person sees: the command with a terminal for its streams."""

from __future__ import annotations

import os
import pty
import re
import sys

import pytest

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

STEPS = """\
from hybrid_runtime import Circuit, hybrid

BELL = Circuit("version 3.0; qubit[2] q; bit[2] b; H q[0]; CNOT q[0], q[1]; b = measure q")


@hybrid
def steps(context):
    context.log("[bold]a log line[/bold]")
    for number in range(2000):
        context.run(BELL)
        context.metric("energy", (number - 500) ** 2 / 250000)
    return {"energy": 0.5}
"""


@pytest.fixture
def on_terminal(qi_run):
    """Run the command on a terminal: its exit code and all that it wrote. Ctrl-C is typed once `until` is seen."""

    def run(*arguments, until=None):
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(qi_run.folder)
            os.execve(sys.executable, qi_run.command(*arguments), qi_run.environment | {"TERM": "xterm-256color"})
        try:
            return waited(pid, terminal, until)
        finally:
            os.close(terminal)

    return run


def waited(pid, terminal, until):
    seen = ""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            data = b""
        if not data:
            _, status = os.waitpid(pid, 0)
            return os.waitstatus_to_exitcode(status), seen
        seen += data.decode(errors="replace")
        if until is not None and until in seen:
            os.write(terminal, b"\x03")
            until = None


def test_progress_is_drawn_and_gone_when_the_result_is_printed(qi_run, on_terminal):
    qi_run.file("steps.py", STEPS)
    code, seen = on_terminal("run", "steps.py")
    drawn, _, result = CONTROL.sub("", seen).partition("state      completed")
    assert code == 0
    assert re.search(r"running +step \d+ +[\d.]+ steps/s +\d+ shots", drawn)
    assert re.search(r"energy [\d.e-]+ \(best [\d.e-]+\) +[▁▂▃▄▅▆▇█ ]+", drawn)
    assert "[bold]a log line[/bold]" in drawn
    assert "steps      2000" in result
    assert "energy  0.5" in result


def test_ctrl_c_on_a_terminal_stops_gracefully(qi_run, on_terminal):
    text = STEPS.replace("range(2000)", "range(10**9)")
    qi_run.file("steps.py", text)
    code, seen = on_terminal("run", "steps.py", until="running")
    assert code == 0
    assert "press Ctrl-C again to kill it" in seen
    assert "stopped by cancelled" in seen


def test_a_failure_is_shown_below_the_result(qi_run, on_terminal):
    qi_run.file("bad.py", STEPS.replace("for number", "1 / 0\n    for number"))
    code, seen = on_terminal("run", "bad.py")
    assert code == 1
    assert seen.index("state      failed") < seen.index("ZeroDivisionError: division by zero (bad.py, line 9")


def test_the_terminal_gets_its_cursor_back(qi_run, on_terminal):
    qi_run.file("steps.py", STEPS)
    _, seen = on_terminal("run", "steps.py", "--limit", "steps=2")
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") == 1


def test_an_object_on_a_terminal_is_still_the_only_thing_on_its_line(qi_run, on_terminal):
    qi_run.file("steps.py", STEPS)
    code, seen = on_terminal("run", "steps.py", "--json", "--quiet", "--limit", "steps=2")
    assert code == 0
    assert seen.startswith('{"job_id"')
