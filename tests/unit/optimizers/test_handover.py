"""One method takes over from another in the middle of a minimization."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.optimize import minimize, minimize_steps
from hybrid_runtime.optimizers.handover import Handover, planned


class Bowl:
    """An objective that keeps where it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, x):
        self.asked.append(np.array(x))
        return float((x[0] - 1.0) ** 2 + (x[1] + 0.5) ** 2)

    @property
    def best(self):
        return min(self.asked, key=lambda x: (x[0] - 1.0) ** 2 + (x[1] + 0.5) ** 2)


def blocking(bowl, method):
    return minimize(bowl, [0.0, 0.0], method)


def stepped(bowl, method):
    steps = minimize_steps([0.0, 0.0], method)
    x = next(steps)
    try:
        while True:
            x = steps.send(bowl(x))
    except StopIteration as end:
        return end.value


def yielding(bowl, method):
    def fun(x):
        yield "a circuit"
        return bowl(x)

    steps = minimize(fun, [0.0, 0.0], method)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


STYLES = pytest.mark.parametrize("run", [blocking, stepped, yielding])


@STYLES
@pytest.mark.parametrize(
    ("first", "then"), [("COBYLA", "Powell"), ("Nelder-Mead", "COBYQA"), ("COBYQA", "Nelder-Mead")]
)
def test_the_new_method_begins_at_the_best_point_of_the_old_one(run, first, then):
    alone, bowl = Bowl(), Bowl()
    run(alone, first)
    handover = Handover([(then.lower(), 8)], lambda: len(bowl.asked))
    with planned(handover):
        found = run(bowl, first)
    assert handover.made == {then}
    assert np.array_equal(bowl.asked[:8], alone.asked[:8])
    old = Bowl()
    old.asked = bowl.asked[:8]
    afterwards = Bowl()
    expected = minimize(afterwards, old.best, then)
    assert np.array_equal(bowl.asked[8:], afterwards.asked)
    assert np.array_equal(found.x, expected.x)


@STYLES
def test_methods_take_over_one_after_the_other(run):
    bowl, before = Bowl(), Bowl()
    handover = Handover([("Powell", 6), ("Nelder-Mead", 12)], lambda: len(bowl.asked))
    with planned(handover):
        run(bowl, "COBYLA")
    with planned(Handover([("Powell", 6)], lambda: len(before.asked))):
        run(before, "COBYLA")
    assert handover.made == {"Powell", "Nelder-Mead"}
    assert np.array_equal(bowl.asked[:12], before.asked[:12])
    assert not np.array_equal(bowl.asked[12:16], before.asked[12:16])


@STYLES
def test_what_begins_later_is_handed_over_before_its_first_point(run):
    bowl, other = Bowl(), Bowl()
    with planned(Handover([("Powell", 0)], int)):
        run(bowl, "COBYLA")
    run(other, "Powell")
    assert np.array_equal(bowl.asked, other.asked)


@STYLES
def test_nothing_changes_before_it_is_time_or_where_the_method_is_the_same(run):
    alone = Bowl()
    run(alone, "COBYLA")
    for handover in (Handover([("Powell", 1)], int), Handover([("cobyla", 0)], int)):
        bowl = Bowl()
        with planned(handover):
            run(bowl, "COBYLA")
        assert np.array_equal(bowl.asked, alone.asked)
        assert not handover.made


@STYLES
def test_a_method_that_does_not_suit_the_problem_is_refused(run):
    with planned(Handover([("direct", 0)], int)), pytest.raises(InvalidInput, match="searches a box: give bounds"):
        run(Bowl(), "COBYLA")


def test_a_gradient_that_comes_with_the_value_is_not_given_to_a_method_without():
    with (
        planned(Handover([("COBYLA", 0)], int)),
        pytest.raises(InvalidInput, match="gives its gradient with its value"),
    ):
        minimize(lambda x: (x[0] ** 2, 2 * x), [1.0], "BFGS", jac=True)


def test_bounds_stay_and_options_do_not():
    bowl = Bowl()
    with planned(Handover([("Nelder-Mead", 3)], lambda: len(bowl.asked))):
        found = minimize(bowl, [0.0, 0.0], "COBYLA", bounds=[(-0.5, 0.5)] * 2, options={"rhobeg": 0.1})
    assert found.x == pytest.approx([0.5, -0.5], abs=1e-3)
    assert np.abs(bowl.asked).max() <= 0.5


def test_an_unknown_method_is_refused_at_once():
    with pytest.raises(InvalidInput, match="did you mean 'Powell'"):
        Handover([("Powel", 0)], int)
