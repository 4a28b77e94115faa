"""The ground state of the hydrogen molecule by VQE, with scipy's own `minimize` (blocking style).

    qi-run run vqe_h2_scipy.py
    qi-run run vqe_h2_scipy.py --param method=Powell --param shots=10000

The function that scipy minimizes calls `context.run`, which sends its circuits, waits, and returns their results.
Nothing else is special: any code that wants a number from a function can be used like this.
"""

import numpy as np
from scipy.optimize import minimize

from hybrid_runtime import Circuit, hybrid

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
# Terms of Z are measured as they are; for XX, H turns X into Z first. One step measures both.
IN_Z = Circuit(ANSATZ + "b = measure q", parameters=["theta"])
IN_X = Circuit(ANSATZ + "H q\nb = measure q", parameters=["theta"])


@hybrid
def vqe(context):
    shots = context.parameters.get("shots", 1_000_000)  # noise of about 0.25 millihartree

    def energy(x, shots=shots):
        in_z, in_x = context.run([circuit.bind(theta=x[0]).with_shots(shots) for circuit in (IN_Z, IN_X)])
        z_terms = sum(H2[term] * in_z.expectation(term) for term in ("ZI", "IZ", "ZZ"))
        value = H2["II"] + z_terms + H2["XX"] * in_x.expectation("ZZ")
        context.metric("energy", value)
        return value

    method = context.parameters.get("method", "COBYLA")
    found = minimize(energy, [context.parameters.get("start", 0.0)], method=method, tol=1e-3)
    # The lowest of many noisy energies lies too low: measure once more where the optimizer ended.
    value = energy(found.x, 4 * shots)
    exact = np.linalg.eigvalsh(matrix())[0]
    return {"energy": value, "theta": found.x[0], "exact": exact, "difference": value - exact}


def matrix():
    paulis = {"I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Z": np.diag([1, -1])}
    return sum(factor * np.kron(paulis[left], paulis[right]) for (left, right), factor in H2.items())
