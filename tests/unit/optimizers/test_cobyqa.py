"""COBYQA runs that would wait for each other for ever are refused."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import scipy.optimize

from hybrid_runtime.errors import UserCodeError
from hybrid_runtime.optimize import minimize, minimize_steps

X0 = [0.4, -0.3]


def energy(x):
    return float(np.sum((x - 0.1) ** 2))


def finished(steps):
    try:
        x = next(steps)
        while True:
            x = steps.send(energy(x))
    except StopIteration as end:
        return end.value


def test_a_second_one_is_refused_until_the_first_is_closed():
    first, second = minimize_steps(X0, "COBYQA"), minimize_steps(X0, "COBYQA")
    next(first)
    with pytest.raises(UserCodeError, match=r"steps\.close\(\)"):
        next(second)
    with pytest.raises(UserCodeError, match="use COBYLA"):
        minimize(energy, X0, "COBYQA")
    first.close()
    assert minimize(energy, X0, "COBYQA").success


def test_a_second_one_may_start_when_the_first_has_ended():
    for _ in range(2):
        assert finished(minimize_steps(X0, "COBYQA")).success


def test_a_second_one_may_start_when_the_first_has_failed():
    steps = minimize_steps(X0, "COBYQA")
    next(steps)
    with pytest.raises(ValueError, match="failed"):
        steps.throw(ValueError("failed"))
    assert minimize(energy, X0, "COBYQA").success


def test_one_inside_the_objective_of_another_is_refused():
    def nested(x):
        return minimize(lambda y: energy(y - x), X0, "COBYQA").fun

    with pytest.raises(UserCodeError, match="already under way"):
        minimize(nested, X0, "COBYQA")


def test_it_counts_as_the_local_search_of_another_method():
    first = minimize_steps(X0, "COBYQA")
    next(first)
    options = {"minimizer_kwargs": {"method": "cobyqa"}}
    with pytest.raises(UserCodeError, match="already under way"):
        minimize(energy, method="dual_annealing", bounds=[(-1, 1)] * 2, options=options)
    first.close()


def test_other_methods_run_beside_it():
    first = minimize_steps(X0, "COBYQA")
    next(first)
    assert minimize(energy, X0, "COBYLA").success
    first.close()


def test_blocking_ones_in_several_threads_wait_for_each_other():
    first_is_inside, go_on = threading.Event(), threading.Event()
    results = []

    def slow(x):
        first_is_inside.set()
        assert go_on.wait(60)
        return energy(x)

    threads = [threading.Thread(target=lambda: results.append(minimize(slow, X0, "COBYQA").nfev))]
    threads[0].start()
    assert first_is_inside.wait(60)
    threads.append(threading.Thread(target=lambda: results.append(minimize(energy, X0, "COBYQA").nfev)))
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert results == [scipy.optimize.minimize(energy, X0, method="COBYQA").nfev] * 2
