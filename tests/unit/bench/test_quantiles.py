from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.bench.quantiles import of_nanoseconds, quantiles


def test_quantiles_of_a_thousand_are_by_rank():
    found = quantiles([float(number) for number in range(1000, 0, -1)])
    assert (found.p50, found.p99, found.p999, found.max, found.samples) == (500, 990, 999, 1000, 1000)


def test_a_single_sample_is_every_quantile():
    found = quantiles([0.25])
    assert (found.p50, found.p99, found.p999, found.max, found.samples) == (0.25, 0.25, 0.25, 0.25, 1)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_quantiles_are_samples_and_in_order(samples):
    found = quantiles(samples)
    four = [found.p50, found.p99, found.p999, found.max]
    assert set(four) <= set(samples)
    assert four == sorted(four)
    assert found.max == max(samples)


def test_at_least_half_of_the_samples_are_at_most_the_median():
    assert quantiles([1.0, 2.0]).p50 == 1.0
    assert quantiles([3.0, 1.0, 2.0]).p50 == 2.0


def test_nanoseconds_become_seconds():
    assert of_nanoseconds([1500]).p50 == pytest.approx(1.5e-6)


def test_no_samples_have_no_quantiles():
    with pytest.raises(ValueError, match="no samples"):
        quantiles([])
