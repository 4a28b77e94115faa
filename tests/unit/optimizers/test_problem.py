"""What a problem may say, and how a wrong one is answered."""

from __future__ import annotations

import pytest

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.optimize import METHODS, SPSAOptions, minimize, minimize_steps
from hybrid_runtime.optimizers.methods import canonical

BOX = [(-1.0, 1.0)]


def energy(x):
    return float(x[0] ** 2)


@pytest.mark.parametrize(
    ("given", "name"),
    [("cobyla", "COBYLA"), ("nelder_mead", "Nelder-Mead"), ("Spsa", "SPSA"), ("differential-evolution", METHODS[-4])],
)
def test_letter_case_and_dashes_do_not_matter(given, name):
    assert canonical(given) == name


@pytest.mark.parametrize(
    ("given", "nearest"), [("COBILA", "COBYLA"), ("L-BFGS", "L-BFGS-B"), ("dual-aneal", "dual_ann")]
)
def test_an_unknown_method_is_answered_with_the_nearest_and_all(given, nearest):
    with pytest.raises(InvalidInput, match=f"did you mean '{nearest}") as caught:
        minimize_steps([0.1], given)
    assert all(name in str(caught.value) for name in METHODS)


def test_a_method_unlike_any_is_answered_with_all():
    with pytest.raises(InvalidInput, match="not known Known methods: Nelder-Mead"):
        minimize(energy, [0.1], "?!")


@pytest.mark.parametrize(
    ("given", "nearest"), [("Newton-CG", "TNC"), ("dogleg", "trust-constr"), ("trust-exact", "trust-constr")]
)
def test_a_method_that_needs_second_derivatives_is_answered_with_one_that_does_not(given, nearest):
    with pytest.raises(InvalidInput, match=f"second derivatives.*'{nearest}'"):
        minimize(energy, [0.1], given)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"method": 3}, "method is one of the names"),
        ({"method": (1, 2)}, "method is one of the names"),
        ({"x0": None}, "give x0"),
        ({"x0": None, "method": "SPSA"}, "give x0"),
        ({"method": "shgo"}, "give bounds"),
        ({"method": "direct", "bounds": BOX, "tol": 1e-3}, "takes no tol"),
        ({"method": "dual_annealing", "bounds": BOX, "constraints": [{}]}, "takes no constraints"),
        ({"method": "shgo", "bounds": BOX, "jac": energy}, "takes no jac"),
        ({"method": "SPSA", "jac": energy}, "takes no jac"),
        ({"method": "SPSA", "constraints": {"type": "eq"}}, "takes no constraints"),
        ({"rng": 1, "seed": 1}, "give one of them"),
        ({"callback": 3}, "callback is a function"),
        ({"options": [1]}, "options is a dict"),
        ({"options": SPSAOptions()}, "options is a dict"),
        ({"method": "SPSA", "options": 3}, "options is a dict"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_at_the_call(more, text):
    arguments = {"x0": [0.1], "method": "COBYLA"} | more
    with pytest.raises(InvalidInput, match=text):
        minimize_steps(**arguments)


def test_a_callback_that_yields_circuits_is_refused():
    def callback(x):
        yield x

    with pytest.raises(InvalidInput, match="callback cannot yield"):
        minimize(energy, [0.1], callback=callback)


def test_an_unknown_option_of_a_global_method_is_answered_with_those_it_has():
    with pytest.raises(InvalidInput, match=r"no option popsize; its options: eps, maxfun"):
        minimize(energy, method="direct", bounds=BOX, options={"popsize": 3})


def test_an_argument_given_twice_is_refused():
    with pytest.raises(InvalidInput, match="rng is given twice"):
        minimize(energy, method="dual_annealing", bounds=BOX, rng=1, options={"rng": 1})
