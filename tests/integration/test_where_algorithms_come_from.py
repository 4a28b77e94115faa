"""Algorithms from files, scripts, other modules and closures: all of them reach a worker whole."""

from __future__ import annotations

import json
import textwrap

import pytest

from hybrid_runtime import Circuit, Done, HybridAlgorithm, Limits, hybrid
from hybrid_runtime.errors import exit_code

ONE = Circuit("version 3.0\nqubit q\nbit b\nb = measure q")
HEAD = """\
from hybrid_runtime import *
ONE = Circuit("version 3.0\\nqubit q\\nbit b\\nb = measure q")
"""


@pytest.fixture
def write(tmp_path):
    """Writes a user's files."""

    def write(**files: str) -> str:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        return str(tmp_path)

    return write


# ------------------------------------------------------------------ files

SEVERAL = HEAD + "@hybrid\ndef one(context): return 1\n@hybrid\ndef two(context): return context.run(ONE).shots_done\n"


def test_a_file_is_run(client, write):
    folder = write(single=HEAD + "@hybrid\ndef one(context): return context.run(ONE).shots_done\n")
    assert client.run(f"{folder}/single.py", shots=3).value == 3


def test_one_of_several_in_a_file_is_named(client, write):
    folder = write(several=SEVERAL)
    assert client.run(f"{folder}/several.py:two", shots=3).value == 3


@pytest.mark.parametrize(
    ("text", "name", "why", "code"),
    [
        ("x = 1", "", "wrong.py holds no algorithm", 2),
        (SEVERAL, "", "several algorithms; name one, as wrong.py:one (one, two)", 2),
        (SEVERAL, ":three", "no algorithm named 'three'; its algorithms: one, two", 2),
        ("import no_such_module", "", "not in this environment and not beside the algorithm's file", 1),
        ("x = 1\ny = x / 0", "", "division by zero (wrong.py, line 2, in <module>)", 1),
        ("raise SystemExit(3)", "", "the algorithm called sys.exit(3)", 1),
        ("while True: pass", "", "was reached before the algorithm's first step (wrong.py, line 1", 1),
    ],
)
def test_a_file_that_cannot_be_loaded_is_a_failed_job(client, write, text, name, why, code):
    folder = write(wrong=text)
    # Only what never ends is to meet the limit, however slow the machine is.
    limits = Limits(think_s=0.5 if "while True" in text else 60.0, finalize_s=5)
    result = client.run(f"{folder}/wrong.py{name}", limits=limits)
    assert (result.state, exit_code(result.error)) == ("failed", code)
    assert why in result.error.text


def test_errors_in_a_file_show_its_lines_by_their_short_names(client, write):
    folder = write(
        entry=HEAD + "from helper import energy\n@hybrid\ndef algo(context):\n    return energy(0)  # from here\n",
        helper="def energy(x):\n    return 1 / x  # to here\n",
    )
    error = client.run(f"{folder}/entry.py").error
    assert error.text == "division by zero (helper.py, line 2, in energy)"
    assert error.traceback == textwrap.dedent(
        """\
        Traceback (most recent call last):
          File "entry.py", line 6, in algo
            return energy(0)  # from here
                   ^^^^^^^^^
          File "helper.py", line 2, in energy
            return 1 / x  # to here
                   ~~^~~
        ZeroDivisionError: division by zero
        """
    )


def test_a_crash_in_a_file_names_its_line_by_its_short_name(client, write):
    folder = write(entry=HEAD + "import ctypes\n@hybrid\ndef algo(context):\n    ctypes.string_at(0)\n")
    assert client.run(f"{folder}/entry.py").error.text.endswith("compiled code (entry.py, line 6, in algo)")


def test_packages_beside_a_file_are_imported(client, write, tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("from .angles import QUARTER\n")
    (tmp_path / "tools" / "angles.py").write_text("QUARTER = 0.25\n")
    folder = write(entry=HEAD + "import tools\n@hybrid\ndef algo(context): return tools.QUARTER\n")
    assert client.run(f"{folder}/entry.py").value == 0.25


def test_a_file_named_like_a_module_of_the_library_is_run(client, write):
    folder = write(random=HEAD + "@hybrid\ndef algo(context): return context.run(ONE).counts\n")
    assert client.run(f"{folder}/random.py", shots=4).value == {"0": 4}


# ------------------------------------------------------------------ objects


def test_a_closure_carries_what_it_closes_over(client):
    offset = 40

    def add(x):
        return x + offset

    @hybrid
    def closing(context):
        return add(context.run(ONE).shots_done)

    assert client.run(closing, shots=2).value == 42


def test_a_lambda_is_an_algorithm(client):
    assert client.run(lambda context: context.run(ONE).shots_done, shots=7).value == 7


def test_its_lines_are_shown(client):
    @hybrid
    def failing(context):
        raise ValueError("here")  # the line to show

    error = client.run(failing).error
    assert "# the line to show" in error.traceback
    assert error.text == f"here ({__file__}, line {failing.function.__code__.co_firstlineno + 2}, in failing)"


def test_an_instance_keeps_what_it_was_made_with(client):
    class Scaled(HybridAlgorithm):
        def __init__(self, factor):
            self.factor = factor

        def initialize(self, context):
            return ONE

        def execute(self, result):
            return Done(self.factor * result.shots_done)

    assert client.run(Scaled(3), shots=5).value == 15


# ------------------------------------------------------------------ scripts


def test_a_script_runs_what_it_defines_and_what_it_imports(write, run_script):
    write(
        helper_of_a_script="""\
            SCALE = 2

            def scaled(x):
                return SCALE * x

            def broken():
                return {}['x']  # shown
        """
    )
    script = run_script(
        """
        import json
        from dataclasses import dataclass

        import helper_of_a_script
        from hybrid_runtime import Circuit, LocalRuntime, Done, HybridAlgorithm, hybrid

        ONE = Circuit("version 3.0\\nqubit q\\nbit b\\nb = measure q")

        @dataclass
        class Best:
            shots: int

        class Lifecycle(HybridAlgorithm):
            def initialize(self, context):
                return ONE

            def execute(self, result):
                return Done(Best(helper_of_a_script.scaled(result.shots_done)))

        @hybrid
        def generator(context):
            result = yield ONE
            return helper_of_a_script.scaled(result.shots_done)

        @hybrid
        def failing(context):
            return helper_of_a_script.broken()

        if __name__ == "__main__":
            with LocalRuntime("null") as client:
                results = [client.run(one, shots=5) for one in (Lifecycle, generator, failing)]
            print(json.dumps([[result.value for result in results], results[2].error.text, results[2].error.traceback]))
        """
    )
    values, text, traceback = json.loads(script.stdout.read())
    assert values == [{"shots": 10}, 10, None]
    assert text.endswith("helper_of_a_script.py, line 7, in broken)")
    assert "return helper_of_a_script.broken()" in traceback
    assert "# shown" in traceback


def test_an_algorithm_from_an_interactive_session_runs(run_script):
    script = run_script(
        """
        import sys
        from hybrid_runtime import LocalRuntime

        names = {}
        exec('''
        from hybrid_runtime import Circuit, hybrid
        ONE = Circuit("version 3.0\\\\nqubit q\\\\nbit b\\\\nb = measure q")

        @hybrid
        def typed(context):
            return context.run(ONE).shots_done
        '''.replace("\\n        ", "\\n"), names)
        with LocalRuntime("null") as client:
            print(client.run(names["typed"], shots=6).value)
        """
    )
    assert script.stdout.read() == "6\n"
