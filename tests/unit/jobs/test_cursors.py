"""Cursors of lists."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.jobs.cursors import decode_cursor, encode_cursor


@given(st.integers(0, (1 << 63) - 1), st.text(st.characters(codec="utf-8")))
def test_a_place_comes_back_as_it_was(number, text):
    assert decode_cursor("jobs", encode_cursor("jobs", number, text), int, str) == [number, text]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "AAAA",
        encode_cursor("audit", 7),
        encode_cursor("jobs"),
        encode_cursor("jobs", 7, 8),
        encode_cursor("jobs", "7"),
        encode_cursor("jobs", 1 << 63),
        base64.urlsafe_b64encode(b'["jobs", -1]').decode(),
        base64.urlsafe_b64encode(b'["jobs", true]').decode(),
        base64.urlsafe_b64encode(b'["jobs", 1e400]').decode(),
        base64.urlsafe_b64encode(b'{"jobs": 1}').decode(),
        base64.urlsafe_b64encode(b'["jobs", ' + b"[" * 5000).decode(),
    ],
)
def test_what_is_no_cursor_of_the_list_is_refused(cursor):
    with pytest.raises(InvalidInput, match="not a cursor of this list"):
        decode_cursor("jobs", cursor, int)


@given(st.text())
def test_no_text_breaks_the_reader(text):
    try:
        place = decode_cursor("jobs", text, int)
    except InvalidInput:
        return
    assert isinstance(place[0], int)
