from __future__ import annotations

import sys

import pytest

from hybrid_runtime.cli.circuit_texts import CircuitText
from hybrid_runtime.cli.lint_circuits import check_circuits, problems
from hybrid_runtime.errors import InternalError

GOOD = "version 3.0\nqubit[1] q\nbit[1] b\nH q[0]\nb = measure q"
BAD = GOOD.replace("H q", "HH q")


def text(source, *, certain=True, lines_match=True, parameters=None):
    return CircuitText("a.py", 10, lines_match, source, parameters or {}, None, certain)


def test_each_circuit_gets_its_own_answer():
    answers = problems([text(GOOD), text(BAD), text("nonsense"), text(GOOD)])
    assert [answer is None for answer in answers] == [True, False, False, True]


MORTAL = """\
import json, os, signal, sys
for line in sys.stdin:
    if json.loads(line)["source"] == "deadly":
        os.kill(os.getpid(), signal.SIGFPE)
    print(json.dumps({"problem": None}), flush=True)
"""


def test_a_circuit_that_kills_the_parser_does_not_keep_the_others_from_their_answers():
    answers = problems([text(GOOD), text("deadly"), text(GOOD), text("deadly")], [sys.executable, "-c", MORTAL])
    killed = "the parser did not survive this circuit (SIGFPE): simplify it"
    assert answers == [None, killed, None, killed]


def test_a_check_that_fails_by_itself_is_a_fault_of_ours():
    with pytest.raises(InternalError, match="could not be checked: no luck"):
        problems([text(GOOD)], [sys.executable, "-c", "import sys; sys.exit('no luck')"])


def test_nothing_is_started_where_there_is_nothing_to_parse():
    assert problems([]) == []


def test_numbers_are_put_in_for_parameters():
    source = GOOD.replace("H q[0]", "Rx({t}) q[{i}]")
    assert problems([text(source, parameters={"t": 0.5, "i": 0.0})]) == [None]


def test_a_problem_is_found_at_the_line_of_the_file():
    (finding,) = check_circuits([text(BAD)])
    assert (finding.line, finding.severity) == (13, "error")


def test_a_problem_in_a_text_of_one_line_is_found_where_the_text_starts():
    (finding,) = check_circuits([text(BAD, lines_match=False)])
    assert finding.line == 10


def test_a_problem_in_a_text_with_guessed_sizes_is_a_warning():
    (finding,) = check_circuits([text(BAD, certain=False)])
    assert finding.severity == "warning"
