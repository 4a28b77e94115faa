"""How long from a job's last results until its final result is recorded?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid_runtime.bench import startup
from hybrid_runtime.local import LocalRuntime

if TYPE_CHECKING:
    from benchmarks.conftest import Record


def test_termination(null_runtime: LocalRuntime, record: Record) -> None:
    """Jobs on a runtime that is otherwise idle."""
    record(startup.jobs(null_runtime, 100).terminate)
