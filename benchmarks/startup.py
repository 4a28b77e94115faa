"""How long until a job's first circuit is received, warm and cold, and until a worker is replaced?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid_runtime.bench import startup
from hybrid_runtime.local import LocalRuntime

if TYPE_CHECKING:
    from benchmarks.conftest import Record


def test_warm_initialization(null_runtime: LocalRuntime, record: Record) -> None:
    """Bundle handed to a waiting worker until its first circuit is received."""
    record(startup.jobs(null_runtime, 100).initialize)


def test_cold_initialization(record: Record) -> None:
    """The same from nothing, with the start of all processes."""
    record(startup.cold(10))


def test_refill(record: Record) -> None:
    """A worker from the request for one until it is ready."""
    record(startup.refill(50)[0])
