"""Many small states at once: the rows of a batch side by side in one array, each gate a few operations of numpy.

An emulator that is called for each row spends more time on being called than on computing as long as states are
small. Here a gate costs the same handful of calls for a thousand rows as for one. To have fewer of them:

* Neighbouring gates on one qubit are multiplied into one matrix, before it meets the state.
* What happens to a qubit before it meets another one makes a state of this qubit alone; the product of these is where
  the simulation starts.
* Neighbouring gates that only exchange basis states are one permutation.
* Amplitudes are real numbers until a gate makes them complex.
"""

from __future__ import annotations

import cmath
import math
from functools import reduce
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hybrid_runtime.quantum import matrices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hybrid_runtime.program import Operation

# Real or complex; one axis a qubit, the highest first, and one of the rows: of length 1 while all rows are alike.
Amplitudes: TypeAlias = npt.NDArray[Any]
# A number for all rows, or one a row; None off the diagonal of a diagonal matrix.
Element: TypeAlias = Any
Matrix: TypeAlias = tuple[Element, Element, Element, Element]

_R = math.sqrt(0.5)
_T = complex(_R, _R)
_ONE = 1
_FIXED: dict[str, Matrix] = {
    "H": (_R, _R, _R, -_R),
    "X": (0, 1, 1, 0),
    "Y": (0, -1j, 1j, 0),
    "Z": (_ONE, None, None, -1),
    "S": (_ONE, None, None, 1j),
    "Sdag": (_ONE, None, None, -1j),
    "T": (_ONE, None, None, _T),
    "Tdag": (_ONE, None, None, _T.conjugate()),
    "X90": (_R, -1j * _R, -1j * _R, _R),
    "mX90": (_R, 1j * _R, 1j * _R, _R),
    "Y90": (_R, -_R, _R, _R),
    "mY90": (_R, _R, -_R, _R),
    "CZ": (_ONE, None, None, -1),
}
_EXCHANGES = ("CNOT", "TOFFOLI", "SWAP")
_UNCHANGED = "I"
# Interrupts and deadlines are looked at after so many steps: a few milliseconds.
_STEPS_A_CHECK = 64


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
        self._qubits = qubits
        # Before a qubit meets another one, and then what has been done to it since it last met one.
        alone = [_Turns() for _ in range(qubits)]
        since: dict[int, _Turns] = {}
        steps: list[_Step] = []
        for gate in gates:
            places = [index[qubit] for qubit in gate.qubits]
            if len(places) == 1:
                turns = since.get(places[0], alone[places[0]])
                turns.add(gate)
                continue
            for place in places:
                steps += _flushed(since, place, qubits)
                since[place] = _Turns()
            if gate.name not in _EXCHANGES:
                turns = _Turns()
                turns.add(gate)
                steps.append(_Change(turns, dict.fromkeys(places, 1), places[-1], qubits))
                continue
            last = steps[-1] if steps else None
            permutation = last if isinstance(last, _Permutation) else _Permutation(qubits)
            permutation.add(gate.name, places)
            if permutation is not last:
                steps.append(permutation)
        for place in range(qubits):
            steps += _flushed(since, place, qubits)
        self._alone = alone
        self._steps = steps
        self._start: Amplitudes | None = None
        if not any(turns.open for turns in alone):
            # What comes before the first open parameter is the same for all rows.
            fixed = next((number for number, step in enumerate(steps) if step.open), len(steps))
            nothing = _Angles(np.empty((0, 1)))
            self._start = self._product(nothing)
            for step in steps[:fixed]:
                self._start = step.apply(self._start, nothing)
            self._steps = steps[fixed:]

    def run(self, values: npt.NDArray[np.float64], check: Callable[[], None]) -> Amplitudes:
        """The states of all rows, one column each; the highest qubit is the highest binary digit of the line.

        Args:
            values: One line a row.
            check: Called now and then; what it raises ends the simulation.
        """
        check()
        angles = _Angles(np.ascontiguousarray(values.T))
        states = self._product(angles) if self._start is None else self._start.copy()
        for number, step in enumerate(self._steps, 1):
            if number % _STEPS_A_CHECK == 0:
                check()
            states = step.apply(states, angles)
        return _widened(states, len(values)).reshape(1 << self._qubits, len(values))

    def _product(self, angles: _Angles) -> Amplitudes:
        """Each qubit in the state that the gates on it alone make of |0>."""
        states: Amplitudes = np.ones(1)
        for turns in self._alone:
            zero, one = turns.state(angles)
            rows = max(states.shape[-1], np.size(zero), np.size(one))
            # The qubit's axis comes before those of the lower qubits.
            product = np.empty((2, *states.shape[:-1], rows), np.result_type(states, zero, one))
            np.multiply(states, zero, out=product[0])
            np.multiply(states, one, out=product[1])
            states = product
        return states


class _Angles:
    """The parameters of all rows, and their sines and cosines."""

    def __init__(self, columns: npt.NDArray[np.float64]) -> None:
        # Both from one tangent, which numpy computes several times as quickly as either.
        tangent = np.tan(columns * 0.25)
        share = 2.0 / (tangent * tangent + 1.0)
        self._cos, self._sin = share - 1.0, tangent * share

    def half(self, value: float) -> tuple[Element, Element]:
        """The cosine and the sine of half an angle, which is a number or the index of a slot."""
        if isinstance(value, int):
            return self._cos[value], self._sin[value]
        return math.cos(value / 2), math.sin(value / 2)

    def phase(self, value: float) -> Element:
        """`exp(i value)`, likewise."""
        if not isinstance(value, int):
            return cmath.exp(1j * value)
        half = 1j * self._sin[value]
        half += self._cos[value]
        half *= half
        return half


class _Turns:
    """Gates on one qubit, one after the other, as one matrix."""

    def __init__(self) -> None:
        # Matrices that are known, and gates with open parameters.
        self._parts: list[Matrix | Operation] = []

    def add(self, gate: Operation) -> None:
        """Another gate follows."""
        if gate.name == _UNCHANGED:
            return
        if _is_open(gate):
            self._parts.append(gate)
            return
        matrix = _FIXED.get(gate.name) or _matrix(gate, _NOTHING)
        if self._parts and isinstance(self._parts[-1], tuple):
            self._parts[-1] = _after(matrix, self._parts[-1])
        else:
            self._parts.append(matrix)

    @property
    def open(self) -> bool:
        """Whether the matrix is another one in each row."""
        return any(not isinstance(part, tuple) for part in self._parts)

    @property
    def empty(self) -> bool:
        """Whether there are none."""
        return not self._parts

    def matrix(self, angles: _Angles) -> Matrix:
        """The product, up to a global phase, which no measurement shows."""
        return reduce(lambda earlier, later: _after(later, earlier), self._matrices(angles))

    def state(self, angles: _Angles) -> tuple[Element, Element]:
        """What they make of |0>, likewise."""
        matrices = self._matrices(angles)
        zero, _, one, _ = next(matrices, (_ONE, None, None, _ONE))
        if one is None:
            one = 0
        for m00, m01, m10, m11 in matrices:
            if m01 is None:
                zero, one = m00 * zero, m11 * one
            else:
                zero, one = m00 * zero + m01 * one, m10 * zero + m11 * one
        return zero, one

    def _matrices(self, angles: _Angles) -> Iterator[Matrix]:
        return (part if isinstance(part, tuple) else _matrix(part, angles) for part in self._parts)


class _Step(Protocol):
    """What is done to the states.

    Attributes:
        open: Whether it is different in each row.
    """

    open: bool

    def apply(self, states: Amplitudes, angles: _Angles) -> Amplitudes:
        """The states afterwards, which may be the same array."""


class _Change:
    """A matrix on the amplitudes of one qubit, where the qubits that control it are 1."""

    def __init__(self, turns: _Turns, controls: dict[int, int], place: int, qubits: int) -> None:
        self.open = turns.open
        self._matrix = turns.matrix
        self._zero, self._one = (_part({**controls, place: digit}, qubits) for digit in (0, 1))

    def apply(self, states: Amplitudes, angles: _Angles) -> Amplitudes:
        """In place, where the array can hold what comes of it."""
        matrix = self._matrix(angles)
        m00, m01, m10, m11 = matrix
        kept = [element for element in matrix if element is not None]
        states = _widened(states, max(np.size(element) for element in kept))
        if not np.can_cast(np.result_type(*kept), states.dtype):
            states = states.astype(np.complex128)
        zeros, ones = states[self._zero], states[self._one]
        if m01 is None:
            if m00 is not _ONE:
                zeros *= m00
            ones *= m11
            return states
        crossed = m01 * ones
        ones *= m11
        ones += m10 * zeros
        zeros *= m00
        zeros += crossed
        return states


class _Permutation:
    """An exchange of basis states."""

    open = False

    def __init__(self, qubits: int) -> None:
        self._shape = (2,) * qubits
        self._sources = np.arange(1 << qubits).reshape(self._shape)

    def add(self, name: str, places: Sequence[int]) -> None:
        """Another gate of `_EXCHANGES` follows."""
        one, other = dict.fromkeys(places, 1), {**dict.fromkeys(places, 1), places[-1]: 0}
        if name == "SWAP":
            one[places[0]] = 0
        here, there = (_part(digits, len(self._shape))[:-1] for digits in (one, other))
        self._sources[here], self._sources[there] = self._sources[there].copy(), self._sources[here].copy()

    def apply(self, states: Amplitudes, angles: _Angles) -> Amplitudes:
        """As a copy."""
        rows = states.shape[-1]
        return states.reshape(-1, rows)[self._sources.reshape(-1)].reshape(*self._shape, rows)


def _flushed(since: Mapping[int, _Turns], place: int, qubits: int) -> list[_Step]:
    """What is to be done to a qubit before it meets another one again."""
    turns = since.get(place)
    return [] if turns is None or turns.empty else [_Change(turns, {}, place, qubits)]


def _part(digits: dict[int, int], qubits: int) -> tuple[Any, ...]:
    """Where the given qubits have the given values; the highest qubit is the first axis, the rows are the last."""
    return (*(digits.get(qubit, slice(None)) for qubit in reversed(range(qubits))), slice(None))


def _widened(states: Amplitudes, rows: int) -> Amplitudes:
    """The states with so many rows, where they are all alike so far."""
    return states if states.shape[-1] >= rows else np.repeat(states, rows, axis=-1)


def _after(later: Matrix, earlier: Matrix) -> Matrix:
    """The product of two matrices."""
    a00, a01, a10, a11 = later
    b00, b01, b10, b11 = earlier
    if a01 is None and b01 is None:
        return (a00 * b00, None, None, a11 * b11)
    if a01 is None:
        return (a00 * b00, a00 * b01, a11 * b10, a11 * b11)
    if b01 is None:
        return (a00 * b00, a01 * b11, a10 * b00, a11 * b11)
    return (a00 * b00 + a01 * b10, a00 * b01 + a01 * b11, a10 * b00 + a11 * b10, a10 * b01 + a11 * b11)


_NOTHING = _Angles(np.empty((0, 1)))


def _matrix(gate: Operation, angles: _Angles) -> Matrix:
    """The matrix of a gate with parameters, up to a global phase; see `matrices` for the formulas."""
    name, params = gate.name, gate.params
    if name in ("Rn", "CRn"):
        (m00, m01), (m10, m11) = matrices.rn((params[0], params[1], params[2]), params[3], params[4]).tolist()
        return (m00, m01, m10, m11)
    if name in ("CR", "Rz"):
        return (_ONE, None, None, angles.phase(params[0]))
    cos, sin = angles.half(params[0])
    if name == "Ry":
        return (cos, -sin, sin, cos)
    if name == "Rx":
        return (cos + 0j, -1j * sin, -1j * sin, cos + 0j)
    left, right = angles.phase(params[1]), angles.phase(params[2])
    return (cos + 0j, -right * sin, left * sin, left * right * cos)
