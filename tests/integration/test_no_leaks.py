from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from hybrid_runtime import LocalRuntime
from hybrid_runtime.classical.isolation import available
from hybrid_runtime.job import JobState

ENDURANCE = Path(__file__).parents[2] / "benchmarks" / "endurance.py"
LEVELS = [level.value for level, why in available().items() if why is None]
# A warm worker's channel, two pipes and pidfd, in the dispatcher; on some machines also memory that is shared with it.
DESCRIPTORS_OF_A_WORKER = (4, 5)
# A journal that is kept for the next job has two; there are as many as jobs have run at the same time, up to eight.
DESCRIPTORS_OF_SPARES = range(0, 17, 2)


@pytest.fixture(scope="module")
def endurance():
    spec = importlib.util.spec_from_file_location("endurance", ENDURANCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("level", LEVELS)
def test_a_hundred_jobs_of_which_every_third_misbehaves_leave_nothing(endurance, level):
    with LocalRuntime("null", warm=2, isolation=level) as client:
        runtime = endurance.Runtime(client)
        runtime.run(24)
        before = runtime.settled()
        ended = runtime.run(100)
        after = runtime.settled()
        scratch = client._node.root
    # Each ended as it had to.
    assert {way for way, result in ended if result.state is not JobState.COMPLETED} == {"crash", "hang", "exit"}
    assert {result.value for way, result in ended if way in ("well", "flood")} == {"well", "flood"}
    # How many workers are warm follows demand; nothing else may differ.
    more = after.processes - before.processes
    assert abs(more) <= 8
    grown = after.descriptors - before.descriptors
    assert any(grown - each * more in DESCRIPTORS_OF_SPARES for each in DESCRIPTORS_OF_A_WORKER)
    assert after.mounts == before.mounts
    assert after.scratch - before.scratch == (0 if level == "strict" else more)
    assert after.own_kib < before.own_kib + 4096
    assert not scratch.exists()
