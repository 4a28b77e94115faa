"""Many small states at once: the rows of a batch side by side in one array, each gate a few operations of numpy.

An emulator that is called for each row spends more time on being called than on computing as long as states are
small. Here a gate costs the same handful of calls for a thousand rows as for one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hybrid_runtime.quantum import matrices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hybrid_runtime.program import Operation

Amplitudes: TypeAlias = npt.NDArray[np.complex128]
# A number for all rows, or one a row; None off the diagonal of a diagonal matrix.
Element: TypeAlias = Any
Matrix: TypeAlias = tuple[Element, Element, Element, Element]

_R = math.sqrt(0.5)
_T = complex(_R, _R)
_ONE = 1
_SWAPS: Matrix = (0, 1, 1, 0)
_FIXED: dict[str, Matrix] = {
    "H": (_R, _R, _R, -_R),
    "X": _SWAPS,
    "Y": (0, -1j, 1j, 0),
    "Z": (1, None, None, -1),
    "S": (1, None, None, 1j),
    "Sdag": (1, None, None, -1j),
    "T": (1, None, None, _T),
    "Tdag": (1, None, None, _T.conjugate()),
    "X90": (_R, -1j * _R, -1j * _R, _R),
    "mX90": (_R, 1j * _R, 1j * _R, _R),
    "Y90": (_R, -_R, _R, _R),
    "mY90": (_R, _R, -_R, _R),
    "CNOT": _SWAPS,
    "TOFFOLI": _SWAPS,
    "CZ": (1, None, None, -1),
}
# Interrupts and deadlines are looked at after so many gates: a few milliseconds.
_GATES_A_CHECK = 64


def fits(gates: Iterable[Operation]) -> bool:
    """Whether all rows of these gates can be done together: the axis of a turn may be impossible in one of them."""
    return not any(gate.name in ("Rn", "CRn") and _is_open(gate) for gate in gates)


def _is_open(gate: Operation) -> bool:
    return any(isinstance(value, int) for value in gate.params)


class StateVectors:
    """The gates of a program, to be applied to all rows of a batch together.

    Args:
        qubits: How many are simulated.
        gates: In order. A turn about an axis has no open parameter: see `fits`.
        index: The simulation's number of each qubit of the program.
    """

    def __init__(self, qubits: int, gates: Sequence[Operation], index: Mapping[int, int]) -> None:
        self._shape = (2,) * qubits
        self._steps = [_Step(gate, [index[qubit] for qubit in gate.qubits], qubits) for gate in gates]
        # What comes before the first open parameter is the same for all rows.
        fixed = next((number for number, step in enumerate(self._steps) if step.open), len(self._steps))
        start = np.zeros((*self._shape, 1), np.complex128)
        start[(0,) * (qubits + 1)] = 1.0
        for step in self._steps[:fixed]:
            step.apply(start, np.empty((0, 1)))
        self._start = start
        self._steps = self._steps[fixed:]

    def run(self, values: npt.NDArray[np.float64], check: Callable[[], None]) -> Amplitudes:
        """The states of all rows, one column each; the highest qubit is the highest binary digit of the line.

        Args:
            values: One line a row.
            check: Called now and then; what it raises ends the simulation.
        """
        columns = np.ascontiguousarray(values.T)
        states = np.repeat(self._start, len(values), axis=-1)
        for number, step in enumerate(self._steps):
            if number % _GATES_A_CHECK == 0:
                check()
            step.apply(states, columns)
        return states.reshape(1 << len(self._shape), len(values))


class _Step:
    """One gate: where it acts, and how its matrix is made."""

    __slots__ = ("_gate", "_matrix", "_one", "_zero", "open")

    def __init__(self, gate: Operation, places: list[int], qubits: int) -> None:
        self._gate = gate
        self.open = _is_open(gate)
        controls: dict[int, int] = dict.fromkeys(places[:-1], 1)
        if gate.name == "SWAP":
            # It exchanges the amplitudes of 01 and 10.
            self._zero = _part({places[0]: 1, places[1]: 0}, qubits)
            self._one = _part({places[0]: 0, places[1]: 1}, qubits)
            self._matrix: Matrix | None = _SWAPS
            return
        self._zero = _part({**controls, places[-1]: 0}, qubits)
        self._one = _part({**controls, places[-1]: 1}, qubits)
        self._matrix = _FIXED.get(gate.name)
        if self._matrix is None and not self.open:
            self._matrix = _matrix(gate.name, gate.params)

    def apply(self, states: Amplitudes, columns: npt.NDArray[np.float64]) -> None:
        """Change the states; `columns[slot]` has one parameter a row."""
        matrix = self._matrix
        if matrix is None:
            params = [columns[value] if isinstance(value, int) else value for value in self._gate.params]
            matrix = _matrix(self._gate.name, params)
        zeros, ones = states[self._zero], states[self._one]
        if matrix is _SWAPS:
            kept = zeros.copy()
            zeros[...] = ones
            ones[...] = kept
            return
        m00, m01, m10, m11 = matrix
        if m01 is None:
            if m00 is not _ONE:
                zeros *= m00
            ones *= m11
            return
        crossed = m01 * ones
        ones *= m11
        ones += m10 * zeros
        zeros *= m00
        zeros += crossed


def _part(digits: dict[int, int], qubits: int) -> tuple[Any, ...]:
    """Where the given qubits have the given values; the highest qubit is the first axis, the rows are the last."""
    return (*(digits.get(qubit, slice(None)) for qubit in reversed(range(qubits))), slice(None))


def _matrix(name: str, params: Sequence[Any]) -> Matrix:
    """The matrix of a gate with parameters, each a number or one number a row; see `matrices` for the formulas."""
    if name in ("Rn", "CRn"):
        (m00, m01), (m10, m11) = matrices.rn((params[0], params[1], params[2]), params[3], params[4]).tolist()
        return (m00, m01, m10, m11)
    if name == "CR":
        return (_ONE, None, None, np.exp(1j * params[0]))
    if name == "U":
        cos, sin = np.cos(params[0] / 2), np.sin(params[0] / 2)
        left, right = np.exp(1j * params[1]), np.exp(1j * params[2])
        return (cos + 0j, -right * sin, left * sin, left * right * cos)
    cos, sin = np.cos(params[0] / 2) + 0j, np.sin(params[0] / 2) + 0j
    if name == "Rx":
        return (cos, -1j * sin, -1j * sin, cos)
    if name == "Ry":
        return (cos, -sin, sin, cos)
    return (cos - 1j * sin, None, None, cos + 1j * sin)
