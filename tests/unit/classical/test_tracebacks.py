"""A user's exception as they are shown it: their lines, none of ours."""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest

from hybrid_runtime import Circuit
from hybrid_runtime.classical.tracebacks import MAX_TEXT, MAX_TRACEBACK, describe
from hybrid_runtime.context import as_circuits
from hybrid_runtime.errors import BundleError, CircuitRejected, ErrorData, InvalidInput, StopRequested

FOLDER = Path("/scratch/job-1/bundle")


def raised_by(source: str) -> BaseException:
    """What a user's file with this text raises."""
    name = f"{FOLDER}/vqe.py"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        exec(compile(source, name, "exec"), {"as_circuits": as_circuits, "Circuit": Circuit})
    except BaseException as error:  # noqa: BLE001 - it is what the tests are about
        return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
    raise AssertionError("nothing was raised")


def shown(data: ErrorData) -> str:
    assert data.traceback is not None
    return data.traceback


def test_an_error_names_the_users_line_and_shows_it():
    data = describe(raised_by("def f(x):\n    return 1 / x\n\nf(0)\n"), FOLDER)
    assert (data.kind, data.family) == ("ZeroDivisionError", "UserCodeError")
    assert data.text == "division by zero (vqe.py, line 2, in f)"
    assert shown(data).splitlines()[:5] == [
        "Traceback (most recent call last):",
        '  File "vqe.py", line 4, in <module>',
        "    f(0)",
        '  File "vqe.py", line 2, in f',
        "    return 1 / x",
    ]


def test_frames_of_ours_are_left_out():
    data = describe(raised_by("as_circuits(7)\n"), FOLDER)
    assert data.text.endswith("not int (vqe.py, line 1, in <module>)")
    assert "hybrid_runtime" not in shown(data)


def test_an_error_in_a_library_is_put_down_to_the_users_line():
    data = describe(raised_by("import json\n\njson.loads('{')\n"), FOLDER)
    assert data.text.endswith("(vqe.py, line 3, in <module>)")
    assert "decoder.py" in shown(data)


def test_causes_are_shown_too():
    data = describe(
        raised_by("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e\n"), FOLDER
    )
    assert "direct cause" in shown(data)
    assert shown(data).count("vqe.py") == 2


def test_groups_of_errors_are_shown():
    data = describe(raised_by("raise ExceptionGroup('both', [ValueError(1), KeyError(2)])\n"), FOLDER)
    assert "ValueError: 1" in shown(data)
    assert data.kind == "ExceptionGroup"


def test_a_syntax_error_names_its_line():
    data = describe(raised_by("compile('x = = 1', 'helper.py', 'exec')\n"), FOLDER)
    assert data.kind == "SyntaxError"
    assert "line 1" in data.text


def test_a_syntax_error_without_frames_names_its_line():
    with pytest.raises(SyntaxError) as caught:
        compile("x = = 1", f"{FOLDER}/helper.py", "exec")
    caught.value.__traceback__ = None
    assert "helper.py, line 1" in describe(caught.value, FOLDER).text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("raise SystemExit(3)", r"the algorithm called sys.exit(3); end a job by returning Done(value)"),
        ("raise KeyboardInterrupt", "the algorithm raised KeyboardInterrupt"),
        ("import no_such_module", "not in this environment and not beside the algorithm's file"),
        ("raise ValueError", "ValueError"),
    ],
)
def test_some_errors_come_with_advice(source, text):
    assert text in describe(raised_by(source), FOLDER).text


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (CircuitRejected("x"), "CircuitRejected"),
        (BundleError("x"), "BundleError"),
        (InvalidInput("x"), "InvalidInput"),
        (ValueError("x"), "UserCodeError"),
    ],
)
def test_our_own_errors_keep_their_family(error, family):
    assert describe(error).family == family


def test_a_stop_that_reached_the_end_is_a_time_out():
    data = describe(StopRequested("wall"))
    assert (data.kind, data.family) == ("AlgorithmTimeout", "AlgorithmTimeout")


def test_an_error_without_frames_has_no_traceback():
    assert describe(ValueError("x")).traceback is None


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def test_an_error_that_cannot_be_shown_is_told_as_that():
    data = describe(Mute())
    assert data.kind == "Mute"
    assert "could not be shown: its own code raised RuntimeError" in data.text


def test_long_errors_are_cut():
    data = describe(raised_by(f"class {'K' * 500}(Exception): pass\nraise {'K' * 500}('x' * 100_000)\n"), FOLDER)
    assert len(data.kind) == 100
    assert len(data.text) <= MAX_TEXT
    assert len(shown(data)) <= MAX_TRACEBACK


def test_endless_recursion_can_be_described():
    data = describe(raised_by("def f():\n    f()\n\nf()\n"), FOLDER)
    assert data.kind == "RecursionError"
    assert "vqe.py, line 2, in f" in data.text
    assert len(shown(data)) <= MAX_TRACEBACK


def test_a_place_that_is_named_already_is_not_named_twice():
    text = "no qubits; the circuit was made at vqe.py, line 1"
    assert describe(raised_by(f"raise ValueError({text!r})"), FOLDER).text == text
