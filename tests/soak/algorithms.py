"""What the soak test runs: each style and each optimizer, with everything random drawn from the job."""

from __future__ import annotations

import random

from hybrid_runtime import Circuit, Done, HybridAlgorithm, hybrid
from hybrid_runtime.optimize import minimize

ANSATZ = Circuit(
    """version 3.0
qubit[2] q
bit[2] b
Ry({a}) q[0]
CNOT q[0], q[1]
Rx({b}) q[1]
b = measure q
""",
    parameters={"a": 0.0, "b": 0.0},
)
BOUNDS = [(-3.0, 3.0)] * 2
OPTIONS = {
    "COBYLA": {"maxiter": 60},
    "Nelder-Mead": {"maxfev": 60},
    "L-BFGS-B": {"maxfun": 60},
    "Powell": {"maxfev": 60},
    "SPSA": {"maxiter": 30},
    "differential_evolution": {"maxiter": 3, "popsize": 6},
}


@hybrid
def blocking(context):
    """An optimizer that keeps its own loop."""
    method = context.parameters["method"]

    def energy(x):
        result = context.run(ANSATZ.bind(a=float(x[0]), b=float(x[1])))
        value = result.expectation("ZZ") + 0.1 * result.expectation("IZ")
        context.metric("energy", value)
        return value

    found = minimize(energy, [0.3, 0.2], method, bounds=BOUNDS, options=OPTIONS[method], seed=5)
    return {"x": list(found.x), "fun": float(found.fun), "random": random.random()}


@hybrid
def generator(context):
    """Two circuits a step."""
    total = 0.0
    for number in range(80):
        angles = context.rng.random(2) + random.random()
        results = yield [ANSATZ.bind(a=angle, b=number) for angle in angles]
        total += sum(result.expectation("ZZ") for result in results)
        context.metric("total", total)
    return total


class Lifecycle(HybridAlgorithm):
    """Each circuit depends on the result before."""

    def initialize(self, context):
        self.context = context
        self.total = 0.0
        return self.next()

    def next(self):
        return ANSATZ.bind(a=self.total, b=float(self.context.rng.random()))

    def execute(self, result):
        self.total += result.expectation("ZZ")
        self.context.metric("total", self.total)
        return Done(self.total) if self.context.history.steps == 80 else self.next()
