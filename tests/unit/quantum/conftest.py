"""A second opinion on circuits: gates by their definition, measurements by following every outcome."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
import pytest
from scipy.linalg import block_diag, expm

from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.messages import ResultData
from hybrid_runtime.protocol.results import each
from hybrid_runtime.quantum.driver import Batch, ProgramHandle, QuantumDriver
from hybrid_runtime.quantum.waiting import Pause

X = np.array([[0, 1], [1, 0]], dtype=complex)
Y = np.array([[0, -1j], [1j, 0]])
Z = np.diag([1, -1]).astype(complex)
I2 = np.eye(2, dtype=complex)


def turn(pauli, angle):
    return expm(-1j * angle / 2 * pauli)


def rn(nx, ny, nz, theta, phi):
    length = sqrt(nx * nx + ny * ny + nz * nz)
    return np.exp(1j * phi) * turn((nx * X + ny * Y + nz * Z) / length, theta)


def u(theta, phi, lam):
    return np.exp(1j * (phi + lam) / 2) * turn(Z, phi) @ turn(Y, theta) @ turn(Z, lam)


def controlled(matrix):
    return block_diag(np.eye(len(matrix)), matrix)


# The first qubit of a gate is the highest digit of its matrix' index.
DEFINITIONS: dict[str, Callable[..., Any]] = {
    "I": lambda: I2,
    "H": lambda: (X + Z) / sqrt(2),
    "X": lambda: X,
    "Y": lambda: Y,
    "Z": lambda: Z,
    "S": lambda: np.diag([1, 1j]),
    "Sdag": lambda: np.diag([1, -1j]),
    "T": lambda: np.diag([1, (1 + 1j) / sqrt(2)]),
    "Tdag": lambda: np.diag([1, (1 - 1j) / sqrt(2)]),
    "X90": lambda: (I2 - 1j * X) / sqrt(2),
    "mX90": lambda: (I2 + 1j * X) / sqrt(2),
    "Y90": lambda: (I2 - 1j * Y) / sqrt(2),
    "mY90": lambda: (I2 + 1j * Y) / sqrt(2),
    "Rx": lambda angle: turn(X, angle),
    "Ry": lambda angle: turn(Y, angle),
    "Rz": lambda angle: turn(Z, angle),
    "Rn": rn,
    "U": u,
    "CNOT": lambda: controlled(X),
    "CZ": lambda: np.diag([1, 1, 1, -1]),
    "SWAP": lambda: np.eye(4)[[0, 2, 1, 3]],
    "CR": lambda angle: np.diag([1, 1, 1, np.exp(1j * angle)]),
    "CRn": lambda *params: controlled(rn(*params)),
    "TOFFOLI": lambda: controlled(controlled(X)),
}


class Reference:
    """States are arrays with one axis a qubit, qubit 0 first."""

    def zero(self, qubits: int):
        state = np.zeros((2,) * qubits, dtype=complex)
        state[(0,) * qubits] = 1
        return state

    def apply(self, operation: Operation, state, values: Sequence[float] = ()):
        params = [values[value] if isinstance(value, int) else value for value in operation.params]
        count = len(operation.qubits)
        matrix = np.asarray(DEFINITIONS[operation.name](*params), dtype=complex).reshape((2,) * (2 * count))
        moved = np.tensordot(matrix, state, axes=(range(count, 2 * count), operation.qubits))
        return np.moveaxis(moved, range(count), operation.qubits)

    def distribution(self, program: Program, values: Sequence[float] = ()) -> dict[str, float]:
        """The exact probability of each content of the bit register."""
        branches = [(self.zero(program.qubits), (0,) * program.bits)]
        for operation in program.operations:
            if operation.name in DEFINITIONS:
                branches = [(self.apply(operation, state, values), bits) for state, bits in branches]
            elif operation.name in ("measure", "reset"):
                branches = [half for branch in branches for half in self._observe(operation, *branch)]
        found: dict[str, float] = {}
        for state, bits in branches:
            key = "".join(str(bit) for bit in reversed(bits))
            found[key] = found.get(key, 0.0) + float(np.vdot(state, state).real)
        return found

    def _observe(self, operation: Operation, state, bits):
        (qubit,) = operation.qubits
        for outcome in (0, 1):
            part = np.zeros_like(state)
            here = (slice(None),) * qubit
            target = 0 if operation.name == "reset" else outcome
            part[(*here, target)] = state[(*here, outcome)]
            if np.vdot(part, part).real > 1e-13:
                written = bits
                if operation.name == "measure":
                    written = (*bits[: operation.bit], outcome, *bits[operation.bit + 1 :])
                yield part, written


@pytest.fixture(scope="session")
def reference() -> Reference:
    return Reference()


def _batch(program: Program | ProgramHandle, shots=1024, *, seeds=(1,), values=(), raw=False, timeout_s=60.0) -> Batch:
    handle = program if isinstance(program, ProgramHandle) else ProgramHandle(program)
    return Batch(handle, shots, list(seeds), array("d", values), raw, time.monotonic() + timeout_s)


@pytest.fixture(scope="session")
def batch():
    """Make a `Batch` with few words."""
    return _batch


@pytest.fixture(scope="session")
def agrees():
    """Whether counts follow a distribution: 5 standard deviations, and 5 counts more for rare outcomes."""

    def check(counts: dict[str, int], distribution: dict[str, float]) -> bool:
        shots = sum(counts.values())
        return counts.keys() <= distribution.keys() and all(
            abs(counts.get(key, 0) - shots * p) <= 5 * sqrt(shots * p * max(1 - p, 0)) + 5
            for key, p in distribution.items()
        )

    return check


@pytest.fixture(scope="session")
def run_one(batch):
    """Run one row on a driver."""

    def run(driver: QuantumDriver, program: Program, shots=1024, **words) -> ResultData:
        (result,) = each(driver.execute(batch(program, shots, **words)))
        return result

    return run


@pytest.fixture(scope="session")
def bell() -> Program:
    return Program(
        2,
        2,
        0,
        (
            Operation("H", (0,)),
            Operation("CNOT", (0, 1)),
            Operation("measure", (0,), (), 0),
            Operation("measure", (1,), (), 1),
        ),
    )


@pytest.fixture(scope="session")
def ladder():
    """A dense circuit with one open parameter a qubit, all qubits measured."""

    def make(qubits: int) -> Program:
        operations = [Operation("H", (qubit,)) for qubit in range(qubits)]
        operations += [Operation("Ry", (qubit,), (qubit,)) for qubit in range(qubits)]
        operations += [Operation("CNOT", pair) for pair in pairwise(range(qubits))]
        operations += [Operation("measure", (qubit,), (), qubit) for qubit in range(qubits)]
        return Program(qubits, qubits, qubits, tuple(operations))

    return make


@pytest.fixture
def pause() -> Iterator[Pause]:
    made = Pause()
    yield made
    made.close()
