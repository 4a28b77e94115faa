from __future__ import annotations

import ast
import textwrap

import pytest

from hybrid_runtime.cli.lint_functions import empty_end, is_generator, returns_value, signature, takes


def function(text):
    return ast.parse(textwrap.dedent(text)).body[0]


def body(text):
    return function("def f(x):\n" + textwrap.indent(textwrap.dedent(text), "    "))


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        ("self, x", True),
        ("self, x, y=1", True),
        ("*args", True),
        ("self, *args, **kwargs", True),
        ("self, x, /", True),
        ("self, x=None", True),
        ("self, x, *, y=1", True),
        ("self", False),
        ("self, x, y", False),
        ("self, x, *, y", False),
        ("", False),
    ],
)
def test_whether_a_method_takes_itself_and_one_argument(arguments, fits):
    assert takes(function(f"def f({arguments}): pass"), 2) is fits


@pytest.mark.parametrize(
    "text",
    [
        "return 1",
        "raise ValueError",
        "if x:\n    return 1\nelse:\n    raise ValueError",
        "if x:\n    return 1\nelif y:\n    return 2\nelse:\n    return 3",
        "while True:\n    x = 1",
        "while True:\n    for y in x:\n        break",
        "with x:\n    return 1",
        "try:\n    return 1\nexcept ValueError:\n    raise",
        "try:\n    y = 1\nfinally:\n    return 2",
        "try:\n    y = 1\nexcept ValueError:\n    return 1\nelse:\n    return 2",
        "match x:\n    case 1:\n        return 1\n    case _:\n        return 2",
        "def g():\n    return\nreturn g",
    ],
)
def test_a_function_that_always_ends_with_a_value_has_no_empty_end(text):
    assert empty_end(body(text)) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1", 2),
        ("if x:\n    return 1", 3),
        ("if x:\n    return\nreturn 1", 3),
        ("while x:\n    return 1", 3),
        ("while True:\n    if x:\n        break", 4),
        ("while True:\n    try:\n        break\n    finally:\n        x = 1", 6),
        ("for y in x:\n    return 1", 3),
        ("try:\n    return 1\nexcept ValueError:\n    pass", 5),
        ("match x:\n    case 1:\n        return 1", 4),
        ("match x:\n    case _ if x:\n        return 1", 4),
    ],
)
def test_where_a_function_may_end_without_a_value(text, line):
    assert empty_end(body(text)) == line


def test_returns_and_yields_of_inner_functions_are_not_the_functions_own():
    inner = body("def g():\n    yield 1\n    return 2\nx = lambda: (yield)\nreturn")
    assert not is_generator(inner)
    assert not returns_value(inner)


def test_a_function_that_yields_is_a_generator():
    assert is_generator(body("if x:\n    y = yield x"))
    assert is_generator(body("yield from x"))


def test_a_signature_is_shown_as_it_is_written():
    assert signature(function("def f(a, *b: int, c=1): pass")) == "f(a, *b: int, c=1)"
