"""Arithmetic in circuits, against libqasm's own evaluation and against what it must not be given."""

from __future__ import annotations

import math
import random

import pytest

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.compiler import Compiler


@pytest.fixture
def angle(operations):
    """The value of an expression as the angle of a gate."""

    def evaluate(expression, **parameters):
        ((_, _, (number,)),) = operations(f"Rx({expression}) q[0]", **parameters)
        return number

    return evaluate


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("1/2", 0.0),
        ("-7/2", -3.0),
        ("-7 % 3", -1.0),
        ("7 % -3", 1.0),
        ("1.0/2", 0.5),
        ("2**-1", 0.5),
        ("-2**2", 4.0),
        ("-2.0**2.0", 4.0),
        ("2**3**2", 512.0),
        ("6/4*2.0", 2.0),
        ("1-2-3", -4.0),
        ("- -2", 2.0),
        ("2.0--3.0", 5.0),
        ("+3", 3.0),
        ("true + true", 2.0),
        ("!true == false", 1.0),
        ("~1", -2.0),
        ("1 << 3", 8.0),
        ("1<<2+1", 8.0),
        ("5 & 3 | 8", 9.0),
        ("5 ^ 3", 6.0),
        ("1 > 2 ? 1 : 2.5", 2.5),
        ("false ? 1 : true ? 3 : 4", 3.0),
        ("1 == 1.0", 1.0),
        ("true && false || true ^^ true", 0.0),
        ("abs(-2)", 2.0),
        ("abs(-2.5)", 2.5),
        ("acosh(2)", math.acosh(2)),
        ("2*(pi - tau)/eu", 2 * (math.pi - math.tau) / math.e),
        ("1e-07", 1e-07),
        ("1E3", 1000.0),
        (".5 + 1.", 1.5),
        ("007", 7.0),
        ("np.float64(-0.25)", -0.25),
        ("numpy.int64(3)/2", 1.0),
        ("2*np.float32(0.5)", 1.0),
        ("9223372036854775807", 2.0**63),
    ],
)
def test_expressions_have_the_value_that_libqasm_gives_them(angle, expression, number):
    assert angle(expression) == pytest.approx(number, rel=1e-15)


def _random_expression(chance: random.Random, depth: int) -> str:
    if depth == 0:
        return chance.choice(["0.5", "2", "3", "1.25", "pi", "true", "7", "-1.5", "-2", "10", "0.1"])
    left, right = (_random_expression(chance, depth - chance.choice([1, 1, depth])) for _ in range(2))
    if chance.random() < 0.25:
        return f"({left})"
    if chance.random() < 0.2:
        return chance.choice(["-{}", "cos({})", "abs({})", "~{}", "!{}", "+{}", "exp({})"]).format(left)
    if chance.random() < 0.05:
        return f"{left} < {right} ? {left} : {right}"
    # `/`, `%` and shifts stay out: libqasm would end this process for some of their operands.
    operators = "+ - * ** + - * == != < >= & | ^ && || ^^".split()  # noqa: SIM905
    return f"{left} {chance.choice(operators)} {right}"


def _compiled_or_reason(text):
    try:
        return Compiler().compile(Circuit(text)), ""
    except CircuitRejected as error:
        return None, str(error)


def test_random_expressions_have_the_value_or_are_refused_as_libqasm_does(values):
    from cqasm.v3x import Analyzer

    chance, agreed, refused = random.Random(7), 0, 0
    for _ in range(600):
        expression = _random_expression(chance, 3)
        text = f"version 3.0;qubit q;bit b;Rx({expression}) q;b = measure q"
        theirs = Analyzer().analyze_string(text)
        expected = math.nan
        if not isinstance(theirs, list):
            expected = theirs.block.statements[0].gate.parameters[0].value
        compiled, reason = _compiled_or_reason(text)
        if compiled is None:
            # Some integers overflow, where libqasm goes on with what is left of them.
            assert not math.isfinite(expected) or "64 bits" in reason, expression
            refused += 1
            continue
        (number,) = compiled.program.operations[0].params
        ours = values(compiled)[number] if isinstance(number, int) else number
        assert ours == pytest.approx(expected, rel=1e-12), expression
        agreed += 1
    assert agreed > 200
    assert refused > 50


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("1/0", "division by zero"),
        ("1%0", "division by zero"),
        ("0/(1-1)", "division by zero"),
        ("1.0/0.0", "division by zero"),
        ("(-9223372036854775807-1)/(-1)", "does not fit in 64 bits"),
        ("9223372036854775807+1", "does not fit in 64 bits"),
        ("9223372036854775808", "does not fit in 64 bits"),
        pytest.param("9" * 1_000_000, "does not fit in 64 bits", id="a million digits"),
        ("1 << 64", "a shift is by 0 to 63 bits"),
        ("1 << -1", "a shift is by 0 to 63 bits"),
        ("1e999", "1e999 is too large for a float"),
        ("1e308*10", "is inf, which is not a finite number"),
        ("exp(1000)", "too large for a float"),
        ("sqrt(-1)", "has no real value"),
        ("log(0)", "has no real value"),
        ("(-2)**0.5", "has no real value"),
        ("nan", "the angle is nan, which is not a finite number"),
        ("-inf", "the angle is inf, which is not a finite number"),
        ("np.float64(nan)", "the angle is nan"),
        ("np.array(0.5)", "only scalars such as np.float64(0.3) are understood"),
        ("1.5 % 2", "'%' does not take (float, int)"),
        ("!1", "'!' does not take (int)"),
        ("1 ? 2 : 3", "'?:' does not take (int, int, int)"),
        ("atan(1, 2)", "'atan' does not take (int, int)"),
        ("p", "'p' is not a number or a known constant; did you mean pi?"),
        ("sinus(1)", "unknown function 'sinus'; did you mean sin?"),
        ("cosine", "'cosine' is not a number or a known constant"),
        ("1 +", "expected a number, not ')'"),
        ("sin(1", "expected ',' or ')' after a parameter of Rx"),
        ("(1, 2)", "expected ')' after the expression, not ','"),
        ("1 ? 2", "expected ':' between the two values of '?'"),
        ("1 2", "expected ',' or ')' after a parameter of Rx, not '2'"),
        ("0x10", "expected ',' or ')' after a parameter of Rx, not 'x10'"),
        pytest.param("(" * 5000 + "1" + ")" * 5000, "nested more than", id="5000 parentheses"),
        pytest.param("-" * 5000 + "1", "nested more than", id="5000 signs"),
        pytest.param("2**" * 5000 + "1", "nested more than", id="5000 powers"),
        pytest.param("1 < 2 ? 1 :" * 5000 + "1", "nested more than", id="5000 choices"),
        pytest.param("+".join(["0.5"] * 5000), "more than 100 operations one upon the other", id="5000 terms"),
        ("\u22121.0", "unexpected character '\u2212'"),
        ("1\x00", "unexpected character U+0000"),
    ],
)
def test_what_is_no_number_is_refused_with_its_place(compiled, expression, says):
    with pytest.raises(CircuitRejected) as caught:
        compiled(f"version 3.0\nqubit q\nbit b\nRx({expression}) q\nb = measure q")
    assert str(caught.value).startswith("line 4, column ")
    assert says in str(caught.value)


def test_a_long_sum_of_constants_is_one_number(angle):
    assert angle("+".join(["1"] * 5000)) == 5000.0


@pytest.mark.parametrize(
    ("expression", "parameters", "number"),
    [
        ("{t}", {"t": 0.3}, 0.3),
        ("2*{t} + pi", {"t": 0.3}, 0.6 + math.pi),
        ("-{t}**2", {"t": 3.0}, 9.0),
        ("{t}/2", {"t": 1}, 0.5),
        ("cos({t})*sin({u})", {"t": 0.3, "u": 0.4}, math.cos(0.3) * math.sin(0.4)),
        ("{t[1]} - {t[0]}", {"t": [1.0, 4.0]}, 3.0),
        ("{t[-1]}", {"t": [1.0, 4.0]}, 4.0),
        ("{t} > 0.5 ? 1 : 2", {"t": 0.6}, 1.0),
        ("1/({t} > 0.5 ? 1 : 2)", {"t": 0.4}, 0.0),
        ("{θ}", {"θ": 0.3}, 0.3),
        ("(true + ({t} > 0.5)) << 2", {"t": 0.6}, 8.0),
    ],
)
def test_placeholders_take_part_in_arithmetic(angle, expression, parameters, number):
    assert angle(expression, **parameters) == pytest.approx(number)
