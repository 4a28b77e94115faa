"""Bodies are JSON that every database and every client can take, or are refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.api.guard import decode
from hybrid_runtime.api.problems import Malformed
from hybrid_runtime.errors import InvalidInput

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_json_is_taken_as_it_is(value):
    assert decode(json.dumps(value).encode()) == value
    assert decode(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nul", b"NaN", b'{"a": Infinity}', b"1e999", b'"\\ud800"', b'"\\udc00 alone"', b'"\xff"', b"{'a': 1}",
     b'{"a": 1,}', b"\xef\xbb\xbf{}", b'"\xed\xa0\x80"'],
)  # fmt: skip
def test_what_is_not_json_is_refused(body):
    with pytest.raises(Malformed):
        decode(body)


@pytest.mark.parametrize("body", [b'"\\u0000"', b'{"a": ["b\\u0000c"]}', b'{"\\u0000": 1}', b'[[["\\u0000"]]]'])
def test_a_nul_character_is_refused(body):
    with pytest.raises(InvalidInput, match="NUL"):
        decode(body)


def test_a_backslash_before_what_looks_like_a_nul_is_taken():
    assert decode(rb'"\\u0000"') == r"\u0000"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [66, 1000, 100_000])
def test_a_body_that_is_nested_too_deep_is_refused(opening, closing, depth):
    with pytest.raises((InvalidInput, Malformed), match="nested deeper"):
        decode(opening * depth + b"1" + closing * depth)


def test_many_shallow_containers_are_taken():
    assert decode(b"[" + b",".join([b"[1]"] * 1000) + b"]") == [[1]] * 1000
