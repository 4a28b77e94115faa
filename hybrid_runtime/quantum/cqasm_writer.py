"""Writes a program as cQASM text, for backends that take nothing else.

What a language has no word for is written as gates that do the same up to a global phase, which no
measurement sees. Results of such backends are counted by qubit or by bit; `Register` makes these one thing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from hybrid_runtime.program import BARRIER, MEASURE, RESET, WAIT, Operation, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# Gates that are written by their own name in both languages (in lower case in cQASM 1).
_COMMON = ("I", "H", "X", "Y", "Z", "S", "Sdag", "T", "Tdag", "X90", "mX90", "Y90", "mY90", "CNOT", "CZ", "SWAP")
_TURNS = ("Rx", "Ry", "Rz", "CR")


class Register(NamedTuple):
    """Where the bits of a program come from, when each qubit is measured into the bit of its own number.

    Attributes:
        program: The program with a bit for each qubit.
        sources: For each bit of the original program, the qubit that it was measured from; -1 for none.
    """

    program: Program
    sources: tuple[int, ...]

    def bits(self, by_qubit: str) -> str:
        """A result of the rewritten program as one of the original program, most significant bit left."""
        return "".join("0" if source < 0 else by_qubit[-1 - source] for source in reversed(self.sources))


def by_qubit(program: Program) -> Register:
    """Let each qubit be measured into its own bit. Only for programs that measure at their end."""
    sources = [-1] * program.bits
    operations: list[Operation] = []
    for operation in program.operations:
        if operation.name == MEASURE:
            (qubit,) = operation.qubits
            sources[operation.bit] = qubit
            operations.append(Operation(MEASURE, operation.qubits, (), qubit))
        else:
            operations.append(operation)
    return Register(Program(program.qubits, program.qubits, program.slots, tuple(operations)), tuple(sources))


def number(value: float) -> str:
    """A float that every cQASM reader takes: exact, and always with a point, as `1.0e-07`."""
    mantissa, separator, exponent = repr(float(value)).partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return mantissa + separator + exponent


# ------------------------------------------------------------------ cQASM 3


def write_cqasm3(program: Program, values: Sequence[float], *, timing: bool = True) -> str:
    """The program with its parameters as cQASM 3.0.

    Args:
        program: A checked program.
        values: One number a slot.
        timing: Whether `barrier` and `wait` are written.
    """
    lines = ["version 3.0", f"qubit[{program.qubits}] q"]
    if program.bits:
        lines.append(f"bit[{program.bits}] b")
    for operation in program.operations:
        if timing or operation.name not in (BARRIER, WAIT):
            lines += _lines3(operation, _parameters(operation, values))
    return "\n".join(lines) + "\n"


def _lines3(operation: Operation, parameters: Sequence[float]) -> Iterator[str]:
    name, qubits = operation.name, operation.qubits
    operands = ", ".join(f"q[{qubit}]" for qubit in qubits)
    written = f"({', '.join(map(number, parameters))})" if parameters else ""
    if name == MEASURE:
        yield f"b[{operation.bit}] = measure {operands}"
    elif name == WAIT:
        for qubit in qubits:
            yield f"wait({round(parameters[0])}) q[{qubit}]"
    elif name == BARRIER:
        if qubits:
            yield f"barrier q[{', '.join(map(str, qubits))}]"
    elif name == "TOFFOLI":
        for gate, places in _TOFFOLI:
            yield f"{gate} {', '.join(f'q[{qubits[place]}]' for place in places)}"
    elif name == "CRn":
        yield f"ctrl.Rn{written} {operands}"
    else:
        yield f"{name}{written} {operands}"


# The textbook circuit (Nielsen and Chuang, figure 4.9): controls 0 and 1, target 2.
_TOFFOLI: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("H", (2,)),
    ("CNOT", (1, 2)),
    ("Tdag", (2,)),
    ("CNOT", (0, 2)),
    ("T", (2,)),
    ("CNOT", (1, 2)),
    ("Tdag", (2,)),
    ("CNOT", (0, 2)),
    ("T", (1,)),
    ("T", (2,)),
    ("H", (2,)),
    ("CNOT", (0, 1)),
    ("T", (0,)),
    ("Tdag", (1,)),
    ("CNOT", (0, 1)),
)

# ------------------------------------------------------------------ cQASM 1


def write_cqasm1(program: Program, values: Sequence[float], *, timing: bool = True) -> str:
    """The program with its parameters as cQASM 1.0, where measuring a qubit sets the bit of the same number.

    Args:
        program: A checked program whose measurements do so; see `by_qubit`.
        values: One number a slot.
        timing: Whether `barrier` and `wait` are written.
    """
    lines = ["version 1.0", f"qubits {program.qubits}"]
    for operation in program.operations:
        if timing or operation.name not in (BARRIER, WAIT):
            lines += _lines1(operation, _parameters(operation, values))
    return "\n".join(lines) + "\n"


def _lines1(operation: Operation, parameters: Sequence[float]) -> Iterator[str]:
    name, qubits = operation.name, operation.qubits
    if name in _COMMON or name == "TOFFOLI":
        yield _gate1(name, qubits)
    elif name in _TURNS:
        yield _gate1(name, qubits, parameters[0])
    elif name in _BY_TURNS1:
        yield from _BY_TURNS1[name](qubits, parameters)
    elif name == MEASURE:
        yield _gate1("measure_z", qubits)
    elif name == RESET:
        yield _gate1("prep_z", qubits)
    elif name == BARRIER and qubits:
        yield f"barrier q[{','.join(map(str, qubits))}]"
    elif name == WAIT:
        for qubit in qubits:
            yield f"wait q[{qubit}], {round(parameters[0])}"


def _gate1(name: str, qubits: Sequence[int], angle: float | None = None) -> str:
    operands = [f"q[{qubit}]" for qubit in qubits]
    if angle is not None:
        operands.append(number(angle))
    return f"{name.lower()} {', '.join(operands)}"


def _u(qubits: Sequence[int], parameters: Sequence[float]) -> Iterator[str]:
    theta, phi, lambda_ = parameters
    yield _gate1("Rz", qubits, lambda_)
    yield _gate1("Ry", qubits, theta)
    yield _gate1("Rz", qubits, phi)


def _rn(qubits: Sequence[int], parameters: Sequence[float]) -> Iterator[str]:
    # Turn the axis to z, turn about z, turn it back.
    azimuth, polar = _direction(parameters)
    yield _gate1("Rz", qubits, -azimuth)
    yield _gate1("Ry", qubits, -polar)
    yield _gate1("Rz", qubits, parameters[3])
    yield _gate1("Ry", qubits, polar)
    yield _gate1("Rz", qubits, azimuth)


def _crn(qubits: Sequence[int], parameters: Sequence[float]) -> Iterator[str]:
    # As `_rn`, with a controlled turn about z in the middle; a controlled phase is a turn of the control.
    control, target = qubits
    azimuth, polar = _direction(parameters)
    angle, phase = parameters[3:]
    yield _gate1("Rz", (target,), -azimuth)
    yield _gate1("Ry", (target,), -polar)
    yield _gate1("Rz", (target,), angle / 2)
    yield _gate1("CNOT", (control, target))
    yield _gate1("Rz", (target,), -angle / 2)
    yield _gate1("CNOT", (control, target))
    yield _gate1("Ry", (target,), polar)
    yield _gate1("Rz", (target,), azimuth)
    yield _gate1("Rz", (control,), phase)


_BY_TURNS1: Mapping[str, Callable[[Sequence[int], Sequence[float]], Iterator[str]]] = {"U": _u, "Rn": _rn, "CRn": _crn}


def _direction(parameters: Sequence[float]) -> tuple[float, float]:
    """Azimuth and polar angle of the axis."""
    x, y, z = parameters[:3]
    return math.atan2(y, x), math.atan2(math.hypot(x, y), z)


def _parameters(operation: Operation, values: Sequence[float]) -> list[float]:
    return [values[entry] if isinstance(entry, int) else entry for entry in operation.params]
