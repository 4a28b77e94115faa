"""User data on its way: what comes back is what was sent, or a refusal that names the culprit."""

from __future__ import annotations

import datetime
import enum
import math
from collections import OrderedDict, UserDict, deque, namedtuple
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from hybrid_runtime import Circuit, Limits, QuantumResult
from hybrid_runtime.errors import ProtocolError, ResultNotEncodable
from hybrid_runtime.values import MAX_DEPTH, MAX_VALUE_BYTES, decode_value, encode_value, to_json

Point = namedtuple("Point", "x y")


@dataclass
class Best:
    energy: float
    at: list[float]


class Colour(enum.Enum):
    RED = "red"


class Kind(str, enum.Enum):  # noqa: UP042 - the older way, whose str() is not its value
    FIRST = "first"


class Grade(enum.IntEnum):
    GOOD = 2


def there_and_back(value):
    return decode_value(encode_value(value))


keys = st.one_of(st.text(max_size=5), st.integers(-(1 << 62), 1 << 62), st.booleans())
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 200), 1 << 200),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    st.complex_numbers(allow_nan=False),
)
plain = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


@given(plain)
def test_plain_data_comes_back_as_it_was(value):
    back = there_and_back(value)
    assert repr(back) == repr(value)


@given(
    st.lists(st.integers(0, 4), max_size=4),
    st.sampled_from(["b1", "i1", "u2", ">i4", "i8", "f2", "f4", ">f8", "c8", "c16", "U3", "S5"]),
)
def test_arrays_come_back_with_their_shape_and_kind(shape, dtype):
    array = np.arange(math.prod(shape)).astype(dtype).reshape(shape)
    back = there_and_back({"a": array})["a"]
    if shape == []:
        assert back == array.item()
        return
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("<")
    assert np.array_equal(back, array)
    assert back.flags.writeable


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.longdouble(1.5), 1.5),
        (np.int64(7), 7),
        (np.uint64(1 << 63), 1 << 63),
        (np.bool_(True), True),
        (np.complex64(1j), 1j),
        (np.str_("x"), "x"),
        (np.datetime64("2020-01-01"), "2020-01-01"),
        (np.array(3), 3),
        (np.array([None, 1], dtype=object), [None, 1]),
        (np.array([1 << 70], dtype=object), [1 << 70]),
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        ((1, 2), [1, 2]),
        (range(3), [0, 1, 2]),
        (deque([1]), [1]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("a"), ["a"]),
        ({"b": 1}.keys(), ["b"]),
        (OrderedDict(a=1), {"a": 1}),
        (UserDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Best(-1.5, [0.1]), {"energy": -1.5, "at": [0.1]}),
        (Colour.RED, "red"),
        (Kind.FIRST, "first"),
        (Grade.GOOD, 2),
        ({Colour.RED: 1, Kind.FIRST: 2, Grade.GOOD: 3}, {"red": 1, "first": 2, 2: 3}),
        (
            {np.int64(1): "a", np.float64(2.5): "b", (0, 1): "c", None: "d"},
            {1: "a", 2.5: "b", "(0, 1)": "c", "None": "d"},
        ),
        (Fraction(1, 4), 0.25),
        (Decimal("1.5"), 1.5),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (PurePosixPath("a/b"), "a/b"),
        (Limits(steps=3).steps, 3),
    ],
)
def test_what_is_not_plain_comes_back_as_the_plainest_thing_it_is(value, back):
    assert there_and_back(value) == back
    assert type(there_and_back(value)) is type(back)


def test_what_the_runtime_gives_can_be_given_back():
    result = there_and_back(QuantumResult(counts={"0": 3}, shots_requested=3))
    assert (result["counts"], result["shots_done"]) == ({"0": 3}, 3)
    assert there_and_back(Circuit("{a}", parameters={"a": 1}))["parameters"] == {"a": 1.0}
    assert there_and_back(Limits(steps=3))["steps"] == 3


def test_a_result_of_scipy_can_be_given_back():
    back = there_and_back(minimize(lambda x: (x[0] - 1) ** 2, [0.0], method="L-BFGS-B"))
    assert back["x"] == pytest.approx([1.0])
    assert back["hess_inv"].shape == (1, 1)


def endless() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


class Trap(dict):
    def items(self):
        raise RuntimeError("sprung")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"psi": [0, print]}, r"value\['psi'\]\[1\] is of type builtins.builtin_function"),
        ([{1: object()}], r"value\[0\]\[1\] is of type builtins.object"),
        (np.random.default_rng(1), "numpy.random"),
        (ValueError("x"), "builtins.ValueError"),
        (Best, "builtins.type"),
        ({frozenset(): 1}, "a key of type frozenset"),
        (endless(), "nested deeper than"),
        (10**1300, "at most 4096 are kept"),
        (Fraction(10**400), "too large"),
        ("\ud800", "not valid Unicode"),
        ({"\ud800": 1}, "not valid Unicode"),
        (np.zeros(MAX_VALUE_BYTES // 8 + 1), "is an array of"),
        (b"x" * (MAX_VALUE_BYTES + 1), "at most 16777216 are kept"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_path(value, why):
    with pytest.raises(ResultNotEncodable, match=why) as caught:
        encode_value(value)
    assert len(str(caught.value)) < 400


def test_a_value_that_is_shared_everywhere_is_refused_before_memory_is_full(monkeypatch):
    monkeypatch.setattr("hybrid_runtime.values.MAX_ITEMS", 10_000)
    value: list[object] = [1]
    for _ in range(MAX_DEPTH - 4):
        value = [value, value]
    with pytest.raises(ResultNotEncodable, match="more than 10000 items"):
        encode_value(value)


def test_an_error_of_the_values_own_code_is_not_hidden():
    with pytest.raises(RuntimeError, match="sprung"):
        encode_value(Trap(a=1))


def test_refusals_call_the_value_as_they_are_told():
    with pytest.raises(ResultNotEncodable, match=r"parameters\['x'\]"):
        encode_value({"x": print}, "parameters")


def extension(code: int, *content: object) -> bytes:
    data = content[0] if isinstance(content[0], bytes) else msgspec.msgpack.encode(content)
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(code, data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x91" * 100_000,
        b"\xde\xff\xff",
        b"\xd9\x01\xff",
        b"\x81\x80\x01",
        extension(1, "<f8", [-1, 0], b""),
        extension(1, "<f8", [2], b"12345678"),
        extension(1, "<f8", [1 << 62, 1 << 62], b""),
        extension(1, "<f8", [1 << 40, 0], b""),
        extension(1, "<f8", [1] * 33, b"12345678"),
        extension(1, "<O8", [1], b"12345678"),
        extension(1, "<V8", [1], b"12345678"),
        extension(1, "<S0", [0], b""),
        extension(1, "f8,O", [1], b"12345678"),
        extension(1, b"\xff"),
        extension(2, b"short"),
        extension(3, b"\x01" * 1000),
        extension(9, b""),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_bytes_that_are_no_value_are_refused(data):
    with pytest.raises(ProtocolError, match=r"malformed|unknown extension"):
        decode_value(data)


@given(st.binary(max_size=200))
def test_no_bytes_do_any_harm(data):
    with suppress(ProtocolError):
        decode_value(data)


def test_json_has_no_infinities_and_says_what_is_complex():
    value = {"a": [math.nan, math.inf, 1.5], 2: 1j, "c": np.array([[1.0, math.nan]]), b"k": b"\xff"}
    assert to_json(value) == {
        "a": [None, None, 1.5],
        "2": {"re": 0.0, "im": 1.0},
        "c": [[1.0, None]],
        "k": "\\xff",
    }


@pytest.mark.parametrize(
    "data", [b"\x91" * 800 + b"\x01", b"\x81\x01" * 800 + b"\x01", b"\x81" + b"\x91" * 9 + b"\x01\x01"]
)
def test_what_would_end_whoever_shows_it_is_refused(data):
    with pytest.raises(ProtocolError, match="malformed value"):
        decode_value(data)


def test_values_are_read_back_as_deep_as_they_are_written():
    value: object = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert decode_value(encode_value(value)) == value
