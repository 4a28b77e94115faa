from __future__ import annotations

import itertools

import numpy as np
import pytest

from hybrid_runtime.quantum.sampling import Labels, Marginal, Sampler, labels

# Few shots an outcome are drawn by a search, many by a multinomial draw; both must hold.
REGIMES = [pytest.param(64, id="search"), pytest.param(100_000, id="multinomial")]


@pytest.fixture
def weights():
    made = np.random.default_rng(3).random(32)
    made[[0, 7, 31]] = 0.0
    return made


@pytest.mark.parametrize("shots", REGIMES)
def test_the_same_seed_draws_the_same(weights, shots):
    sampler = Sampler()
    draws = []
    for _ in range(2):
        sampler.restart(11)
        draw = sampler.draw(weights, shots)
        draws.append((draw.outcomes.tolist(), draw.counts.tolist(), sampler.shuffled(draw)))
    assert draws[0] == draws[1]


@pytest.mark.parametrize("shots", REGIMES)
def test_another_seed_draws_another(weights, shots):
    sampler = Sampler()
    sampler.restart(1)
    one = sampler.draw(weights, shots)
    sampler.restart(2)
    other = sampler.draw(weights, shots)
    assert one.counts.tolist() != other.counts.tolist()


@pytest.mark.parametrize("shots", REGIMES)
def test_counts_add_up_to_the_shots(weights, shots):
    assert Sampler().draw(weights, shots).counts.sum() == shots


@pytest.mark.parametrize("shots", REGIMES)
def test_impossible_outcomes_are_never_drawn(weights, shots):
    sampler = Sampler()
    for seed in range(50):
        sampler.restart(seed)
        assert not {0, 7, 31} & set(sampler.draw(weights, shots).outcomes.tolist())


def test_frequencies_follow_the_weights_however_they_are_scaled(weights):
    draw = Sampler().draw(weights * 17.0, 1_000_000)
    p = weights / weights.sum()
    found = np.zeros(32)
    found[draw.outcomes] = draw.counts
    assert (np.abs(found - 1e6 * p) <= 5 * np.sqrt(1e6 * p * (1 - p))).all()


def test_frequencies_follow_the_weights_over_many_small_draws(weights):
    sampler = Sampler()
    found = np.zeros(32)
    for seed in range(3000):
        sampler.restart(seed)
        draw = sampler.draw(weights, 64)
        found[draw.outcomes] += draw.counts
    shots = 3000 * 64
    p = weights / weights.sum()
    assert (np.abs(found - shots * p) <= 5 * np.sqrt(shots * p * (1 - p))).all()


@pytest.mark.parametrize("size", [8, 4096])
@pytest.mark.parametrize("shots", [1, 50, 5000])
def test_the_shots_in_order_add_up_to_the_counts(size, shots):
    sampler = Sampler()
    draw = sampler.draw(np.random.default_rng(1).random(size), shots)
    outcomes, counts = np.unique(sampler.shuffled(draw), return_counts=True)
    assert outcomes.tolist() == draw.outcomes.tolist()
    assert counts.tolist() == draw.counts.tolist()


@pytest.mark.parametrize("outcomes", [2, 4096])
def test_shots_come_in_no_particular_order(outcomes):
    sampler = Sampler()
    order = sampler.shuffled(sampler.draw(np.ones(outcomes), 10_000))
    halves = [outcome < outcomes // 2 for outcome in order]
    changes = sum(one != other for one, other in itertools.pairwise(halves))
    assert abs(changes - 5000) < 250


def test_a_marginal_sums_over_what_is_not_measured():
    weights = np.random.default_rng(2).random(16)
    marginal = Marginal(4, [0, 3])
    expected = np.zeros(4)
    for index, weight in enumerate(weights):
        expected[(index & 1) | (index >> 3 & 1) << 1] += weight
    assert marginal(weights) == pytest.approx(expected)


def test_a_marginal_over_all_qubits_changes_nothing():
    weights = np.random.default_rng(2).random(8)
    assert Marginal(3, [0, 1, 2])(weights) is weights


@pytest.mark.parametrize(
    ("bits", "sources", "outcome", "label"),
    [
        (2, ((0, 0), (1, 1)), 0b01, "01"),
        (2, ((0, 1), (1, 0)), 0b01, "10"),
        (3, ((0, 0), (2, 0)), 1, "101"),
        (4, ((2, 0),), 1, "0100"),
        (1, ((0, 0),), 1, "1"),
        (1, (), 0, "0"),
        (3, (), 0, "000"),
        (0, (), 0, ""),
        (3, ((0, 2), (1, 1), (2, 0)), 0b100, "001"),
        (300, ((299, 0),), 1, "1" + "0" * 299),
    ],
)
def test_labels_show_each_bit_at_its_place_the_highest_on_the_left(bits, sources, outcome, label):
    made = Labels(bits, sources)
    assert made[outcome] == label
    assert made.of([outcome, 0]) == [label, "0" * bits]


def test_labels_of_large_registers_are_not_kept():
    made = Labels(20, tuple((bit, bit) for bit in range(20)))
    crossed = Labels(20, tuple((bit, 19 - bit) for bit in range(20)))
    assert made.of([5]) == [made[5]] == [f"{5:020b}"]
    assert crossed.of([5]) == [crossed[5]] == [f"{5:020b}"[::-1]]
    assert len(made) == len(crossed) == 0


def test_programs_of_the_same_layout_share_their_labels():
    assert labels(2, ((0, 0), (1, 1))) is labels(2, ((0, 0), (1, 1)))
