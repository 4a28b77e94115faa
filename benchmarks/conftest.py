"""Puts durations that were measured elsewhere, in a worker or by the dispatcher, into pytest-benchmark's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hybrid_runtime.bench.placement import started
from hybrid_runtime.local import LocalRuntime
from hybrid_runtime.placement import Placement

Record = Callable[[Sequence[float]], None]


class Clock:
    """The time as pytest-benchmark sees it: it goes on by each duration that is recorded, and else stands still."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The present time."""
        return self.now


CLOCK = Clock()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give that clock to every benchmark that records."""
    for item in items:
        if "record" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.benchmark(timer=CLOCK))


@pytest.fixture
def record(benchmark: BenchmarkFixture) -> Record:
    """A function that takes a benchmark's durations in seconds."""

    def record_all(seconds: Sequence[float]) -> None:
        durations = iter(seconds)

        def pass_time() -> None:
            CLOCK.now += next(durations)

        benchmark.pedantic(pass_time, rounds=len(seconds))  # type: ignore[no-untyped-call]

    return record_all


@pytest.fixture(scope="module")
def null_runtime() -> Iterator[LocalRuntime]:
    """A runtime whose backend answers at once."""
    with started("null", Placement.AUTO) as client:
        yield client


@pytest.fixture(scope="module")
def emulator_runtime() -> Iterator[LocalRuntime]:
    """A runtime with the emulator."""
    with started("qulacs", Placement.AUTO) as client:
        yield client
