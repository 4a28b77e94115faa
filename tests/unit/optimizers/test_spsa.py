"""SPSA: it converges under noise, repeats by its seed, and keeps to its settings."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import scipy.optimize

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.optimize import SPSAOptions, minimize, minimize_steps

TARGET = np.array([1.0, -0.5, 0.25, 0.8])


def quadratic(x):
    return float(np.sum((x - TARGET) ** 2))


def noisy(seed, width=0.05):
    noise = np.random.default_rng(seed)
    return lambda x: quadratic(x) + noise.normal(0, width)


def played(generator, answer):
    """The value of a generator whose questions get these answers."""
    try:
        question = next(generator)
        while True:
            question = generator.send(answer(question))
    except StopIteration as end:
        return end.value


def batches(steps, value_at=quadratic):
    """The result and the batches that were asked for."""
    asked = []

    def answer(points):
        asked.append(points)
        return [value_at(x) for x in points]

    return played(steps, answer), asked


def spsa(fun=quadratic, *, x0=(0.0, 0.0, 0.0, 0.0), seed=1, **more):
    bounds, tol, callback = (more.pop(name, None) for name in ("bounds", "tol", "callback"))
    return minimize(fun, x0, "SPSA", seed=seed, bounds=bounds, tol=tol, callback=callback, options=more)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "options",
    [{}, {"blocking": True}, {"resamplings": 3}, {"last_avg": 20}, {"learning_rate": 0.2}, {"trust_radius": 0.3}],
    ids=str,
)
def test_it_finds_the_minimum_of_a_noisy_quadratic(seed, options):
    result = spsa(noisy(seed), seed=seed, maxiter=200, **options)
    assert quadratic(result.x) < 0.02  # it starts at 1.9525
    assert result.success
    assert result.status == 0


def test_it_finds_the_minimum_of_a_function_without_noise():
    assert quadratic(spsa(maxiter=500).x) < 1e-4


def test_the_same_seed_gives_the_same_course_and_another_another():
    first, again, other = spsa(seed=7), spsa(seed=7), spsa(seed=8)
    np.testing.assert_array_equal(first.x, again.x)
    assert first.fun == again.fun
    assert not np.array_equal(first.x, other.x)


def test_a_generator_of_random_numbers_may_be_given():
    given = minimize(quadratic, np.zeros(4), "SPSA", rng=np.random.default_rng(7))
    np.testing.assert_array_equal(given.x, spsa(seed=7).x)


def test_without_a_seed_it_follows_the_global_one_of_numpy():
    state = np.random.get_state()
    try:
        np.random.seed(11)
        first = spsa(seed=None)
        np.random.seed(11)
        np.testing.assert_array_equal(first.x, spsa(seed=None).x)
    finally:
        np.random.set_state(state)


def test_every_style_takes_the_same_course():
    circuit = Circuit("Rx({t[0]}) q", parameters=["t"])

    def yielded(x):
        result = yield circuit.bind(t=x)
        return quadratic(np.array(result.parameters["t"]))

    expected = spsa(maxiter=10)
    more: dict[str, Any] = {"seed": 1, "options": {"maxiter": 10}}
    results = [
        minimize(lambda points: [quadratic(x) for x in points], np.zeros(4), "SPSA", batch=True, **more),
        batches(minimize_steps(np.zeros(4), "SPSA", batch=True, **more))[0],
    ]
    for generator, answer in (
        (minimize_steps(np.zeros(4), "SPSA", **more), quadratic),
        (minimize(yielded, np.zeros(4), "SPSA", **more), lambda request: request),
    ):
        results.append(played(generator, answer))
    for result in results:
        assert isinstance(result, scipy.optimize.OptimizeResult)
        np.testing.assert_array_equal(result.x, expected.x)
        assert (result.fun, result.nfev, result.nit) == (expected.fun, expected.nfev, expected.nit)


def test_it_needs_no_thread():
    before = threading.active_count()
    steps = minimize_steps([0.0], "SPSA")
    next(steps)
    assert threading.active_count() == before


def test_a_pair_is_one_batch_around_the_current_point():
    result, asked = batches(
        minimize_steps(np.zeros(4), "SPSA", batch=True, seed=3, options={"maxiter": 5, "learning_rate": 0.1})
    )
    assert [len(points) for points in asked] == [2] * 5 + [1]
    np.testing.assert_allclose(asked[0].mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(np.abs(asked[0]), 0.2)
    np.testing.assert_allclose(np.abs(asked[3][0] - asked[3][1]), 2 * 0.2 / 4**0.101)
    np.testing.assert_array_equal(asked[-1][0], result.x)
    assert (result.nfev, result.nit) == (11, 5)


def test_a_step_has_the_length_that_the_gains_say():
    options = {"maxiter": 2, "learning_rate": 0.1, "stability": 3.0, "alpha": 0.5}
    _, asked = batches(minimize_steps(np.zeros(4), "SPSA", batch=True, seed=3, options=options))
    plus, minus = asked[0]
    slope = (quadratic(plus) - quadratic(minus)) / (plus - minus)
    np.testing.assert_allclose(asked[1].mean(axis=0), -0.1 / (3 + 1) ** 0.5 * slope)


def test_resampled_gradients_are_one_batch():
    options = {"maxiter": 3, "resamplings": 4, "learning_rate": 0.1}
    result, asked = batches(minimize_steps(np.zeros(4), "SPSA", batch=True, seed=3, options=options))
    assert [len(points) for points in asked] == [8, 8, 8, 1]
    assert result.nfev == 25


def test_resampling_makes_the_gradient_less_random():
    def spread(resamplings):
        options = {"maxiter": 1, "learning_rate": 0.1, "resamplings": resamplings}
        ends = [minimize(noisy(seed), np.zeros(4), "SPSA", seed=seed, options=options).x for seed in range(30)]
        return np.std(ends, axis=0).mean()

    assert spread(16) < spread(1) / 2


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_the_measured_gain_makes_the_first_step_as_long_as_wanted(scale):
    options = {"maxiter": 2, "first_step": 0.1, "calibration": 50, "resamplings": 8}
    result, asked = batches(
        minimize_steps(np.zeros(4), "SPSA", batch=True, seed=3, options=options), lambda x: scale * quadratic(x)
    )
    assert [len(points) for points in asked] == [100, 16, 16, 1]
    step = np.abs(asked[2].mean(axis=0) - asked[1].mean(axis=0)).mean()
    assert 0.03 < step < 0.2
    assert result.learning_rate * scale == pytest.approx(0.1 * 1.2**0.602 / 2, rel=0.5)


def test_a_flat_objective_does_no_harm():
    result = spsa(lambda x: 0.5)
    np.testing.assert_array_equal(result.x, np.zeros(4))
    assert result.fun == 0.5


def test_blocking_stays_where_the_next_point_is_worse():
    # The gain is far too large, so that nearly every step leads away.
    free = spsa(learning_rate=20.0, maxiter=20)
    blocked = spsa(learning_rate=20.0, maxiter=20, blocking=True, tolerance=0.0)
    assert quadratic(free.x) > quadratic(np.zeros(4))
    assert quadratic(blocked.x) <= quadratic(np.zeros(4))
    assert blocked.nfev == 1 + 20 * 3 + 1


def test_blocking_measures_the_noise_that_it_tolerates():
    options = {"maxiter": 2, "blocking": True, "learning_rate": 0.1, "calibration": 12}
    _, asked = batches(minimize_steps(np.zeros(4), "SPSA", batch=True, seed=3, options=options), noisy(1))
    assert [len(points) for points in asked] == [12, 2, 1, 2, 1, 1]
    np.testing.assert_array_equal(asked[0], np.zeros((12, 4)))


def test_blocking_accepts_what_is_worse_by_less_than_the_tolerance():
    options = {"learning_rate": 20.0, "maxiter": 5, "blocking": True}
    assert np.array_equal(spsa(**options, tolerance=0.0).x, np.zeros(4))
    assert not np.array_equal(spsa(**options, tolerance=1e6).x, np.zeros(4))


def test_no_step_is_longer_than_the_trust_radius():
    points: list[Any] = []
    spsa(learning_rate=50.0, maxiter=30, trust_radius=0.25, callback=points.append)
    lengths = np.linalg.norm(np.diff([np.zeros(4), *points], axis=0), axis=1)
    assert lengths.max() == pytest.approx(0.25)


def test_the_last_points_can_be_averaged():
    points: list[Any] = []
    result = spsa(maxiter=12, last_avg=5, callback=points.append)
    np.testing.assert_allclose(result.x, np.mean(points[-5:], axis=0))
    assert result.fun == quadratic(result.x)


@pytest.mark.parametrize(
    "bounds",
    [
        [(-0.1, 0.4), (0.0, 0.3), (None, 0.0), (0.2, 0.2)],
        scipy.optimize.Bounds([-0.1, 0.0, -np.inf, 0.2], [0.4, 0.3, 0.0, 0.2]),
    ],
)
def test_every_point_is_inside_the_bounds(bounds):
    low, high = np.array([-0.1, 0.0, -np.inf, 0.2]), np.array([0.4, 0.3, 0.0, 0.2])

    def checked(x):
        assert np.all(low <= x)
        assert np.all(x <= high)
        return quadratic(x)

    result = spsa(checked, x0=[5.0, 5.0, -1.0, 5.0], bounds=bounds, maxiter=300)
    # The target is outside: the minimum is in a corner, where the slope stays and with it SPSA's own noise.
    np.testing.assert_allclose(result.x, [0.4, 0.0, 0.0, 0.2], atol=0.1)


@pytest.mark.parametrize("bounds", [[(0, 1)], [(0, 1, 2)] * 4, [(1, 0)] * 4])
def test_bounds_that_make_no_box_are_refused(bounds):
    with pytest.raises(InvalidInput, match="bound"):
        spsa(bounds=bounds)


@pytest.mark.parametrize("x0", [[[0.0, 1.0]], [float("nan")]])
def test_a_start_that_is_no_point_is_refused(x0):
    with pytest.raises(InvalidInput, match="x0 is"):
        spsa(x0=x0)


def test_a_start_may_be_a_number():
    assert spsa(lambda x: float((x[0] - 1) ** 2), x0=0.0).x == pytest.approx([1.0], abs=0.05)


def test_it_ends_when_steps_stay_shorter_than_tol():
    result = spsa(maxiter=5000, tol=1e-3)
    assert result.success
    assert result.nit < 5000
    assert "tol" in result.message


def test_a_callback_sees_each_point_and_may_stop():
    seen = []

    def callback(intermediate_result):
        seen.append(intermediate_result.x)
        assert np.isfinite(intermediate_result.fun)
        if len(seen) == 4:
            raise StopIteration

    result = spsa(callback=callback)
    assert (result.nit, result.status, result.success) == (4, 99, False)
    np.testing.assert_array_equal(result.x, seen[-1])


def test_values_that_are_not_finite_are_left_out():
    calls = []

    def sometimes(x):
        calls.append(x)
        assert np.all(np.isfinite(x))
        return float("nan") if len(calls) % 5 == 0 else quadratic(x)

    assert quadratic(spsa(sometimes, maxiter=401).x) < 0.02


def test_blocking_stays_where_the_next_point_has_no_value():
    def fenced(x):
        return quadratic(x) if np.all(np.abs(x) < 0.5) else float("nan")

    result = spsa(fenced, maxiter=50, blocking=True, tolerance=10.0, learning_rate=1.0)
    assert np.all(np.abs(result.x) < 0.5)
    assert result.success


@pytest.mark.parametrize("blocking", [False, True])
def test_an_objective_that_is_never_finite_is_a_failure(blocking):
    result = spsa(lambda x: float("inf"), blocking=blocking, maxiter=5)
    assert not result.success
    assert "not finite" in result.message
    np.testing.assert_array_equal(result.x, np.zeros(4))


def test_settings_may_be_given_as_an_object():
    given = minimize(quadratic, np.zeros(4), "SPSA", seed=1, options=SPSAOptions(maxiter=10))
    np.testing.assert_array_equal(given.x, spsa(maxiter=10).x)


@pytest.mark.parametrize(
    "options",
    [
        {"maxiter": 0},
        {"maxiter": 2.5},
        {"resamplings": True},
        {"calibration": "many"},
        {"perturbation": 0},
        {"learning_rate": -1.0},
        {"first_step": None},
        {"tolerance": float("nan")},
        {"stability": -0.1},
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_refused_by_name(options):
    with pytest.raises(InvalidInput, match=f"SPSA option {next(iter(options))} is a .*number"):
        minimize_steps([0.0], "SPSA", options=options)


def test_an_unknown_setting_is_answered_with_those_that_exist():
    with pytest.raises(InvalidInput, match="SPSA has no option max_iter; its options: maxiter, learning_rate"):
        minimize_steps([0.0], "SPSA", options={"max_iter": 3})
