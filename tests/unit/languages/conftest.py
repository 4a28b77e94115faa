"""What tests of the circuit languages share: short circuits, and their matrices by plain linear algebra."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.languages.compiler import Compiled, Compiler
from hybrid_runtime.program import check_program

HEADER = "version 3.0\nqubit[3] q\nbit[3] b\n"


def values_of(compiled: Compiled) -> tuple[float, ...]:
    return struct.unpack(f"<{compiled.program.slots}d", compiled.values)


@pytest.fixture
def values() -> Callable[[Compiled], tuple[float, ...]]:
    """The values of a compiled circuit's slots."""
    return values_of


@pytest.fixture
def compiled() -> Callable[..., Compiled]:
    """Compile a text; what comes out must pass the check at the other end."""

    def compile_text(text: str, **parameters: Any) -> Compiled:
        result = Compiler().compile(Circuit(text, parameters=parameters or None))
        check_program(result.program)
        return result

    return compile_text


@pytest.fixture
def operations(compiled: Callable[..., Compiled]) -> Callable[..., list[tuple[Any, ...]]]:
    """The operations of cQASM 3 statements, with slots filled in, as (name, qubits, parameters or bit)."""

    def run(body: str, *, header: str = HEADER, **parameters: Any) -> list[tuple[Any, ...]]:
        result = compiled(f"{header}{body}\nb = measure q\n", **parameters)
        filled = values_of(result)
        rows: list[tuple[Any, ...]] = []
        for operation in result.program.operations:
            numbers = tuple(filled[p] if isinstance(p, int) else p for p in operation.params)
            rows.append((operation.name, operation.qubits, operation.bit if operation.bit >= 0 else numbers))
        register = sum(row[0] == "measure" for row in rows[-3:])
        return rows[: len(rows) - register]

    return run


# ------------------------------------------------------------------ matrices, from the definitions

_PAULI = (np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1]))
_FIXED = {
    "I": np.eye(2),
    "X": _PAULI[0],
    "Y": _PAULI[1],
    "Z": _PAULI[2],
    "H": np.array([[1, 1], [1, -1]]) / np.sqrt(2),
    "S": np.diag([1, 1j]),
    "Sdag": np.diag([1, -1j]),
    "T": np.diag([1, np.exp(1j * np.pi / 4)]),
    "Tdag": np.diag([1, np.exp(-1j * np.pi / 4)]),
    "X90": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "mX90": np.array([[1 - 1j, 1 + 1j], [1 + 1j, 1 - 1j]]) / 2,
    "Y90": np.array([[1 + 1j, -1 - 1j], [1 + 1j, 1 + 1j]]) / 2,
    "mY90": np.array([[1 - 1j, 1 - 1j], [-1 + 1j, 1 - 1j]]) / 2,
    "Z90": np.diag([1, 1j]),
    "mZ90": np.diag([1, -1j]),
}


def _rn(x: float, y: float, z: float, angle: float, phase: float) -> np.ndarray:
    generator = x * _PAULI[0] + y * _PAULI[1] + z * _PAULI[2]
    return np.exp(1j * phase) * (np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * generator)


def _u(theta: float, phi: float, lambda_: float) -> np.ndarray:
    cosine, sine = np.cos(theta / 2), np.sin(theta / 2)
    return np.array(
        [
            [cosine, -np.exp(1j * lambda_) * sine],
            [np.exp(1j * phi) * sine, np.exp(1j * (phi + lambda_)) * cosine],
        ]
    )


def _controlled(target: np.ndarray) -> np.ndarray:
    return np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), target]])


def matrix_of(name: str, parameters: tuple[float, ...] = ()) -> np.ndarray:
    """A gate's matrix; of its qubits the first is the most significant."""
    if name in _FIXED:
        return _FIXED[name]
    if name in ("Rx", "Ry", "Rz"):
        x, y, z = (float(name == each) for each in ("Rx", "Ry", "Rz"))
        return _rn(x, y, z, parameters[0], 0.0)
    two = {
        "CNOT": lambda: _controlled(_PAULI[0]),
        "CZ": lambda: _controlled(_PAULI[2]),
        "CR": lambda: _controlled(np.diag([1, np.exp(1j * parameters[0])])),
        "CRn": lambda: _controlled(_rn(*parameters)),
        "SWAP": lambda: np.eye(4)[[0, 2, 1, 3]],
        "Rn": lambda: _rn(*parameters),
        "U": lambda: _u(*parameters),
    }
    return two[name]()


@pytest.fixture
def matrix() -> Callable[..., np.ndarray]:
    """A gate's matrix by its definition."""
    return matrix_of


@pytest.fixture
def unitary(operations: Callable[..., list[tuple[Any, ...]]]) -> Callable[..., np.ndarray]:
    """The product of the matrices of statements that all act on q[0], or all on q[0], q[1] in this order."""

    def run(body: str, **parameters: Any) -> np.ndarray:
        rows = operations(body, **parameters)
        product = np.eye(2 ** len(rows[0][1])) if rows else np.eye(4)
        for name, _, numbers in rows:
            product = matrix_of(name, numbers) @ product
        return product

    return run


def power_of(base: np.ndarray, exponent: float) -> np.ndarray:
    """A unitary matrix to a power, by its eigenvalues with phases in (-pi, pi]."""
    eigenvalues, vectors = np.linalg.eig(base)
    phases = np.angle(eigenvalues)
    phases[phases < 1e-9 - np.pi] += 2 * np.pi
    return vectors @ np.diag(np.exp(1j * exponent * phases)) @ np.linalg.inv(vectors)


@pytest.fixture
def power() -> Callable[[np.ndarray, float], np.ndarray]:
    """A unitary matrix to a power."""
    return power_of
