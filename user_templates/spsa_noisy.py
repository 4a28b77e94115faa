"""The ground state of the hydrogen molecule from few shots, by SPSA (generator style).

    qi-run run spsa_noisy.py
    qi-run run spsa_noisy.py --shots 100 --param iterations=200

With 1024 shots an energy is wrong by some ten millihartree, which misleads most optimizers. SPSA is made for it:
each iteration asks for one pair of points, which travels as one step, and the errors average out on the way.
"""

import numpy as np

from hybrid_runtime import Circuit, hybrid
from hybrid_runtime.optimize import minimize

# H2 at 0.735 angstrom in the STO-3G basis, parity mapping, reduced to two qubits: electronic energy in hartree.
# One letter for each qubit, qubit 0 on the right, as in the keys of counts.
H2 = {"II": -1.052373246, "ZI": 0.397937425, "IZ": -0.397937425, "ZZ": -0.011280104, "XX": 0.180931200}

# cos(theta/2) |10> + sin(theta/2) |01>: the Hartree-Fock state |10>, and what correlation mixes into it.
ANSATZ = """
version 3.0
qubit[2] q
bit[2] b
Ry({theta}) q[0]
X q[1]
CNOT q[0], q[1]
"""
# Terms of Z are measured as they are; for XX, H turns X into Z first.
IN_Z = Circuit(ANSATZ + "b = measure q", parameters=["theta"])
IN_X = Circuit(ANSATZ + "H q\nb = measure q", parameters=["theta"])


@hybrid
def spsa(context):
    def energy(x, shots=context.shots):
        in_z, in_x = yield [circuit.bind(theta=x[0]).with_shots(shots) for circuit in (IN_Z, IN_X)]
        z_terms = sum(H2[term] * in_z.expectation(term) for term in ("ZI", "IZ", "ZZ"))
        value = H2["II"] + z_terms + H2["XX"] * in_x.expectation("ZZ")
        context.metric("energy", value)
        return value

    iterations = context.parameters.get("iterations", 100)
    # Averaging the last points takes out most of the noise that is left in each of them.
    options = {"maxiter": iterations, "last_avg": max(1, iterations // 5)}
    found = yield from minimize(energy, [0.0], method="SPSA", options=options, seed=context.seed)
    # One close look at where it ended, to see how far that is from the ground state.
    value = yield from energy(found.x, shots=2_000_000)
    exact = np.linalg.eigvalsh(matrix())[0]
    return {"energy": value, "theta": found.x[0], "exact": exact, "difference": value - exact}


def matrix():
    paulis = {"I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Z": np.diag([1, -1])}
    return sum(factor * np.kron(paulis[left], paulis[right]) for (left, right), factor in H2.items())
