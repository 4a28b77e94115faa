from __future__ import annotations

import math

import pytest

from hybrid_runtime.cli.tally import sparkline


def test_a_sparkline_rises_with_its_values():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"


def test_a_long_series_is_drawn_in_the_width_given_and_ends_with_its_newest_value():
    drawn = sparkline([float(number) for number in range(1000)] + [-5000.0], 40)
    assert len(drawn) == 40
    assert drawn[-1] == "▁"


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, math.nan]])
def test_a_series_without_finite_values_is_not_drawn(values):
    assert sparkline(values, 10) == ""


def test_what_is_not_finite_leaves_a_gap():
    assert sparkline([0.0, math.nan, 1.0], 3) == "▁ █"


def test_a_constant_series_is_flat():
    assert sparkline([2.0, 2.0], 10) == "▁▁"


def test_a_series_as_wide_as_floats_go_is_drawn():
    assert sparkline([-1.7e308, 1.7e308], 10) == "▁█"
