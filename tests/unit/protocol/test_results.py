"""Results of many rows as columns of numbers."""

from __future__ import annotations

import struct

import msgspec
import pytest

from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.protocol.messages import ResultData, ResultTable, encode
from hybrid_runtime.protocol.results import REAL, SEED, column, decode_results, joined, kind_of_counts, numbers, rows_of

SEEDS = struct.pack("<2I", 8, 9)
SINGLE = ResultData({"1": 4}, 4, 0.5, 7)


def test_a_list_of_both_kinds_of_items_is_read_row_by_row():
    table = ResultTable(SEEDS, 5, 0.25, ["00", "11"], struct.pack("<4I", 5, 0, 2, 3))
    found = decode_results(encode([SINGLE, table]))
    assert found == [
        SINGLE,
        ResultData({"00": 5}, 5, 0.25, 8),
        ResultData({"00": 2, "11": 3}, 5, 0.25, 9),
    ]
    assert [rows_of(SINGLE), rows_of(table)] == [1, 2]


def test_a_table_of_probabilities_or_values_is_read_row_by_row():
    probabilities = ResultTable(SEEDS, 0, 0.0, ["0", "1"], probabilities=struct.pack("<4d", 1.0, 0.0, 0.5, 0.5))
    values = ResultTable(SEEDS, 0, 0.0, values=struct.pack("<2d", 0.0, -2.5))
    assert decode_results(encode([probabilities, values])) == [
        ResultData({}, 0, 0.0, 8, probabilities={"0": 1.0}),
        ResultData({}, 0, 0.0, 9, probabilities={"0": 0.5, "1": 0.5}),
        ResultData({}, 0, 0.0, 8, value=0.0),
        ResultData({}, 0, 0.0, 9, value=-2.5),
    ]


@pytest.mark.parametrize(("kind", "given"), [(SEED, [8, 2**31]), ("H", [0, 65535]), (REAL, [0.25, -2.5])])
def test_a_column_holds_the_numbers_that_it_was_made_of(kind, given):
    assert numbers(kind, column(kind, given)).tolist() == given
    assert column("I", [1, 258]) == b"\1\0\0\0\2\1\0\0"


@pytest.mark.parametrize(("shots", "bytes_each"), [(1, 2), (65535, 2), (65536, 4), (10_000_000, 4)])
def test_counts_take_no_more_room_than_their_shots_need(shots, bytes_each):
    counts = column(kind_of_counts(shots), [shots, 0, 0, shots])
    assert len(counts) == 4 * bytes_each
    table = ResultTable(SEEDS, shots, 0.25, ["00", "11"], counts)
    assert [one.counts for one in decode_results(encode([table]))] == [{"00": shots}, {"11": shots}]


@pytest.mark.parametrize(
    "table",
    [
        ResultTable(SEEDS[:-1], 0, 0.0),
        ResultTable(SEEDS, 5, 0.0, ["0"], b"123"),
        ResultTable(SEEDS, 5, 0.0, [], b"12345678"),
        ResultTable(SEEDS, 0, 0.0, ["0"], probabilities=b"12345678"),
        ResultTable(SEEDS, 0, 0.0, values=b"1234567"),
    ],
)
def test_a_table_with_columns_of_different_lengths_is_refused(table):
    with pytest.raises(ProtocolError, match="not of one length"):
        decode_results(encode([table]))


@pytest.mark.parametrize("sizes", [(0, 1), (1, 2), (15, 16), (20, 70_000), (3,)])
def test_lists_are_joined_without_being_read(sizes):
    lists = [encode([SINGLE] * size) for size in sizes]
    assert decode_results(joined(*lists)) == [SINGLE] * sum(sizes)


@pytest.mark.parametrize("other", [b"", b"\xc0", b"\xdd\0", b"\xdc", encode({}), encode("result")])
def test_what_is_no_list_is_not_joined(other):
    with pytest.raises(ProtocolError, match="list"):
        joined(encode([SINGLE]), other)


def test_what_is_no_list_of_results_is_refused():
    with pytest.raises(msgspec.DecodeError):
        decode_results(encode(["result"]))
