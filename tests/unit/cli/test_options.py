from __future__ import annotations

import pytest

from hybrid_runtime.cli.options import JobOptions
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.limits import Limits


def test_options_become_what_a_job_is_given():
    options = JobOptions(param=["theta=0.5"], shots=10, seed=3, limit=["steps=2", "wall=5m"])
    assert options.parameters == {"theta": 0.5}
    assert options.limits == Limits(steps=2, wall_s=300.0)
    assert (options.shots, options.seed) == (10, 3)


@pytest.mark.parametrize("shots", [0, -1, 10**12])
def test_shots_out_of_range_are_refused(shots):
    with pytest.raises(InvalidInput, match=f"--shots .* not {shots}"):
        JobOptions(param=None, shots=shots, seed=None, limit=None)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(InvalidInput, match=f"--seed .* not {seed}"):
        JobOptions(param=None, shots=1, seed=seed, limit=None)
