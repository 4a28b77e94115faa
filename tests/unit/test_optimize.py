"""`minimize` and `minimize_steps` give what a direct scipy call gives, in every style of use."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial

import numpy as np
import pytest
import scipy.optimize
from scipy.sparse.linalg import LinearOperator

from hybrid_runtime import optimize
from hybrid_runtime.circuit import Circuit
from hybrid_runtime.optimize import minimize, minimize_steps
from hybrid_runtime.optimizers.methods import GLOBAL, GRADIENT, LOCAL

X0 = (0.7, -0.4, 1.3)
BOX = [(-1.0, 2.0), (-2.0, 1.5), (0.5, 3.0)]
CIRCUIT = Circuit("Rx({theta[0]}) q", parameters=["theta"])

# trust-constr warns when two gradients are equal, which happens where it has converged.
pytestmark = pytest.mark.filterwarnings("ignore:delta_grad == 0.0:UserWarning")


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def energy(x):
    """Coupled, curved and bounded below: no method finds its minimum at once."""
    x = np.asarray(x)
    return float(np.sum((x - 0.3) ** 4) + np.sum(x**2) * 0.5 + np.sin(x[0] * x[-1]) + 0.1 * np.sum(x))


def gradient(x):
    rest = np.zeros_like(x)
    rest[0], rest[-1] = x[-1] * np.cos(x[0] * x[-1]), x[0] * np.cos(x[0] * x[-1])
    return 4 * (x - 0.3) ** 3 + x + rest + 0.1


def yielded_energy(x):
    result = yield CIRCUIT.bind(theta=x)
    return energy(result)


def run_circuit(circuit):
    return np.array(circuit.parameters["theta"])


def answered(generator):
    """The value of a generator of circuits whose results are their parameters, and the requests that it made."""
    requests = []
    try:
        request = next(generator)
        while True:
            requests.append(request)
            one = isinstance(request, Circuit)
            request = generator.send(run_circuit(request) if one else [run_circuit(item) for item in request])
    except StopIteration as end:
        return end.value, requests


def told(steps, value_at=energy):
    """The result of an ask/tell generator, and the points that it asked for."""
    asked = []
    try:
        x = next(steps)
        while True:
            asked.append(x)
            x = steps.send(value_at(x))
    except StopIteration as end:
        return end.value, asked


def energies(points):
    return np.array([energy(point) for point in points])


def direct(method, x0=X0, fun=energy, **more):
    """What scipy gives without us."""
    if method in GLOBAL:
        more = {name: value for name, value in more.items() if value is not None} | more.pop("options", {})
        more.pop("options", None)
        return getattr(scipy.optimize, method)(fun, **({"x0": x0} if "x0" in GLOBAL[method] else {}), **more)
    return scipy.optimize.minimize(fun, x0, method=method, **more)


def same(ours, theirs):
    """Whether two results have the same fields and, but for times, the same values to the last bit."""
    assert type(ours) is type(theirs)
    assert set(ours) == set(theirs)
    for name in set(theirs) - {"execution_time"}:
        alike(ours[name], theirs[name], name)
    return True


def alike(ours, theirs, name):
    if isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs), name
        for one, other in zip(ours, theirs, strict=True):
            alike(one, other, name)
    elif scipy.sparse.issparse(theirs):
        np.testing.assert_array_equal(ours.toarray(), theirs.toarray(), err_msg=name)
    elif isinstance(theirs, LinearOperator):
        np.testing.assert_array_equal(ours @ np.eye(len(X0)), theirs @ np.eye(len(X0)), err_msg=name)
    else:
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs), err_msg=name)


SMALL = {
    "differential_evolution": {"maxiter": 6, "popsize": 4},
    "dual_annealing": {"maxiter": 15},
    "direct": {"maxfun": 200},
}


def arguments(method):
    """Arguments with which each method takes a short but whole course."""
    if method not in GLOBAL:
        return {}
    random = {"rng": 5} if "rng" in GLOBAL[method] else {}
    return {"bounds": BOX, "options": SMALL.get(method, {}), **random}


VARIANTS = [(method, arguments(method)) for method in (*LOCAL, *GLOBAL)]
VARIANTS += [(method, {"bounds": BOX}) for method in LOCAL if method not in ("CG", "BFGS")]
VARIANTS += [(method, {"tol": 1e-2}) for method in LOCAL]
VARIANTS += [(method, {"jac": "3-point"}) for method in GRADIENT]
VARIANTS += [(method, {"jac": gradient}) for method in GRADIENT]
VARIANTS += [(method, {"bounds": scipy.optimize.Bounds([-1, -2, 0.5], [2, 1.5, 3])}) for method in ("COBYLA", "TNC")]
VARIANTS += [("L-BFGS-B", {"bounds": [(-1, 2), (0.25, 0.25), (0.5, None)]})]
VARIANTS += [
    (method, {"constraints": {"type": "ineq", "fun": lambda x: x[0] - x[1] - 0.5}})
    for method in ("COBYLA", "COBYQA", "SLSQP", "trust-constr")
]
VARIANTS += [
    (method, {"constraints": scipy.optimize.NonlinearConstraint(lambda x: x[0] ** 2 + x[1] ** 2, 0.1, 0.5)})
    for method in ("COBYLA", "COBYQA", "SLSQP", "trust-constr")
]
VARIANTS += [
    ("Nelder-Mead", {"options": {"maxfev": 25, "adaptive": True, "return_all": True}}),
    ("BFGS", {"options": {"maxiter": 2, "gtol": 1e-9}}),
    ("COBYLA", {"options": {"rhobeg": 0.3, "maxiter": 30}}),
    ("differential_evolution", {"bounds": BOX, "rng": 8, "options": {"maxiter": 4, "updating": "deferred"}}),
    ("differential_evolution", {"bounds": BOX, "seed": 8, "options": {"maxiter": 2, "polish": False}}),
    ("dual_annealing", {"bounds": BOX, "seed": 8, "options": {"maxiter": 5, "no_local_search": True}}),
    ("shgo", {"bounds": BOX, "options": {"n": 16, "sampling_method": "sobol"}}),
    ("shgo", {"bounds": BOX, "constraints": {"type": "ineq", "fun": lambda x: x[0] - x[1]}}),
]
each_variant = pytest.mark.parametrize(
    ("method", "more"), VARIANTS, ids=[f"{method}-{'-'.join(more)}" for method, more in VARIANTS]
)


@each_variant
def test_a_plain_function_gives_what_scipy_gives(method, more):
    assert same(minimize(energy, X0, method, **more), direct(method, **more))


@each_variant
def test_a_plain_function_of_batches_gives_what_scipy_gives(method, more):
    assert same(minimize(energies, X0, method, batch=True, **more), direct(method, **more))


@each_variant
def test_a_generator_function_gives_what_scipy_gives(method, more):
    result, _ = answered(minimize(yielded_energy, X0, method, **more))
    assert same(result, direct(method, **more))


@each_variant
def test_asking_and_telling_gives_what_scipy_gives(method, more):
    result, asked = told(minimize_steps(X0, method, **more))
    assert same(result, direct(method, **more))
    assert all(x.shape == (3,) for x in asked)


@each_variant
def test_asking_and_telling_in_batches_gives_what_scipy_gives(method, more):
    result, asked = told(minimize_steps(X0, method, batch=True, **more), energies)
    assert same(result, direct(method, **more))
    assert all(points.ndim == 2 and points.shape[1] == 3 for points in asked)


@pytest.mark.parametrize("method", GRADIENT)
def test_a_gradient_by_finite_differences_is_one_batch(method):
    _, asked = told(minimize_steps(X0, method, batch=True), energies)
    assert {len(points) for points in asked} == {1, 3}

    _, asked = told(minimize_steps(X0, method, jac="3-point", batch=True), energies)
    assert {len(points) for points in asked} == {1, 6}


def test_a_gradient_is_one_step_of_circuits():
    result, requests = answered(minimize(yielded_energy, X0, "BFGS"))
    gradients = [request for request in requests if isinstance(request, list)]
    assert [len(request) for request in gradients] == [3] * result.njev
    assert len(requests) == result.nfev - 2 * result.njev


def test_a_deferred_population_is_one_batch():
    options = {"maxiter": 2, "popsize": 4, "updating": "deferred", "polish": False}
    _, asked = told(minimize_steps(None, "differential_evolution", bounds=BOX, options=options, batch=True), energies)
    assert [len(points) for points in asked] == [12, 12, 12]


@pytest.mark.parametrize("method", ["Nelder-Mead", "COBYLA", "differential_evolution", "dual_annealing"])
def test_methods_that_decide_point_by_point_ask_for_one_point(method):
    _, asked = told(minimize_steps(X0, method, batch=True, **arguments(method)), energies)
    assert {len(points) for points in asked} == {1}


@pytest.mark.parametrize("x0", [0.5, [0.5], np.array([0.5]), np.array(0.5)])
def test_the_start_may_be_a_number_a_list_or_an_array(x0):
    theirs = scipy.optimize.minimize(energy, x0, method="COBYLA")
    assert same(minimize(energy, x0), theirs)
    assert same(told(minimize_steps(x0))[0], theirs)


def test_no_method_named_means_the_one_that_scipy_takes():
    for more in ({}, {"bounds": BOX}, {"constraints": {"type": "ineq", "fun": lambda x: x[0] - x[1]}}):
        assert same(minimize(energy, X0, None, **more), scipy.optimize.minimize(energy, X0, **more))


def test_further_arguments_reach_the_objective_and_its_gradient():
    def shifted(x, by, scale):
        return energy(x - by) * scale

    def yielded(x, by, scale):
        result = yield CIRCUIT.bind(theta=x)
        return shifted(result, by, scale)

    def slope(x, by, scale):
        return gradient(x - by) * scale

    theirs = scipy.optimize.minimize(shifted, X0, (0.2, 2.0), method="BFGS", jac=slope)
    assert same(minimize(shifted, X0, "BFGS", args=(0.2, 2.0), jac=slope), theirs)
    assert same(answered(minimize(yielded, X0, "BFGS", args=(0.2, 2.0), jac=slope))[0], theirs)


class Model:
    """Objectives in the forms that are generator functions without looking like it."""

    def method(self, x):
        return (yield from yielded_energy(x))

    def scaled(self, scale, x):
        return (yield from yielded_energy(x)) * scale

    def __call__(self, x):
        return (yield from yielded_energy(x))


@pytest.mark.parametrize("fun", [Model().method, partial(Model().scaled, 1), Model(), partial(Model())])
def test_methods_partials_and_callable_objects_may_be_generator_functions(fun):
    assert same(answered(minimize(fun, X0, "Powell"))[0], direct("Powell"))


def test_a_gradient_may_come_with_the_value():
    def both(x):
        return energy(x), gradient(x)

    def yielded(x):
        return both((yield CIRCUIT.bind(theta=x)))

    theirs = scipy.optimize.minimize(both, X0, method="L-BFGS-B", jac=True)
    assert same(minimize(both, X0, "L-BFGS-B", jac=True), theirs)
    assert same(answered(minimize(yielded, X0, "L-BFGS-B", jac=True))[0], theirs)
    assert same(told(minimize_steps(X0, "L-BFGS-B", jac=True), both)[0], theirs)


def test_a_gradient_may_yield_circuits_of_its_own():
    def slope(x):
        results = yield [CIRCUIT.bind(theta=x), CIRCUIT.bind(theta=x)]
        return gradient(results[1])

    result, requests = answered(minimize(yielded_energy, X0, "SLSQP", jac=slope))
    assert same(result, direct("SLSQP", jac=gradient))
    assert sum(isinstance(request, list) for request in requests) == result.njev


def test_the_complex_step_asks_at_complex_points():
    def cubic(x):
        return np.sum((x - 0.5) ** 4) + np.sum(x**2)

    theirs = scipy.optimize.minimize(cubic, X0, method="BFGS", jac="cs")
    assert same(minimize(cubic, X0, "BFGS", jac="cs"), theirs)
    assert same(told(minimize_steps(X0, "BFGS", jac="cs"), cubic)[0], theirs)


def test_a_batch_objective_may_yield_its_own_circuits():
    def of_batch(points):
        results = yield [CIRCUIT.bind(theta=x) for x in points]
        return energies(results)

    result, requests = answered(minimize(of_batch, X0, "BFGS", batch=True))
    assert same(result, direct("BFGS"))
    assert {len(request) for request in requests} == {1, 3}


def test_circuits_come_back_in_the_shape_in_which_they_were_asked_for():
    shapes: set[object] = set()

    def fun(x):
        one = yield CIRCUIT.bind(theta=x)
        shapes.add(type(one).__name__)
        many = yield (CIRCUIT.bind(theta=x), CIRCUIT.bind(theta=x))
        shapes.add((type(many).__name__, len(many)))
        return energy(many[0])

    result, requests = answered(minimize(fun, X0, "BFGS"))
    assert same(result, direct("BFGS"))
    assert shapes == {"ndarray", ("list", 2)}
    assert {len(request) for request in requests if not isinstance(request, Circuit)} == {2, 3, 6}


def test_the_public_names_are_the_documented_ones():
    assert optimize.__all__ == ["METHODS", "SPSAOptions", "minimize", "minimize_steps"]


def test_importing_it_imports_neither_numpy_nor_scipy():
    code = "import sys, hybrid_runtime.optimize; sys.exit('numpy' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("keeper", ["sys.modules['__main__']", "sys"])
def test_a_process_may_end_with_an_optimizer_under_way(keeper):
    code = (
        f"import sys; from hybrid_runtime.optimize import minimize_steps; {keeper}.steps = minimize_steps([0.1], 'TNC')"
    )
    code += f"; next({keeper}.steps)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
