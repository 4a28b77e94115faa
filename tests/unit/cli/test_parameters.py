from __future__ import annotations

import pytest

from hybrid_runtime.cli.parameters import parse_parameters
from hybrid_runtime.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=0.3", 0.3),
        ("x=-1", -1),
        ("x=1e-3", 0.001),
        ("x=true", True),
        ("x=null", None),
        ("x=[1, [2, 3]]", [1, [2, 3]]),
        ('x={"a": 1}', {"a": 1}),
        ('x="a b"', "a b"),
        ("x=COBYLA", "COBYLA"),
        ("x=L-BFGS-B", "L-BFGS-B"),
        ("x=data/h2.json", "data/h2.json"),
        ('x="@home"', "@home"),
        ("x=" + "9" * 30, int("9" * 30)),
        (" x =1", 1),
        ('x="a=b"', "a=b"),
    ],
)
def test_a_value_is_json_or_a_bare_word(text, value):
    assert parse_parameters([text]) == {"x": value}


def test_parameters_keep_their_order_and_types():
    assert list(parse_parameters(["b=1", "a=2.0"]).items()) == [("b", 1), ("a", 2.0)]


def test_a_value_may_be_read_from_a_file(tmp_path):
    path = tmp_path / "angles.json"
    path.write_text("[0.1,\n 0.2]\n")
    assert parse_parameters([f"x=@{path}"]) == {"x": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["x"], "not NAME=VALUE"),
        (["=3"], "not NAME=VALUE"),
        (["x=1", "x=2"], "--param x is given twice"),
        (["x=[1, 2"], "--param x is not JSON"),
        (["x=a b"], "--param x is not JSON"),
        (["x=.5"], "--param x is not JSON"),
        (["x="], "--param x is not JSON"),
        (["x=True"], "write true"),
        (["x=None"], "write null"),
        (["x=NaN"], "NaN is not JSON"),
        (["x=[Infinity]"], "Infinity is not JSON"),
        (["x=1e999"], "too large"),
        (['x=[1, {"a": 1e999}]'], "too large"),
        (['x={"a": 1, "a": 2}'], "key 'a' is given twice"),
        (["x=" + "[" * 100_000], "--param x cannot be used"),
        (["x=@no/such/file"], "cannot be read: No such file"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name(texts, reason):
    with pytest.raises(InvalidInput) as caught:
        parse_parameters(texts)
    assert reason in str(caught.value)


def test_a_malformed_file_is_refused_with_the_place_in_it(tmp_path):
    path = tmp_path / "angles.json"
    path.write_text("[0.1,\n 0.2")
    with pytest.raises(InvalidInput, match="line 2"):
        parse_parameters([f"x=@{path}"])


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "angles.bin"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="UTF-8"):
        parse_parameters([f"x=@{path}"])
