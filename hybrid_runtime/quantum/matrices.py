"""Matrices of the gates with several parameters, by the formulas of the cQASM 3 standard gate set."""

from __future__ import annotations

import cmath
import math

import numpy as np
import numpy.typing as npt

from hybrid_runtime.errors import CircuitRejected

Matrix = npt.NDArray[np.complex128]


def phase(theta: float) -> Matrix:
    """`diag(1, exp(i theta))`."""
    return np.array([[1, 0], [0, cmath.exp(1j * theta)]], dtype=np.complex128)


def u(theta: float, phi: float, lambda_: float) -> Matrix:
    """The three-angle gate whose first element is real."""
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    return np.array(
        [
            [cos, -cmath.exp(1j * lambda_) * sin],
            [cmath.exp(1j * phi) * sin, cmath.exp(1j * (phi + lambda_)) * cos],
        ],
        dtype=np.complex128,
    )


def rn(axis: tuple[float, float, float], theta: float, phi: float) -> Matrix:
    """A turn by `theta` about `axis` and a phase `phi`. The axis counts by its direction only.

    Raises:
        CircuitRejected: the axis has no direction.
    """
    length = math.hypot(*axis)
    if not 0 < length < math.inf:
        raise CircuitRejected(f"Rn and CRn turn about an axis (nx, ny, nz) with a direction, not {axis}")
    x, y, z = (component / length for component in axis)
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    turn = np.array([[cos - 1j * z * sin, (-1j * x - y) * sin], [(-1j * x + y) * sin, cos + 1j * z * sin]])
    return np.asarray(cmath.exp(1j * phi) * turn, dtype=np.complex128)
