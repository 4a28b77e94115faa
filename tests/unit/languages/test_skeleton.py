"""What counts as a numeral that may change from step to step."""

from __future__ import annotations

import pytest

from hybrid_runtime.languages.skeleton import split, without_comments


@pytest.mark.parametrize(
    ("text", "numerals"),
    [
        ("Rx(0.5) q[0]", ["0.5"]),
        ("Rx(-0.5) q[0]", ["-0.5"]),
        ("Rx(+.5) q[0]", ["+.5"]),
        ("Rx(1e-07) q", ["1e-07"]),
        ("Rx(1.5E+3) q", ["1.5E+3"]),
        ("U(0.1, -0.2,-3.) q", ["0.1", "-0.2", "-3."]),
        ("Rx(2*-0.5) q", ["-0.5"]),
        ("Rx(pi - 0.5) q", ["0.5"]),
        ("Rx(1.0-0.5) q", ["1.0", "0.5"]),
        ("Rx(1.0 -0.5) q", ["1.0", "0.5"]),
        ("Rx(1.0--0.5) q", ["1.0", "-0.5"]),
        ("rx q[0], -0.5", ["-0.5"]),
        ("Rx(2) q[0:1]", []),
        ("Rx(pi/2) q[10]", []),
        ("X90 q; mX90 q", []),
        ("pow(0.5).X q", ["0.5"]),
        ("pow(2).X q", []),
        ("q1.5", []),
        ("1.5.5", ["1.5"]),
        ("version 3.0", []),
        ("Rx(\u0660.\u0665) q", []),
    ],
)
def test_numerals_with_a_point_or_an_exponent_are_cut_out_with_their_sign(text, numerals):
    assert split(text)[1::2] == numerals


def test_a_sign_makes_no_other_skeleton():
    assert split("Rx(-0.5) q")[::2] == split("Rx(1e-7) q")[::2]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("H q // 0.5\nX q", "H q  \nX q"),
        ("H q /* 0.5\n */ X q", "H q   X q"),
        ("version 1.0\nx q[0] # 0.5\n", "version 1.0\nx q[0]  \n"),
        ("/* c */ # c\nversion 1.0\nx q[0] # 0.5", "   \nversion 1.0\nx q[0]  "),
        ("version 3.0\nX q # no comment", "version 3.0\nX q # no comment"),
        ("H q /* open", "H q  "),
        ("Rx(pi/2) q", "Rx(pi/2) q"),
    ],
)
def test_comments_are_no_part_of_a_skeleton(text, left):
    assert without_comments(text) == left


def test_no_text_takes_time_that_grows_faster_than_its_length():
    # Each of these would take minutes if a search began anew at every character.
    for piece in ("/*", "1", "1.", "1e", "-", "# ", "//", "version "):
        text = piece * 300_000
        split(without_comments(text))
        split(without_comments("#" + text))
