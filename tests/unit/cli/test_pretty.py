from __future__ import annotations

import numpy as np

from hybrid_runtime.cli.pretty import MOST_LINES, is_counts, lines_of


def test_counts_are_bars_with_the_most_frequent_first():
    first, second = lines_of({"00": 250, "11": 750})
    assert first.startswith("11  750   75.0 %  ███")
    assert second.startswith("00  250   25.0 %  ███")
    assert first.count("█") == 3 * second.count("█")


def test_many_counts_are_shortened_without_losing_the_total():
    counts = {f"{number:06b}": 64 - number for number in range(64)}
    *shown, rest = lines_of(counts)
    assert len(shown) == 16
    assert rest == f"… 48 more values, {sum(list(counts.values())[16:])} shots together"


def test_counts_of_nothing_seen_are_shown():
    assert lines_of({"0": 0}) == ["0  0    0.0 %  "]


def test_only_bit_strings_of_one_length_are_counts():
    assert is_counts({"01": 3})
    assert not is_counts({"01": 3, "1": 2})
    assert not is_counts({"01": 0.5})
    assert not is_counts({"01": True})
    assert not is_counts({"12": 3})
    assert not is_counts({"": 3})
    assert not is_counts({1: 3})


def test_members_are_aligned():
    assert lines_of({"energy": -1.25, "n": 3}) == ["energy  -1.25", "n       3"]


def test_nested_values_are_indented_below_their_name():
    assert lines_of({"best": {"x": 1.5, "y": 2}}) == ["best", "  x  1.5", "  y  2"]


def test_a_long_list_is_shortened():
    lines = lines_of([float(number) / 3 for number in range(1000)])
    assert len(lines) < 20
    assert lines[-1] == "… 992 more items"


def test_a_list_that_fits_a_line_is_one_line():
    assert lines_of([1, 2.5, "a", None]) == ["[1, 2.5, 'a', None]"]


def test_a_large_array_is_shortened_and_its_shape_told():
    lines = lines_of(np.zeros((100, 100)))
    assert len(lines) < 15
    assert lines[-1] == "(array of 100 x 100)"


def test_a_small_array_is_shown_whole():
    assert lines_of(np.array([0.25, 0.5])) == ["[0.25 0.5 ]"]


def test_a_value_never_takes_more_than_a_screen():
    assert len(lines_of({f"key{number}": number for number in range(1000)})) == MOST_LINES + 1


def test_control_characters_do_not_reach_the_terminal():
    shown = "\n".join(lines_of({"te\x1b[2Jxt": ["\x1b[31m", "a"], "b": "\x1b]0;title\x07"}))
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_scalars_and_nothing_are_shown_as_they_are():
    assert lines_of(None) == ["None"]
    assert lines_of(2) == ["2"]
    assert lines_of("two\nlines") == ["two", "lines"]
    assert lines_of({}) == ["{}"]
    assert lines_of([]) == ["[]"]
    assert lines_of(1 + 2j) == ["(1+2j)"]
