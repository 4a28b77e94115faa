"""A set of durations in four numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Quantiles(msgspec.Struct, frozen=True):
    """Durations in seconds: the median, two tails, the worst, and how many there were."""

    p50: float
    p99: float
    p999: float
    max: float
    samples: int


def quantiles(samples: Sequence[float]) -> Quantiles:
    """The quantiles by nearest rank, so each is a duration that was measured.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError("quantiles of no samples")
    ordered = sorted(samples)
    count = len(ordered)

    def rank(share: float) -> float:
        return float(ordered[max(math.ceil(share * count), 1) - 1])

    return Quantiles(rank(0.5), rank(0.99), rank(0.999), float(ordered[-1]), count)


def of_nanoseconds(samples: Sequence[int]) -> Quantiles:
    """The quantiles of durations in nanoseconds, in seconds.

    Raises:
        ValueError: there are no samples.
    """
    return quantiles([sample * 1e-9 for sample in samples])
