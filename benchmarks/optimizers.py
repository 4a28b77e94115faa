"""What does it cost to run an optimizer step by step, beside calling scipy?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.optimize import minimize

from hybrid_runtime.optimize import minimize_steps

METHODS = ("COBYLA", "Nelder-Mead", "Powell", "L-BFGS-B")
START = [0.3, -0.2, 0.5, 0.1]
OPTIONS = {"maxiter": 100}


def bowl(x: Any) -> float:
    """Cheap, so that what is left is the optimizer."""
    return float(np.dot(x, x))


@pytest.mark.parametrize("method", METHODS)
def test_by_itself(method: str, benchmark: BenchmarkFixture) -> None:
    """scipy calls the function."""
    benchmark(minimize, bowl, START, method=method, options=OPTIONS)


@pytest.mark.parametrize("method", METHODS)
def test_step_by_step(method: str, benchmark: BenchmarkFixture) -> None:
    """Each point is asked for and each value told, as an algorithm in lifecycle style does."""

    def drive() -> Any:
        steps = minimize_steps(START, method=method, options=OPTIONS)
        try:
            x = next(steps)
            while True:
                x = steps.send(bowl(x))
        except StopIteration as end:
            return end.value

    benchmark(drive)
