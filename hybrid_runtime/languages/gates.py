"""One-qubit gates and what the modifiers `inv`, `pow` and `ctrl` make of them.

Matrices and global phases are those of the cQASM 3 standard gate set. Phases matter, because a control
turns the phase of a gate into a rotation: `ctrl.S` and `ctrl.Rz(pi/2)` are different gates.
"""

from __future__ import annotations

import cmath
import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hybrid_runtime.languages.expressions import Expression, apply, as_real, binary, call, constant, unary

if TYPE_CHECKING:
    from hybrid_runtime.languages.inputs import Inputs
    from hybrid_runtime.languages.source import Source

Axis: TypeAlias = tuple[float, float, float]
Matrix: TypeAlias = tuple[complex, complex, complex, complex]
Parameters: TypeAlias = tuple[Expression, ...]

_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_HALF, _QUARTER, _EIGHTH = math.pi / 2, math.pi / 4, math.pi / 8


class Rotation(NamedTuple):
    """exp(i phase) times the rotation by `angle` about a unit `axis`; `Rn` of the standard gate set."""

    axis: Axis
    angle: float
    phase: float


FIXED: dict[str, Rotation] = {
    "I": Rotation(_Z, 0.0, 0.0),
    "X": Rotation(_X, math.pi, _HALF),
    "Y": Rotation(_Y, math.pi, _HALF),
    "Z": Rotation(_Z, math.pi, _HALF),
    "H": Rotation((math.sqrt(0.5), 0.0, math.sqrt(0.5)), math.pi, _HALF),
    "S": Rotation(_Z, _HALF, _QUARTER),
    "Sdag": Rotation(_Z, -_HALF, -_QUARTER),
    "T": Rotation(_Z, _QUARTER, _EIGHTH),
    "Tdag": Rotation(_Z, -_QUARTER, -_EIGHTH),
    "X90": Rotation(_X, _HALF, _QUARTER),
    "mX90": Rotation(_X, -_HALF, -_QUARTER),
    "Y90": Rotation(_Y, _HALF, _QUARTER),
    "mY90": Rotation(_Y, -_HALF, -_QUARTER),
}
# Other names for the same matrix, phase included.
SAME = {"Z90": "S", "mZ90": "Sdag"}
_AXES = {"Rx": _X, "Ry": _Y, "Rz": _Z}
_CONTROLLED = {"X": "CNOT", "Z": "CZ"}
_CONTROLLED_PHASE = {"S": _HALF, "Sdag": -_HALF, "T": _QUARTER, "Tdag": -_QUARTER}


class Gate(NamedTuple):
    """A gate by its name in `program.GATES`, with its parameters."""

    name: str
    parameters: Parameters = ()


class Modifiers:
    """Builds gates of one circuit, where parameters may be open numbers.

    Raises:
        CircuitRejected: from any method, for a parameter that cannot be used.
    """

    def __init__(self, source: Source, inputs: Inputs) -> None:
        self._source = source
        self._inputs = inputs

    def named(self, name: str, parameters: Parameters) -> Gate:
        """The gate of this name in cQASM, with unit axes and floats for parameters."""
        name = SAME.get(name, name)
        parameters = tuple(as_real(parameter, self._source) for parameter in parameters)
        if name == "Rn":
            return Gate(name, self._unit(parameters[:3]) + parameters[3:])
        return Gate(name, parameters)

    def inverse(self, gate: Gate) -> Gate:
        """The gate of the inverse matrix."""
        name, parameters = gate
        if name in FIXED:
            rotation = FIXED[name]
            return _simplest(Rotation(rotation.axis, -rotation.angle, -rotation.phase))
        if name == "U":
            theta, phi, lambda_ = parameters
            return Gate(name, (self._minus(theta), self._minus(lambda_), self._minus(phi)))
        kept = 3 if name == "Rn" else 0
        return Gate(name, parameters[:kept] + tuple(self._minus(parameter) for parameter in parameters[kept:]))

    def power(self, gate: Gate, exponent: Expression, *, controlled: bool) -> Gate:
        """The gate of the matrix raised to a power, by its eigenvalues with phases in (-pi, pi].

        An exponent that is a numeral, and every parameter of `U`, is structural.

        Args:
            gate: The gate.
            exponent: The power.
            controlled: Whether the result will be controlled, so that its phase matters.
        """
        name, parameters = gate
        exponent = as_real(exponent, self._source)
        if name == "U":
            parameters = tuple(self._inputs.settle(parameter) for parameter in parameters)
        if name in FIXED and self._inputs.names_a_parameter(exponent):
            rotation = FIXED[name]
            return Gate("Rn", (*map(constant, rotation.axis), *self._raised(exponent, rotation.angle, rotation.phase)))
        if name in FIXED or name == "U":
            exponent = self._inputs.settle(exponent)
        if all(number.evaluate is None for number in (exponent, *parameters)):
            power = exponent.value
            rotation = _rotation_of(_matrix_of(name, [parameter.value for parameter in parameters]))
            return _simplest(Rotation(rotation.axis, power * rotation.angle, power * rotation.phase))
        angle, phase = parameters[3:] if name == "Rn" else (parameters[0], constant(0.0))
        principal_angle = apply(_principal_angle, (angle, phase), self._source)
        if name != "Rn" and not controlled:
            return Gate(name, self._raised(exponent, principal_angle))
        axis = parameters[:3] if name == "Rn" else tuple(map(constant, _AXES[name]))
        principal_phase = apply(_principal_phase, (angle, phase), self._source)
        return Gate("Rn", (*axis, *self._raised(exponent, principal_angle, principal_phase)))

    def _raised(self, exponent: Expression, *numbers: Expression | float) -> Parameters:
        factors = (number if isinstance(number, Expression) else constant(number) for number in numbers)
        return tuple(binary("*", exponent, factor, self._source) for factor in factors)

    def controlled(self, gate: Gate) -> list[Gate]:
        """The two-qubit gates, control first, that together apply this gate where the control is 1."""
        name, parameters = gate
        if name == "U":
            if all(parameter.evaluate is None for parameter in parameters):
                matrix = _matrix_of(name, [parameter.value for parameter in parameters])
                return self.controlled(_simplest(_rotation_of(matrix)))
            return self._controlled_u(*parameters)
        if name == "I":
            return []
        if name in _CONTROLLED:
            return [Gate(_CONTROLLED[name])]
        if name in _CONTROLLED_PHASE:
            return [Gate("CR", (constant(_CONTROLLED_PHASE[name]),))]
        if name in FIXED:
            return [_rotation_gate("CRn", FIXED[name])]
        if name == "Rn":
            return [Gate("CRn", parameters)]
        return [Gate("CRn", (*map(constant, _AXES[name]), parameters[0], constant(0.0)))]

    def phase_of_k(self, k: Expression) -> Expression:
        """The angle 2 pi / 2**k of `CRk(k)`."""
        value = int(self._inputs.settle(k).value)
        try:
            return constant(math.ldexp(math.tau, max(-value, -2000)), k.offset)
        except OverflowError:
            raise self._source.rejected(k.offset, f"CRk({value}) is an angle too large for a float") from None

    def _controlled_u(self, theta: Expression, phi: Expression, lambda_: Expression) -> list[Gate]:
        # U = exp(i (phi + lambda) / 2) Rz(phi) Ry(theta) Rz(lambda)
        phase = binary("/", binary("+", phi, lambda_, self._source), constant(2.0), self._source)
        z, y, none = tuple(map(constant, _Z)), tuple(map(constant, _Y)), constant(0.0)
        return [
            Gate("CRn", (*z, lambda_, none)),
            Gate("CRn", (*y, theta, none)),
            Gate("CRn", (*z, phi, phase)),
        ]

    def _minus(self, parameter: Expression) -> Expression:
        return unary("-", parameter, parameter.offset, self._source)

    def _unit(self, axis: Parameters) -> Parameters:
        """The axis at length 1. Numerals in it are structural: an axis hardly ever varies from step to step."""
        if not any(self._inputs.names_a_parameter(component) for component in axis):
            unit = self.unit_axis(axis)
            return tuple(constant(value, component.offset) for value, component in zip(unit, axis, strict=True))
        x, y, z = (binary("*", component, component, self._source) for component in axis)
        square = binary("+", binary("+", x, y, self._source), z, self._source)
        length = call("sqrt", (square,), axis[0].offset, self._source)
        return tuple(binary("/", component, length, self._source) for component in axis)

    def unit_axis(self, axis: Parameters) -> Axis:
        """The axis as constants, at length 1."""
        x, y, z = (float(self._inputs.value(self._inputs.settle(component))) for component in axis)
        length = math.hypot(x, y, z)
        if not 0.0 < length < math.inf:
            raise self._source.rejected(axis[0].offset, f"the axis ({x}, {y}, {z}) has no direction")
        return (x / length, y / length, z / length)


def to_z(axis: Axis) -> Gate | None:
    """The gate that turns the state along a unit axis into |0>; None for the z axis."""
    x, y, z = axis
    across = math.hypot(x, y)
    if across < 1e-15:
        return None if z > 0 else Gate("X")
    return _rotation_gate("Rn", Rotation((y / across, -x / across, 0.0), math.atan2(across, z), 0.0))


def _rotation_gate(name: str, rotation: Rotation) -> Gate:
    return Gate(name, tuple(map(constant, (*rotation.axis, rotation.angle, rotation.phase))))


def _simplest(rotation: Rotation) -> Gate:
    """The fixed gate with this matrix, phase included, else `Rn`."""
    matrix = _matrix(rotation)
    for name, fixed in FIXED.items():
        if all(abs(a - b) < 1e-12 for a, b in zip(matrix, _matrix(fixed), strict=True)):
            return Gate(name)
    return _rotation_gate("Rn", rotation)


def _matrix(rotation: Rotation) -> Matrix:
    (x, y, z), cosine, sine = rotation.axis, math.cos(rotation.angle / 2), math.sin(rotation.angle / 2)
    phase = cmath.exp(1j * rotation.phase)
    return (
        phase * complex(cosine, -z * sine),
        phase * complex(-y * sine, -x * sine),
        phase * complex(y * sine, -x * sine),
        phase * complex(cosine, z * sine),
    )


def _matrix_of(name: str, parameters: list[float]) -> Matrix:
    if name in FIXED:
        return _matrix(FIXED[name])
    if name in _AXES:
        return _matrix(Rotation(_AXES[name], parameters[0], 0.0))
    if name == "Rn":
        x, y, z, angle, phase = parameters
        return _matrix(Rotation((x, y, z), angle, phase))
    theta, phi, lambda_ = parameters
    cosine, sine = math.cos(theta / 2), math.sin(theta / 2)
    return (
        complex(cosine),
        -cmath.exp(1j * lambda_) * sine,
        cmath.exp(1j * phi) * sine,
        cmath.exp(1j * (phi + lambda_)) * cosine,
    )


def _rotation_of(matrix: Matrix) -> Rotation:
    """The rotation of a unitary matrix whose eigenvalues have phases in (-pi, pi]."""
    phase = cmath.phase(matrix[0] * matrix[3] - matrix[1] * matrix[2]) / 2
    a, b, c, d = (element * cmath.exp(-1j * phase) for element in matrix)
    # Now cos(angle/2) I - i sin(angle/2) n.sigma; the vector below is sin(angle/2) n.
    vector = (-(b + c).imag / 2, (c - b).real / 2, (d - a).imag / 2)
    sine = math.hypot(*vector)
    half = math.atan2(sine, (a + d).real / 2)
    axis = (vector[0] / sine, vector[1] / sine, vector[2] / sine) if sine > 1e-12 else _Z
    low, high = _principal(phase - half), _principal(phase + half)
    return Rotation(axis, high - low, (high + low) / 2)


def _principal(phase: float) -> float:
    """The same phase in (-pi, pi]; rounding must not take what means pi to -pi."""
    phase = math.remainder(phase, math.tau)
    return phase + math.tau if phase < 1e-12 - math.pi else phase


def _principal_angle(angle: float, phase: float) -> float:
    """The angle of the same rotation when its eigenvalues' phases are in (-pi, pi]."""
    return _principal(phase + angle / 2) - _principal(phase - angle / 2)


def _principal_phase(angle: float, phase: float) -> float:
    return (_principal(phase + angle / 2) + _principal(phase - angle / 2)) / 2
