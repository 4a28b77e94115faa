"""A circuit as numbers: the typed gate list that travels instead of text.

A `Program` is made once per circuit template, inside the sandbox of the user who wrote the text, and
checked again by everyone who receives it. Gate parameters are either constants (`float`) or the index
of a slot (`int`) that each execution fills with one float64. No parser runs outside the sandbox.
"""

from __future__ import annotations

import struct
from math import isfinite
from typing import Annotated

import msgspec

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.observable import MAX_TERMS, Terms, problem_of

MAX_QUBITS = 64
MAX_BITS = 1024
MAX_OPERATIONS = 200_000

# name -> (qubits, parameters). Angles are in radians. The matrices are those of the cQASM 3 standard
# gate set: Rn(nx, ny, nz, theta, phi) = exp(i phi) (cos(theta/2) I - i sin(theta/2) n.sigma),
# U(theta, phi, lambda) is the usual three-angle gate with U(theta, phi, lambda)[0, 0] real,
# CR(theta) = diag(1, 1, 1, exp(i theta)); CRn applies Rn to its second qubit where its first is 1.
GATES: dict[str, tuple[int, int]] = {
    "I": (1, 0),
    "H": (1, 0),
    "X": (1, 0),
    "Y": (1, 0),
    "Z": (1, 0),
    "S": (1, 0),
    "Sdag": (1, 0),
    "T": (1, 0),
    "Tdag": (1, 0),
    "X90": (1, 0),
    "mX90": (1, 0),
    "Y90": (1, 0),
    "mY90": (1, 0),
    "Rx": (1, 1),
    "Ry": (1, 1),
    "Rz": (1, 1),
    "Rn": (1, 5),
    "U": (1, 3),
    "CNOT": (2, 0),
    "CZ": (2, 0),
    "SWAP": (2, 0),
    "CR": (2, 1),
    "CRn": (2, 5),
    "TOFFOLI": (3, 0),
}
# Not gates: `measure` copies its qubit into its bit; `reset` puts its qubit into |0>; `barrier` and
# `wait` (parameter: cycles) order and time the others on a device and do nothing on an ideal emulator.
MEASURE, RESET, BARRIER, WAIT = "measure", "reset", "barrier", "wait"


class Operation(msgspec.Struct, frozen=True, array_like=True):
    """One line of a program.

    Attributes:
        name: A key of `GATES`, or `measure`, `reset`, `barrier`, `wait`.
        qubits: Indices into the program's qubits; for controlled gates the controls come first.
        params: One entry a parameter: a `float` is its value, an `int` the slot that holds it.
        bit: For `measure`, the index of the bit that takes the outcome; else -1.
    """

    name: str
    qubits: tuple[int, ...]
    params: tuple[int | float, ...] = ()
    bit: int = -1


class Program(msgspec.Struct, frozen=True, array_like=True):
    """A circuit template: operations on `qubits` qubits and `bits` bits with `slots` open parameters.

    With an `observable` its result is that observable's expectation value in the state that the operations make, and
    there are no measurements and resets among them; else the bits are its result.
    """

    qubits: int
    bits: int
    slots: int
    # The length is checked before the operations are decoded.
    operations: Annotated[tuple[Operation, ...], msgspec.Meta(max_length=MAX_OPERATIONS)]
    observable: Annotated[Terms, msgspec.Meta(max_length=MAX_TERMS)] = ()


def all_finite(values: bytes) -> bool:
    """Whether all of these numbers, float64 as they travel, are finite."""
    # The highest byte of each, its sign and most of its exponent, clears nearly all: what is neither infinite nor
    # none at all has all these bits set only from 2**1009 on.
    highest = values[7::8]
    if 0x7F not in highest and 0xFF not in highest:
        return True
    return all(map(isfinite, struct.unpack(f"<{len(values) // 8}d", values)))


def check_program(program: Program) -> None:
    """Refuse a program whose types, names, counts or ranges are wrong.

    It is called on whatever leaves a sandbox, so it trusts nothing and allocates nothing.

    Raises:
        CircuitRejected: naming the first operation that is wrong.
    """
    if not 1 <= program.qubits <= MAX_QUBITS:
        raise CircuitRejected(f"a circuit has 1 to {MAX_QUBITS} qubits, not {program.qubits}")
    if not 0 <= program.bits <= MAX_BITS:
        raise CircuitRejected(f"a circuit has at most {MAX_BITS} bits, not {program.bits}")
    if len(program.operations) > MAX_OPERATIONS:
        raise CircuitRejected(f"a circuit has at most {MAX_OPERATIONS} operations, not {len(program.operations)}")
    if not 0 <= program.slots <= 5 * MAX_OPERATIONS:
        raise CircuitRejected(f"a circuit cannot have {program.slots} parameters")
    for number, operation in enumerate(program.operations):
        problem = _problem(operation, program)
        if problem:
            raise CircuitRejected(f"operation {number} ({operation.name[:20]}): {problem}")
    if program.observable:
        _check_observable(program)


def _check_observable(program: Program) -> None:
    problem = problem_of(program.observable, program.qubits)
    if problem:
        raise CircuitRejected(problem)
    for number, operation in enumerate(program.operations):
        if operation.name in (MEASURE, RESET):
            raise CircuitRejected(f"operation {number} ({operation.name}): an observable is evaluated without it")


def _problem(operation: Operation, program: Program) -> str | None:
    name, qubits, params = operation.name, operation.qubits, operation.params
    if name in GATES:
        qubit_count, param_count = GATES[name]
        if len(qubits) != qubit_count:
            return f"takes {qubit_count} qubits, not {len(qubits)}"
        if len(params) != param_count:
            return f"takes {param_count} parameters, not {len(params)}"
    elif name in (MEASURE, RESET):
        if len(qubits) != 1 or params:
            return "takes one qubit and no parameter"
    elif name == BARRIER:
        if params or len(qubits) > program.qubits:
            return "takes qubits only"
    elif name == WAIT:
        if len(params) != 1 or len(qubits) > program.qubits:
            return "takes a number of cycles and qubits"
    else:
        return "is not an operation that backends know"
    if name == MEASURE:
        if not 0 <= operation.bit < program.bits:
            return f"bit {operation.bit} is outside 0 to {program.bits - 1}"
    elif operation.bit != -1:
        return "only a measurement names a bit"
    if any(not 0 <= qubit < program.qubits for qubit in qubits):
        return f"a qubit is outside 0 to {program.qubits - 1}"
    if len(set(qubits)) != len(qubits):
        return "the same qubit is used twice"
    for value in params:
        if isinstance(value, int):
            if not 0 <= value < program.slots:
                return f"parameter slot {value} does not exist"
        elif not isfinite(value):
            return f"a parameter is {value}"
    return None
