"""The pytest fixture `recorded_run`, there in every project that has this package installed.

::

    def test_the_energy_is_what_the_qpu_gave(recorded_run):
        run = recorded_run("tests/runs/20261123-143132-9f2d31", "vqe.py")

        assert run.same
        assert run.value["energy"] < -1.85

The folder is the one that `qi-run run --out DIR` keeps of a run. The test fails by `ReplayDiverged` when the algorithm
asks for other steps than it did then, and by the algorithm's own exception when it raises one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hybrid_runtime.testing.recorded import Replayed


@pytest.fixture
def recorded_run() -> Callable[..., Replayed]:
    """Goes through a recorded run again: `recorded_run(path, algorithm=None)`; see `hybrid_runtime.testing.replay`."""
    # Imported when it is used: every test run of every project loads this module.
    from hybrid_runtime.testing.recorded import replay

    def go_through(path: str | Path, algorithm: Any = None, *, until: int | None = None) -> Replayed:
        raised: list[BaseException] = []
        run = replay(path, algorithm, until=until, on_error=raised.append)
        if raised:
            raise raised[0]
        return run

    return go_through
