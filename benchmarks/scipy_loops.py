"""How much longer does a whole algorithm take than scipy and the emulator in one process?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hybrid_runtime.bench import loops
from hybrid_runtime.local import LocalRuntime

if TYPE_CHECKING:
    from benchmarks.conftest import Record

NAMES = ("vqe", "qaoa")


@pytest.fixture(scope="module")
def turns(emulator_runtime: LocalRuntime) -> dict[str, loops.Turns]:
    """Both ways by turns."""
    return {name: loops.by_turns(emulator_runtime, name, 10) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_with_the_runtime(turns: dict[str, loops.Turns], name: str, record: Record) -> None:
    """From submitting the job until its result is there."""
    record(turns[name].with_runtime)


@pytest.mark.parametrize("name", NAMES)
def test_without(turns: dict[str, loops.Turns], name: str, record: Record) -> None:
    """The same loop in one process."""
    record(turns[name].without)
