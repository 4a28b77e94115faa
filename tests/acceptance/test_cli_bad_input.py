"""Whatever a user gets wrong ends with one clear message, the right exit code, and nothing left behind."""

from __future__ import annotations

import pytest

HEAD = """\
import os, signal, sys, time
from hybrid_runtime import Circuit, Done, HybridAlgorithm, hybrid
BELL = "version 3.0; qubit[2] q; bit[2] b; H q[0]; CNOT q[0], q[1]; b = measure q"
"""


def initialize(statement):
    """An algorithm whose `initialize`, on line 6, is this statement."""
    return f"""{HEAD}class Algo(HybridAlgorithm):
    def initialize(self, context):
        {statement}

    def execute(self, results):
        return Done(1)
"""


def blocking(*statements):
    """An algorithm in blocking style whose first statement is on line 6."""
    return f"{HEAD}@hybrid\ndef algo(context):\n" + "".join(f"    {statement}\n" for statement in statements)


def run_circuit(arguments):
    return blocking(f"return context.run(Circuit({arguments})).counts")


REFUSED = {
    "no algorithm": ("x = 1\n", "BundleError", "holds no algorithm: define a subclass of HybridAlgorithm"),
    "two algorithms": (
        HEAD + "@hybrid\ndef one(context): return 1\n@hybrid\ndef two(context): return 2\n",
        "BundleError",
        "bad.py holds several algorithms; name one, as bad.py:one (one, two)",
    ),
    "not python": ("def f(:\n", "BundleError", "bad.py, line 1: invalid syntax"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_used_is_refused(qi_run, case):
    text, kind, reason = REFUSED[case]
    qi_run.file("bad.py", text)
    ran = qi_run("run", "bad.py", "--json")
    assert ran.code == 2
    assert_told(ran, kind, reason)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nope.py"], "nope.py does not exist"),
        (["."], ". is a folder"),
        (["good.py:nope"], "good.py has no algorithm named 'nope'; its algorithms: algo"),
        (["good.py", "--backend", "qulac"], "no driver is named 'qulac'; did you mean 'qulacs'?"),
        (["good.py", "--shots", "0"], "--shots is a whole number from 1 to"),
        (["good.py", "--shots", "-5"], "--shots is a whole number from 1 to"),
        (["good.py", "--shots", "1000000000000"], "--shots is a whole number from 1 to"),
        (["good.py", "--seed", "-1"], "--seed is a whole number from 0 to"),
        (["good.py", "--limit", "setps=3"], "limit 'setps=3' is not known"),
        (["good.py", "--limit", "wall=soon"], "'soon' is not a duration"),
        (["good.py", "--param", "theta"], "not NAME=VALUE"),
        (["good.py", "--param", "x=1", "--param", "x=2"], "given twice"),
        (["good.py", "--param", "x=[1,"], "--param x is not JSON"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(qi_run, arguments, reason):
    qi_run.file("good.py", blocking("return 1"))
    ran = qi_run("run", "--json", *arguments)
    assert ran.code == 2
    assert ran.told["state"] == "failed"
    assert_told(ran, ran.told["error"]["kind"], reason)


FAILS = {
    "initialize raises": (initialize('raise ValueError("no angles")'), "ValueError", "no angles (bad.py, line 6"),
    "initialize returns nonsense": (initialize("return 42"), "UserCodeError", "Algo.initialize (bad.py, line 5) must"),
    "initialize returns nothing": (initialize("pass"), "UserCodeError", "Algo.initialize (bad.py, line 5) must return"),
    "initialize exits": (initialize("sys.exit(3)"), "SystemExit", "called sys.exit(3); end a job by returning Done"),
    "initialize interrupts": (initialize("raise KeyboardInterrupt"), "KeyboardInterrupt", "bad.py, line 6"),
    "initialize crashes": (initialize("import ctypes; ctypes.string_at(0)"), "WorkerLost", "died by SIGSEGV"),
    "initialize leaves": (
        initialize("os._exit(0)"),
        "WorkerLost",
        "ended by itself with exit code 0, without a result",
    ),
    "the file's import fails": ("import no_such_package\n", "ModuleNotFoundError", "bad.py, line 1"),
    "a circuit with a typo": (
        run_circuit('"version 3.0\\nqubit q\\nbit b\\nHH q\\nb = measure q"'),
        "CircuitRejected",
        "line 4, column 1: unknown gate 'HH'; did you mean H?",
    ),
    "60 qubits": (
        run_circuit('"version 3.0; qubit[60] q; bit[60] b; H q; b = measure q"'),
        "CircuitRejected",
        "the circuit has 60 qubits",
    ),
    "no shots": (run_circuit("BELL, shots=0"), "CircuitRejected", "0 shots"),
    "negative shots": (run_circuit("BELL, shots=-3"), "CircuitRejected", "-3 shots"),
    "10^12 shots": (run_circuit("BELL, shots=10**12"), "CircuitRejected", "1000000000000 shots"),
    "a NaN in the text": (
        run_circuit("f\"version 3.0; qubit q; bit b; Rx({float('nan')}) q; b = measure q\""),
        "CircuitRejected",
        "the angle is nan",
    ),
    "a NaN in a parameter": (
        run_circuit('"version 3.0; qubit q; bit b; Rx({t}) q; b = measure q", parameters={"t": float("nan")}'),
        "CircuitRejected",
        "parameter 't' is nan",
    ),
    "a result that cannot be encoded": (
        blocking('return {"f": open}'),
        "ResultNotEncodable",
        "value['f'] is of type builtins.builtin_function_or_method",
    ),
}
HAS_LINE = [name for name, (_, kind, _) in FAILS.items() if kind not in ("WorkerLost", "ResultNotEncodable")]


@pytest.mark.parametrize("case", FAILS)
def test_an_algorithm_that_fails_is_told_why(qi_run, case):
    text, kind, reason = FAILS[case]
    qi_run.file("bad.py", text)
    ran = qi_run("run", "bad.py", "--json")
    assert ran.code == 1
    assert ran.told["state"] == "failed"
    assert ran.told["stop_reason"] == "error"
    assert_told(ran, kind, reason)
    if case in HAS_LINE:
        assert "bad.py" in ran.told["error"]["text"]
        assert ", line " in ran.told["error"]["text"]


@pytest.mark.parametrize("number", ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGABRT"])
def test_an_algorithm_that_kills_its_own_process_fails(qi_run, number):
    qi_run.file("bad.py", initialize(f"os.kill(os.getpid(), signal.{number})"))
    ran = qi_run("run", "bad.py", "--json")
    assert ran.code == 1
    assert ran.told["state"] == "failed"
    assert ran.told["error"]["kind"] == "WorkerLost"
    assert "bad.py, line 6, in initialize" in ran.told["error"]["text"]
    assert "hybrid_runtime/" not in ran.err


@pytest.mark.parametrize(("limit", "reason"), [("think=200ms", "think"), ("wall=200ms", "wall")])
@pytest.mark.parametrize("statement", ["while True: pass", "time.sleep(1000)"])
def test_an_initialize_that_never_returns_is_stopped_at_its_line(qi_run, limit, reason, statement):
    qi_run.file("bad.py", initialize(statement))
    ran = qi_run("run", "bad.py", "--json", "--limit", limit)
    assert ran.code == 1
    assert ran.told["stop_reason"] == reason
    assert_told(ran, "AlgorithmTimeout", f"its {reason} limit of 0.2 s")
    assert "bad.py, line 6, in initialize" in ran.told["error"]["text"]


def test_what_there_was_before_a_failure_is_kept(qi_run):
    text = f"""{HEAD}class Algo(HybridAlgorithm):
    def initialize(self, context):
        self.context = context
        return Circuit(BELL)

    def execute(self, results):
        self.context.metric("zz", results.expectation("ZZ"))
        if len(self.context.history.results) == 3:
            raise ValueError("the third")
        return Circuit(BELL)

    def finalize(self, history):
        return {{"steps": history.steps}}
"""
    qi_run.file("bad.py", text)
    ran = qi_run("run", "bad.py", "--json")
    assert ran.code == 1
    assert_told(ran, "ValueError", "the third (bad.py, line 12, in execute)")
    assert ran.told["result"] == {"steps": 3}
    assert (ran.told["steps"], ran.told["metrics"]) == (3, {"zz": [1.0, 1.0, 1.0]})


def test_metrics_are_kept_of_a_result_that_cannot_be_encoded(qi_run):
    qi_run.file("bad.py", blocking("context.run(Circuit(BELL))", 'context.metric("e", 1.5)', "return open"))
    ran = qi_run("run", "bad.py", "--json")
    assert ran.code == 1
    assert ran.told["result"] == {"e": 1.5}


def test_100_megabytes_on_stdout_are_cut_and_the_job_goes_on(qi_run):
    qi_run.file("bad.py", blocking("line = 'x' * 999_999", "for _ in range(100): print(line)", "return 'done'"))
    ran = qi_run("run", "bad.py", "--json")
    assert ran.code == 0
    assert ran.told["result"] == "done"
    assert len(ran.err) < 3_000_000
    assert "output cut" in ran.err


def test_escape_sequences_of_an_algorithm_do_not_reach_the_terminal(qi_run):
    qi_run.file("bad.py", blocking("print('\\x1b[2J')", "context.log('\\x1b[2J')", "raise ValueError('\\x1b[2J')"))
    ran = qi_run("run", "bad.py")
    assert ran.code == 1
    assert "\x1b" not in ran.out + ran.err


def assert_told(ran, kind, reason):
    """The error is in the object and on stderr, without a frame of ours."""
    error = ran.told["error"]
    assert error["kind"] == kind
    assert reason in error["text"]
    assert f"{kind}: {error['text'].splitlines()[0]}" in ran.err
    assert "hybrid_runtime/" not in ran.err + (error["traceback"] or "")
