"""How often one token may ask."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from hybrid_runtime.errors import QuotaExceeded

# Tokens whose bucket is full again are as good as never seen.
_MOST_BUCKETS = 10_000


class Rates:
    """A token bucket for each key, in memory: a restart forgives.

    Args:
        rate_per_s: Requests a second for long.
        burst: Requests at once.
        clock: Seconds, never going back.
    """

    def __init__(self, rate_per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Count one request.

        Raises:
            QuotaExceeded: the bucket is empty; it says when there is something in it again.
        """
        now = self._clock()
        left, at = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        if left >= 1:
            self._buckets[key] = (left - 1, now)
        else:
            self._buckets[key] = (left, now)
            text = f"this token asks more than {self._rate:g} times a second"
            raise QuotaExceeded(text, retry_after_s=(1 - left) / self._rate)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
