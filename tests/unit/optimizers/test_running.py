"""Callbacks, errors, early ends and odd values, for every method."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import scipy.optimize

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.optimize import METHODS, minimize, minimize_steps
from hybrid_runtime.optimizers.methods import GLOBAL, LOCAL

X0 = (0.7, -0.4, 1.3)
BOX = [(-1.0, 2.0), (-2.0, 1.5), (0.5, 3.0)]
CIRCUIT = Circuit("Rx({theta[0]}) q", parameters=["theta"])
SMALL = {"differential_evolution": {"maxiter": 3, "popsize": 4}, "dual_annealing": {"maxiter": 10}}

# trust-constr warns when two gradients are equal, which happens where it has converged.
pytestmark = pytest.mark.filterwarnings("ignore:delta_grad == 0.0:UserWarning")
each_method = pytest.mark.parametrize("method", METHODS)


def energy(x):
    return float(np.sum((x - 0.3) ** 4) + np.sum(x**2) * 0.5 + np.sin(x[0] * x[-1]) + 0.1 * np.sum(x))


def yielded_energy(x):
    result = yield CIRCUIT.bind(theta=x)
    return energy(result)


def arguments(method):
    """Arguments with which each method takes a short course, the same each time."""
    if method not in GLOBAL:
        return {}
    random = {"rng": 5} if "rng" in GLOBAL[method] else {}
    return {"bounds": BOX, "options": SMALL.get(method, {}), **random}


def direct(method, fun=energy, *, options=None, **more):
    """What scipy gives without us."""
    if method not in GLOBAL:
        return scipy.optimize.minimize(fun, X0, method=method, options=options, **more)
    start = {"x0": X0} if "x0" in GLOBAL[method] else {}
    return getattr(scipy.optimize, method)(fun, **start, **more, **(options or {}))


def told(steps, value_at=energy):
    """The result of an ask/tell generator."""
    try:
        x = next(steps)
        while True:
            x = steps.send(value_at(x))
    except StopIteration as end:
        return end.value


def answered(generator):
    """The value of a generator of circuits whose results are their parameters."""
    try:
        request = next(generator)
        while True:
            one = isinstance(request, Circuit)
            circuits = [request] if one else request
            results = [np.array(circuit.parameters["theta"]) for circuit in circuits]
            request = generator.send(results[0] if one else results)
    except StopIteration as end:
        return end.value


def outcome(result):
    return tuple(result.x), repr(float(result.fun)), result.nfev, result.message  # by repr, NaN equals NaN


def optimizer_threads():
    return [thread for thread in threading.enumerate() if thread.name == "optimizer"]


@pytest.mark.parametrize("method", [name for name in LOCAL if name not in ("TNC", "SLSQP")])
def test_a_callback_is_run_as_scipy_runs_it(method):
    def collect(into):
        def callback(intermediate_result):
            into.append((threading.current_thread(), tuple(intermediate_result.x), float(intermediate_result.fun)))
            if len(into) == 3:
                raise StopIteration

        return callback

    theirs: list[Any] = []
    ours: list[Any] = []
    expected = scipy.optimize.minimize(energy, X0, method=method, callback=collect(theirs))
    assert outcome(minimize(energy, X0, method, callback=collect([]))) == outcome(expected)
    assert outcome(told(minimize_steps(X0, method, callback=collect(ours)))) == outcome(expected)
    assert len(ours) == 3
    assert ours == theirs


@pytest.mark.parametrize("method", ["TNC", "Nelder-Mead", "SLSQP", "direct", "dual_annealing", "shgo"])
def test_a_callback_may_take_the_point(method):
    theirs, ours = [], []
    more = arguments(method)
    expected = direct(method, callback=lambda x, *rest: theirs.append(x.copy()), **more)
    result = told(minimize_steps(X0, method, callback=lambda x, *rest: ours.append(x.copy()), **more))
    assert outcome(result) == outcome(expected)
    assert theirs
    np.testing.assert_array_equal(ours, theirs)


def test_an_error_in_a_callback_ends_the_optimizer_with_it():
    def callback(x):
        raise LookupError("in the callback")

    with pytest.raises(LookupError, match="in the callback"):
        told(minimize_steps(X0, "BFGS", callback=callback))


@pytest.mark.parametrize("method", ["Nelder-Mead", "COBYLA", "BFGS", "differential_evolution", "shgo"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_reach_scipy(method, bad):
    def fun(x):
        return bad if x[0] > 0.8 else energy(x)

    more = arguments(method)
    with np.errstate(all="ignore"):
        expected = direct(method, fun=fun, **more)
        assert outcome(minimize(fun, X0, method, **more)) == outcome(expected)
        assert outcome(told(minimize_steps(X0, method, **more), fun)) == outcome(expected)


RAISED = [AttributeError, ValueError, TypeError, np.linalg.LinAlgError, ArithmeticError, KeyboardInterrupt]


@each_method
@pytest.mark.parametrize("kind", RAISED, ids=lambda kind: kind.__name__)
def test_an_error_in_the_objective_comes_out_unchanged(method, kind):
    error = kind("of the user")
    calls = []

    def fun(x):
        calls.append(x)
        if len(calls) == 5:
            raise error
        return energy(x)

    with pytest.raises(kind) as caught:
        minimize(fun, X0, method, **arguments(method))
    assert caught.value is error
    assert caught.traceback[-1].name == "fun"
    assert error.__context__ is None
    assert len(calls) == 5


@each_method
def test_an_error_in_a_generator_objective_comes_out_unchanged(method):
    calls = []

    def fun(x):
        calls.append(x)
        result = yield CIRCUIT.bind(theta=x)
        if len(calls) >= 5:
            raise ValueError("of the user")
        return energy(result)

    with pytest.raises(ValueError, match="of the user") as caught:
        answered(minimize(fun, X0, method, **arguments(method)))
    assert caught.traceback[-1].name == "fun"


@each_method
@pytest.mark.parametrize("after", [0, 1, 7])
def test_an_optimizer_that_is_closed_early_leaves_no_thread(method, after):
    steps = minimize_steps(X0, method, **arguments(method))
    x = next(steps)
    for _ in range(after):
        x = steps.send(energy(x))
    steps.close()
    assert not optimizer_threads()


@each_method
def test_an_error_thrown_in_comes_out_and_leaves_no_thread(method):
    steps = minimize_steps(X0, method, **arguments(method))
    steps.send(energy(next(steps)))
    with pytest.raises(AttributeError, match="thrown in"):
        steps.throw(AttributeError("thrown in"))
    assert not optimizer_threads()


def test_an_optimizer_that_is_forgotten_leaves_no_thread():
    steps = minimize_steps(X0, "TNC")
    next(steps)
    assert optimizer_threads()
    del steps
    assert not optimizer_threads()


def test_a_circuit_error_is_raised_where_the_objective_waits():
    handled = []

    def fun(x):
        try:
            result = yield CIRCUIT.bind(theta=x)
        except RuntimeError as error:
            handled.append(str(error))
            return 10.0
        return energy(result)

    steps = minimize(fun, X0, "COBYLA")
    next(steps)
    again = steps.throw(RuntimeError("refused"))
    assert handled == ["refused"]
    assert isinstance(again, Circuit)
    steps.close()


def test_optimizers_may_be_interleaved_and_nested():
    one, other = minimize_steps(X0, "Nelder-Mead"), minimize_steps(X0, "TNC")
    x, y = next(one), next(other)
    results: dict[str, Any] = {}
    while len(results) < 2:
        if "one" not in results:
            try:
                x = one.send(energy(x))
            except StopIteration as end:
                results["one"] = end.value
        if "other" not in results:
            try:
                y = other.send(energy(y))
            except StopIteration as end:
                results["other"] = end.value
    assert outcome(results["one"]) == outcome(direct("Nelder-Mead"))
    assert outcome(results["other"]) == outcome(direct("TNC"))

    def nested(x):
        inner = yield from minimize(yielded_energy, x, "BFGS", options={"maxiter": 1})
        return inner.fun

    def nested_directly(x):
        return scipy.optimize.minimize(energy, x, method="BFGS", options={"maxiter": 1}).fun

    assert outcome(answered(minimize(nested, X0, "Powell"))) == outcome(direct("Powell", fun=nested_directly))


@each_method
def test_points_belong_to_their_receiver(method):
    points, copies = [], []

    def keeping(x):
        points.append(x)
        copies.append(x.copy())
        return energy(x)

    def spoiling(x):
        value = energy(x)
        x[:] = 99.0
        return value

    more = arguments(method) if method in GLOBAL else {"rng": 5}
    expected = outcome(told(minimize_steps(X0, method, **more), keeping))
    np.testing.assert_array_equal(points, copies)
    assert outcome(told(minimize_steps(X0, method, **more), spoiling)) == expected


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), np.array([[0.5]]), [0.5], 1, True])
def test_numbers_in_other_clothes_are_accepted(value):
    assert minimize(lambda x: value, X0, "Nelder-Mead").fun == float(np.asarray(value).item())
    assert told(minimize_steps(X0, "Nelder-Mead"), lambda x: value).fun == float(np.asarray(value).item())


@pytest.mark.parametrize("value", [None, "0.5", 1j, [1.0, 2.0], np.zeros(2), {}, CIRCUIT])
def test_what_is_not_a_real_number_is_refused_by_name(value):
    with pytest.raises(InvalidInput, match=r"the objective returned .*not a real number"):
        minimize(lambda x: value, X0)
    with pytest.raises(InvalidInput, match=r"value sent .*not a real number"):
        told(minimize_steps(X0), lambda x: value)


def test_a_generator_returned_by_a_plain_function_is_explained():
    with pytest.raises(InvalidInput, match="give minimize the generator function itself"):
        minimize(lambda x: yielded_energy(x), X0)


def test_a_forgotten_value_is_explained():
    steps = minimize_steps(X0)
    next(steps)
    with pytest.raises(InvalidInput, match=r"continue with steps\.send"):
        next(steps)


@pytest.mark.parametrize("values", [1.0, [1.0, 2.0], None])
def test_a_batch_takes_one_value_a_point(values):
    with pytest.raises(InvalidInput, match="batch of 1 points takes"):
        minimize(lambda points: values, X0, batch=True)


@pytest.mark.parametrize("options", [{"workers": map}, {"vectorized": True, "updating": "deferred"}])
def test_options_by_which_scipy_evaluates_otherwise_go_with_plain_functions_only(options):
    more: dict[str, Any] = {"bounds": BOX, "rng": 1, "options": {"maxiter": 2, "updating": "deferred", **options}}

    def fun(x):
        return np.sum(x**2, axis=0)

    expected = direct("differential_evolution", fun=fun, **more)
    assert outcome(minimize(fun, X0, "differential_evolution", **more)) == outcome(expected)
    with pytest.raises(InvalidInput, match="batch=True"):
        next(minimize_steps(X0, "differential_evolution", **more))


def test_wrong_calls_are_refused_before_anything_runs():
    with pytest.raises(InvalidInput, match="fun is a function"):
        minimize(3, X0)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="jac that yields circuits"):
        minimize(energy, X0, "BFGS", jac=yielded_energy)
    with pytest.raises(InvalidInput, match="jac that yields circuits"):
        minimize_steps(X0, "BFGS", jac=yielded_energy)
