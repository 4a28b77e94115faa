"""The largest cut of a graph by QAOA (generator style).

    qi-run run qaoa_maxcut.py
    qi-run run qaoa_maxcut.py --param layers=3 --param "edges=[[0,1],[1,2],[2,3],[3,0]]"

The vertices are to be divided into two sets so that as many edges as possible run between them. Each vertex is a
qubit, and a bit string is a division. Every `yield` sends a circuit and gets its result.
"""

from itertools import product

from hybrid_runtime import Circuit, hybrid
from hybrid_runtime.optimize import minimize

EDGES = [[0, 1], [1, 2], [2, 3], [3, 4], [4, 0], [0, 2], [1, 5], [3, 5]]


@hybrid
def maxcut(context):
    edges = context.parameters.get("edges", EDGES)
    layers = context.parameters.get("layers", 2)
    circuit = ansatz(edges, layers)

    def minus_cut(x):
        result = yield circuit.bind(gamma=x[:layers], beta=x[layers:])
        mean = sum(share * cut(bits, edges) for bits, share in result.probabilities.items())
        context.metric("minus_cut", -mean)
        return -mean

    # A ramp, as if slowly turning the mixer off and the edges on, is a good place to start from.
    ramp = [(layer + 0.5) / layers for layer in range(layers)]
    start = [0.8 * up for up in ramp] + [0.8 * (1 - up) for up in ramp]
    found = yield from minimize(minus_cut, start, method="COBYLA", tol=0.05, options={"rhobeg": 0.3})

    result = yield circuit.bind(gamma=found.x[:layers], beta=found.x[layers:])
    best = max(result.counts, key=lambda bits: cut(bits, edges))
    # Few vertices: all divisions can be tried, to see how good this one is.
    optimum = max(cut(bits, edges) for bits in product("01", repeat=len(best)))
    mean = sum(share * cut(bits, edges) for bits, share in result.probabilities.items())
    return {"division": best, "cut": cut(best, edges), "optimum": optimum, "mean_cut": mean}


def cut(bits, edges):
    """How many edges a division cuts. Bit 0 is the rightmost one."""
    return sum(bits[-1 - a] != bits[-1 - b] for a, b in edges)


def ansatz(edges, layers):
    """Layers of exp(-i gamma/2 Z Z) for every edge and exp(i beta X) for every vertex, after an even superposition."""
    count = 1 + max(max(edge) for edge in edges)
    lines = ["version 3.0", f"qubit[{count}] q", f"bit[{count}] b", "H q"]
    for layer in range(layers):
        for a, b in edges:
            lines += [f"CNOT q[{a}], q[{b}]", f"Rz({{gamma[{layer}]}}) q[{b}]", f"CNOT q[{a}], q[{b}]"]
        lines.append(f"Rx(-2 * {{beta[{layer}]}}) q")
    return Circuit("\n".join([*lines, "b = measure q"]), parameters=["gamma", "beta"])
