"""How long does the same step take by other means? Peers whose package is not installed are skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hybrid_runtime.bench import peers
from hybrid_runtime.placement import Placement

if TYPE_CHECKING:
    from benchmarks.conftest import Record

NAMES = [candidate.name for candidate in peers.CANDIDATES]


@pytest.mark.parametrize("candidate", peers.CANDIDATES, ids=NAMES)
def test_peer(candidate: peers.Candidate, record: Record) -> None:
    """Where the kernel puts it."""
    reason = peers.missing(candidate)
    if reason is not None:
        pytest.skip(reason)
    printed = peers.take(candidate, Placement.FREE, steps=2000, seconds=5.0)
    record([time * 1e-9 for time in printed.samples_ns])
