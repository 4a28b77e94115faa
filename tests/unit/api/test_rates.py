"""A token may ask so often for long, and so much at once; others do not notice."""

from __future__ import annotations

import pytest

from hybrid_runtime.api import rates
from hybrid_runtime.api.rates import Rates
from hybrid_runtime.errors import QuotaExceeded


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(one: Rates, key: str, most: int = 100) -> int:
    """How many requests pass before one is refused."""
    for count in range(most):
        try:
            one.take(key)
        except QuotaExceeded:
            return count
    return most


def test_a_burst_passes_and_what_comes_after_it_is_refused(clock):
    assert taken(Rates(10, 5, clock), "a") == 5


def test_what_was_used_comes_back_at_the_rate(clock):
    one = Rates(10, 5, clock)
    taken(one, "a")
    clock.now += 0.35
    assert taken(one, "a") == 3


def test_no_more_than_the_burst_comes_back(clock):
    one = Rates(10, 5, clock)
    taken(one, "a")
    clock.now += 3600
    assert taken(one, "a") == 5


def test_a_refusal_says_when_to_come_back(clock):
    one = Rates(2, 1, clock)
    one.take("a")
    with pytest.raises(QuotaExceeded, match="2 times a second") as caught:
        one.take("a")
    assert caught.value.retry_after_s == pytest.approx(0.5)
    clock.now += 0.5
    one.take("a")


def test_one_token_does_not_use_up_what_another_one_has(clock):
    one = Rates(10, 5, clock)
    taken(one, "a")
    assert taken(one, "b") == 5


def test_many_tokens_take_bounded_memory_and_the_one_that_asks_is_not_forgotten(clock, monkeypatch):
    monkeypatch.setattr(rates, "_MOST_BUCKETS", 10)
    one = Rates(10, 5, clock)
    taken(one, "a")
    for number in range(100):
        one.take(f"other {number}")
        assert taken(one, "a") == 0
    assert len(one._buckets) <= 10
