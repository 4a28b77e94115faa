"""The ground state of the hydrogen molecule by VQE, as a class with three hooks (lifecycle style).

    qi-run run vqe_h2.py
    qi-run run vqe_h2.py --param start=0.8 --param shots=10000 --limit steps=20

`initialize` gives the first circuits. `execute` gets their results and gives the next ones, as often as the
optimizer wants. `finalize` makes the result; it also runs when a limit or Ctrl-C ends the job early.
"""

import numpy as np

from hybrid_runtime import Circuit, Done, HybridAlgorithm
from hybrid_runtime.optimize import minimize_steps

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


class VqeH2(HybridAlgorithm):
    def initialize(self, context):
        self.context = context
        self.shots = context.parameters.get("shots", 1_000_000)  # noise of about 0.25 millihartree
        self.converged = False
        self.optimizer = minimize_steps([context.parameters.get("start", 0.0)], method="COBYLA", tol=1e-3)
        return self.measure_at(next(self.optimizer)[0], self.shots)

    def execute(self, results):
        value = energy(*results)
        self.context.metric("energy", value)
        if self.converged:
            return Done({"energy": value, "theta": self.theta})
        try:
            return self.measure_at(self.optimizer.send(value)[0], self.shots)
        except StopIteration as end:
            # The lowest of many noisy energies lies too low: measure once more where the optimizer ended.
            self.converged = True
            return self.measure_at(end.value.x[0], 4 * self.shots)

    def finalize(self, history):
        exact = np.linalg.eigvalsh(matrix())[0]
        found = history.done or history.last_metrics()
        return {**found, "exact": exact, "difference": found["energy"] - exact} if found else None

    def measure_at(self, theta, shots):
        self.theta = theta
        return [circuit.bind(theta=theta).with_shots(shots) for circuit in (IN_Z, IN_X)]


def energy(in_z, in_x):
    z_terms = sum(H2[term] * in_z.expectation(term) for term in ("ZI", "IZ", "ZZ"))
    return H2["II"] + z_terms + H2["XX"] * in_x.expectation("ZZ")


def matrix():
    paulis = {"I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Z": np.diag([1, -1])}
    return sum(factor * np.kron(paulis[left], paulis[right]) for (left, right), factor in H2.items())
