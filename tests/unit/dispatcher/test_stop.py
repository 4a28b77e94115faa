"""Limits held against usage."""

from __future__ import annotations

import math

import pytest

from hybrid_runtime.dispatcher.stop import Usage
from hybrid_runtime.limits import Limits, StopReason


def used(
    limits: Limits, *, steps: int = 0, shots: int = 0, qpu_s: float = 0.0, metrics: tuple[float, ...] = ()
) -> Usage:
    usage = Usage(limits, 100.0)
    for _ in range(steps):
        usage.answered(shots, qpu_s)
    usage.metrics([("energy", value) for value in metrics])
    return usage


@pytest.mark.parametrize(
    ("usage", "shots", "now", "verdict"),
    [
        (used(Limits()), 10**9, 1e9, None),
        (used(Limits(steps=2), steps=1), 1, 100, None),
        (used(Limits(steps=2), steps=2), 1, 100, "steps"),
        (used(Limits(shots=30), steps=2, shots=10), 10, 100, None),
        (used(Limits(shots=30), steps=2, shots=10), 11, 100, "shots"),
        (used(Limits(qpu_s=1.0), steps=1, qpu_s=0.5), 1, 100, None),
        (used(Limits(qpu_s=1.0), steps=2, qpu_s=0.5), 1, 100, "qpu"),
        (used(Limits(wall_s=5)), 1, 104.9, None),
        (used(Limits(wall_s=5)), 1, 105, "wall"),
        (used(Limits(plateau=("energy", 0.1, 3)), metrics=(1.0, 1.05)), 1, 100, None),
        (used(Limits(plateau=("energy", 0.1, 3)), metrics=(1.0, 1.05, 1.09)), 1, 100, "plateau"),
        (used(Limits(plateau=("energy", 0.1, 3)), metrics=(1.0, 1.05, 1.2)), 1, 100, None),
        (used(Limits(plateau=("energy", 0.1, 2)), metrics=(9.0, 1.0, 1.05)), 1, 100, "plateau"),
        (used(Limits(plateau=("energy", 0.1, 2)), metrics=(1.0, math.nan)), 1, 100, None),
        (used(Limits(plateau=("energy", 0.1, 2)), metrics=(math.nan, 1.0, 1.0)), 1, 100, "plateau"),
        (used(Limits(plateau=("energy", 0.1, 2)), metrics=(math.inf, math.inf)), 1, 100, None),
        (used(Limits(plateau=("other", 0.1, 2)), metrics=(1.0, 1.0)), 1, 100, None),
    ],
)
def test_the_verdict_on_the_next_step(usage, shots, now, verdict):
    assert usage.verdict(shots, now) == (verdict and StopReason(verdict))


def test_of_several_limits_the_wall_is_named_first():
    usage = used(Limits(wall_s=1, steps=1, shots=1), steps=1, shots=1)
    assert usage.verdict(1, 200.0) is StopReason.WALL
    assert usage.verdict(1, 100.0) is StopReason.STEPS
