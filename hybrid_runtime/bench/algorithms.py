"""The algorithms whose jobs are measured, as a user would write them. Each job is given this file as its bundle."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hybrid_runtime import Circuit, Context, hybrid

if TYPE_CHECKING:
    from collections.abc import Callable


@hybrid
def steps(context: Context) -> list[int]:
    """Times each step where the algorithm waits for it; nanoseconds."""
    parameters = context.parameters
    circuit = angles(parameters["qubits"], parameters["slots"])
    slots, rows = parameters["slots"], parameters["rows"]
    sets = [circuit.bind(angle=[0.1 + 0.001 * row] * slots) if slots else circuit for row in range(rows)]
    request: Any = sets[0] if rows == 1 else sets
    run, clock = context.run, time.perf_counter_ns
    for _ in range(parameters["warmup"]):
        run(request)
    times = []
    for _ in range(parameters["steps"]):
        start = clock()
        run(request)
        times.append(clock() - start)
    return times


def angles(qubits: int, slots: int) -> Circuit:
    """A circuit with so many angles, each a number that every step sends."""
    lines = ["version 3.0", f"qubit[{qubits}] q", f"bit[{qubits}] b", "H q"]
    lines += [f"Ry({{angle[{slot}]}}) q[{slot % qubits}]" for slot in range(slots)]
    lines += [f"CNOT q[{qubit}], q[{qubit + 1}]" for qubit in range(qubits - 1)]
    return Circuit("\n".join([*lines, "b = measure q"]), parameters=["angle"] if slots else None)


# ------------------------------------------------------------------ loops, with the runtime or without
#
# A loop is a function of `measure`, which runs one set of circuits for one vector of parameters.

# H2 at 0.735 angstrom in the STO-3G basis, parity mapping, reduced to two qubits: electronic energy in hartree.
H2 = {"II": -1.052373246, "ZI": 0.397937425, "IZ": -0.397937425, "ZZ": -0.011280104, "XX": 0.180931200}
EDGES = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 2), (1, 5), (3, 5))
LAYERS = 2


def h2_circuits() -> list[Circuit]:
    """The ansatz, measured for the terms of Z and for XX."""
    head = ["version 3.0", "qubit[2] q", "bit[2] b"]
    slots = iter(range(8))
    for layer in range(2):
        head += [f"{gate}({{x[{next(slots)}]}}) q[{qubit}]" for gate in ("Ry", "Rz") for qubit in range(2)]
        head += ["CNOT q[0], q[1]"] if layer == 0 else []
    return [Circuit("\n".join([*head, *tail, "b = measure q"]), parameters=["x"]) for tail in ([], ["H q"])]


def h2(measure: Callable[[Any], list[dict[str, int]]], evaluations: int) -> dict[str, Any]:
    """The ground state of H2 by COBYLA, with at most so many evaluations of the energy."""

    def energy(x: Any) -> float:
        in_z, in_x = measure(x)
        z_terms = sum(H2[term] * expectation(in_z, term) for term in ("ZI", "IZ", "ZZ"))
        return H2["II"] + z_terms + H2["XX"] * expectation(in_x, "ZZ")

    return _minimize(energy, [0.1] * 8, evaluations)


def maxcut_circuits() -> list[Circuit]:
    """QAOA for a graph of six vertices; x is gamma and beta of each layer."""
    lines = ["version 3.0", "qubit[6] q", "bit[6] b", "H q"]
    for layer in range(LAYERS):
        for a, b in EDGES:
            lines += [f"CNOT q[{a}], q[{b}]", f"Rz({{x[{layer}]}}) q[{b}]", f"CNOT q[{a}], q[{b}]"]
        lines.append(f"Rx({{x[{LAYERS + layer}]}}) q")
    return [Circuit("\n".join([*lines, "b = measure q"]), parameters=["x"])]


def maxcut(measure: Callable[[Any], list[dict[str, int]]], evaluations: int) -> dict[str, Any]:
    """The largest cut by COBYLA, with at most so many evaluations of the mean cut."""

    def minus_cut(x: Any) -> float:
        (counts,) = measure(x)
        cut = sum(count * sum(bits[-1 - a] != bits[-1 - b] for a, b in EDGES) for bits, count in counts.items())
        return -cut / sum(counts.values())

    return _minimize(minus_cut, [0.3, 0.6, -1.2, -0.4], evaluations)


def expectation(counts: dict[str, int], term: str) -> float:
    """Mean of a product of Z over the measured bits."""
    places = [place for place, letter in enumerate(term) if letter == "Z"]
    signed = sum(-count if sum(bits[at] == "1" for at in places) & 1 else count for bits, count in counts.items())
    return signed / sum(counts.values())


def _minimize(function: Callable[[Any], float], start: list[float], evaluations: int) -> dict[str, Any]:
    from scipy.optimize import minimize

    # The tolerance is not reached: `maxiter` ends it, or that the function does not change any more.
    found = minimize(function, start, method="COBYLA", options={"maxiter": evaluations, "tol": 1e-100, "rhobeg": 0.5})
    return {"value": float(found.fun), "evaluations": int(found.nfev)}


LOOPS = {"vqe": (h2_circuits, h2), "qaoa": (maxcut_circuits, maxcut)}


@hybrid
def loop(context: Context) -> dict[str, Any]:
    """One of the loops, its circuits run by the runtime."""
    make_circuits, optimize = LOOPS[context.parameters["loop"]]
    circuits = make_circuits()

    def measure(x: Any) -> list[dict[str, int]]:
        return [result.counts for result in context.run([circuit.bind(x=x) for circuit in circuits])]

    return optimize(measure, context.parameters["evaluations"])
