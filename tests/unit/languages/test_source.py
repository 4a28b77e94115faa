"""Places in a text, language detection, and hints."""

from __future__ import annotations

import pytest

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.source import MAX_CHARACTERS, Source, detect, nearest


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("abc", 0, (1, 1)),
        ("abc", 2, (1, 3)),
        ("a\nbc", 3, (2, 2)),
        ("a\r\nbc", 3, (2, 1)),
        ("a\rbc", 2, (2, 1)),
        ("a\n", 2, (2, 1)),
    ],
)
def test_lines_and_columns_count_from_one(text, offset, place):
    assert Source(text).place(offset) == place


def test_an_error_shows_the_line_and_points_at_the_place():
    error = Source("version 3.0\n  HH q[0]\n").rejected(14, "unknown gate 'HH'")
    assert str(error) == "line 2, column 3: unknown gate 'HH'\n      HH q[0]\n      ^"


def test_of_a_long_line_only_the_part_around_the_place_is_shown():
    text = "x" * 5000 + "!" + "y" * 5000
    shown, pointer = str(Source(text).rejected(5000, "no")).splitlines()[1:]
    assert len(shown) <= 104
    assert shown[pointer.index("^")] == "!"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("version 3.0", "cqasm3"),
        ("version 3\nqubit q", "cqasm3"),
        ("version 1.0; qubits 2", "cqasm1"),
        ("version 1", "cqasm1"),
        ("\n\n  // version 1.0\n/* x\n */ version\t3.0", "cqasm3"),
        ("# a comment\nVersion 1.0", "cqasm1"),
        ("\ufeffversion 3.0", "cqasm3"),
    ],
)
def test_the_version_statement_tells_the_language(text, language):
    found, end = detect(Source(text), None)
    assert found == language
    assert text[:end].lower().rstrip("01.3").endswith(("version ", "version\t"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the circuit is empty"),
        ("  \n ", "the circuit is empty"),
        ("H q[0]", "line 1, column 1: the first line of a circuit must be `version 3.0`"),
        ("\nversion 4.0", "line 2, column 9: version 4.0 is not known; known are cQASM 3.0"),
        ("version 1.2", "line 1, column 9: version 1.2 is not known"),
        ("version 3.0.1", "version 3.0.1 is not known"),
        ("version three", "the first line of a circuit must be"),
        ("OPENQASM 2.0;\nqreg q[2];", "OpenQASM is not accepted; accepted are cQASM 3.0"),
        ("// QAOA\nOPENQASM 3;", "line 2, column 1: OpenQASM is not accepted"),
        ("/* never closed", "the first line of a circuit must be"),
        ("x" * (MAX_CHARACTERS + 1), f"at most {MAX_CHARACTERS} characters, not {MAX_CHARACTERS + 1}"),
    ],
)
def test_other_texts_are_refused_with_the_languages_that_are_accepted(text, says):
    with pytest.raises(CircuitRejected) as caught:
        detect(Source(text), None)
    assert says in str(caught.value)


def test_a_declared_language_has_to_be_that_of_the_text():
    assert detect(Source("version 1.0"), "cqasm1")[0] == "cqasm1"
    with pytest.raises(CircuitRejected, match="said to be cqasm3, but its text is cqasm1"):
        detect(Source("version 1.0"), "cqasm3")


def test_the_nearest_name_is_offered_whatever_its_case():
    assert nearest("measureall", ["measure_all", "h"]) == "; did you mean measure_all?"
    assert nearest("cnot", ["CNOT", "CZ"]) == "; did you mean CNOT?"
    assert nearest("completely_else", ["CNOT", "CZ"]) == ""
