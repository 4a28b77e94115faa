"""A step of many rows that two processes run at the same time has the answer that either would give."""

from __future__ import annotations

from array import array
from math import inf

import msgspec
import pytest

from hybrid_runtime.dispatcher.halves import Halving, halves, whole
from hybrid_runtime.errors import BackendFailed, as_data
from hybrid_runtime.protocol.messages import (
    CircuitCall,
    Executed,
    Failure,
    ResultData,
    derive_seeds,
    encode,
    seed_from,
)
from hybrid_runtime.protocol.results import decode_results


def call(program: int, rows: int, slots: int = 1) -> CircuitCall:
    return CircuitCall(program, 10 * program, rows, array("d", range(rows * slots)).tobytes(), program == 2)


@pytest.mark.parametrize(
    "calls",
    [
        [call(1, 2)],
        [call(1, 7, 3)],
        [call(1, 5, 0)],
        [call(1, 3), call(2, 3)],
        [call(1, 1), call(2, 9, 2), call(3, 1)],
        [call(number, 1) for number in range(9)],
    ],
)
def test_all_rows_are_in_one_half_or_the_other_in_their_order(calls):
    one, other, first = halves(calls)
    rows_in_all = sum(part.rows for part in calls)
    assert sum(part.rows for part in one) == first
    assert 0.4 * rows_in_all <= first <= 0.6 * rows_in_all
    assert all(part.rows for part in [*one, *other])

    def rows(parts):
        found = []
        for part in parts:
            size = len(part.values) // part.rows
            values = [part.values[row * size : (row + 1) * size] for row in range(part.rows)]
            found += [(part.program, part.shots, part.raw, value) for value in values]
        return found

    assert rows(one) + rows(other) == rows(calls)


@pytest.mark.parametrize("seed", [0, 5, 2**31 - 1, 2**64 - 1])
def test_each_row_has_the_seed_that_it_has_in_the_whole(seed):
    for first in (1, 8, 500):
        assert derive_seeds(seed_from(seed, first), 0, 40) == derive_seeds(seed, first, 40)


def executed(request: int, *counts: int) -> Executed:
    items = [ResultData({"0": count}, count, 0.5, count) for count in counts]
    return Executed(request, sum(counts), 0.5 * len(counts), msgspec.Raw(encode(items)))


def test_the_whole_has_the_results_of_both_halves_and_answers_the_request():
    found = whole(executed(0, 1, 2), executed(9, *range(3, 40)))
    assert isinstance(found, Executed)
    assert (found.request, found.shots, found.duration_s) == (9, sum(range(40)), 19.5)
    assert [result.seed for result in decode_results(found.items)] == list(range(1, 40))


def test_what_goes_wrong_in_one_half_is_the_answer_to_the_whole():
    failure = Failure(9, as_data(BackendFailed("tired")), True)
    assert whole(failure, executed(9, 1)) is failure
    assert whole(executed(0, 1), failure) is failure


def test_brief_steps_are_not_halved():
    assert not Halving().wanted(0.0005)
    assert Halving().wanted(0.002)
    assert Halving().wanted(inf)


def test_halving_that_does_not_pay_is_left_out_ever_longer_until_it_pays():
    halving = Halving()

    def left_out_after(waited_s: float) -> int:
        assert halving.wanted(0.002)
        halving.waited(waited_s, 0.001)
        count = 0
        while not halving.wanted(0.002):
            count += 1
        return count

    assert [left_out_after(0.0009) for _ in range(6)] == [3, 15, 63, 255, 255, 255]
    assert [left_out_after(0.0001) for _ in range(3)] == [0, 0, 0]
    assert [left_out_after(0.0009) for _ in range(2)] == [15, 63]
