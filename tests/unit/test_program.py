"""Whatever leaves a sandbox as a program is checked without trusting any of it."""

from __future__ import annotations

import math
import struct
import sys

import pytest

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.program import GATES, MAX_OPERATIONS, Operation, Program, all_finite, check_program


def program(*operations: Operation, qubits=3, bits=2, slots=1) -> Program:
    return Program(qubits, bits, slots, operations)


@pytest.mark.parametrize(("name", "shape"), GATES.items())
def test_every_gate_is_taken_with_its_qubits_and_parameters(name, shape):
    qubits, params = shape
    check_program(program(Operation(name, tuple(range(qubits)), (0.5,) * params)))
    with pytest.raises(CircuitRejected, match=f"takes {qubits} qubits"):
        check_program(program(Operation(name, tuple(range(qubits + 1)), (0.5,) * params), qubits=4))
    with pytest.raises(CircuitRejected, match=f"takes {params} parameters"):
        check_program(program(Operation(name, tuple(range(qubits)), (0.5,) * (params + 1))))


@pytest.mark.parametrize(
    "operation",
    [
        Operation("Rx", (0,), (0,)),
        Operation("measure", (2,), bit=1),
        Operation("reset", (2,)),
        Operation("barrier", ()),
        Operation("barrier", (0, 1, 2)),
        Operation("wait", (0, 1), (10.0,)),
        Operation("wait", (), (0,)),
    ],
    ids=repr,
)
def test_what_is_right_is_taken(operation):
    check_program(program(operation))


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (Operation("HH", (0,)), "is not an operation"),
        (Operation("H", (3,)), "outside 0 to 2"),
        (Operation("H", (-1,)), "outside 0 to 2"),
        (Operation("CNOT", (1, 1)), "used twice"),
        (Operation("Rx", (0,), (1,)), "slot 1 does not exist"),
        (Operation("Rx", (0,), (-1,)), "slot -1 does not exist"),
        (Operation("Rx", (0,), (math.nan,)), "a parameter is nan"),
        (Operation("Rx", (0,), (math.inf,)), "a parameter is inf"),
        (Operation("H", (0,), bit=0), "only a measurement names a bit"),
        (Operation("measure", (0,)), "bit -1 is outside"),
        (Operation("measure", (0,), bit=2), "bit 2 is outside"),
        (Operation("measure", (0, 1), bit=0), "takes one qubit"),
        (Operation("reset", (0,), (1.0,)), "no parameter"),
        (Operation("barrier", (0, 1, 2, 0)), "qubits only"),
        (Operation("barrier", (0,), (1.0,)), "qubits only"),
        (Operation("wait", (0,)), "number of cycles"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_what_is_wrong_is_refused_by_its_number(operation, why):
    with pytest.raises(CircuitRejected, match=rf"operation 1 .*{why}"):
        check_program(program(Operation("H", (0,)), operation))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (program(qubits=0), "1 to 64 qubits"),
        (program(qubits=65), "1 to 64 qubits"),
        (program(bits=-1), "1024 bits"),
        (program(bits=1025), "1024 bits"),
        (program(slots=-1), "-1 parameters"),
        (program(slots=10**9), "1000000000 parameters"),
        (Program(1, 0, 0, (Operation("H", (0,)),) * (MAX_OPERATIONS + 1)), "at most 200000 operations"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sizes_beyond_all_bounds_are_refused(wrong, why):
    with pytest.raises(CircuitRejected, match=why):
        check_program(wrong)


def test_a_hostile_name_is_not_repeated_in_full():
    with pytest.raises(CircuitRejected) as caught:
        check_program(program(Operation("x" * 1_000_000, (0,))))
    assert len(str(caught.value)) < 200


# ------------------------------------------------------------------ observables


def observed(terms, *operations: Operation) -> Program:
    return Program(2, 0, 0, operations, terms)


def test_a_program_with_an_observable_needs_no_bits():
    check_program(observed(((0.5, "ZI"), (2.0, "YX")), Operation("H", (0,)), Operation("barrier", ())))


@pytest.mark.parametrize(
    ("terms", "operations", "why"),
    [
        (((1.0, "Z"),), (), "'Z' has 1 letters; the circuit has 2 qubits"),
        (((1.0, "AB"),), (), "letters I, X, Y and Z"),
        (((math.nan, "ZZ"),), (), "is nan"),
        (((1.0, "ZZ"),) * 10_001, (), "1 to 10000 terms"),
        (((1.0, "ZZ"),), (Operation("reset", (0,)),), r"operation 0 \(reset\): an observable"),
    ],
)
def test_an_observable_that_cannot_be_evaluated_is_refused(terms, operations, why):
    with pytest.raises(CircuitRejected, match=why):
        check_program(observed(terms, *operations))


@pytest.mark.parametrize("number", [0.0, -1.5, 5e-324, 2.0**1009, -(2.0**1015), sys.float_info.max])
def test_numbers_that_are_finite_are_told_from_others(number):
    assert all_finite(b"")
    assert all_finite(struct.pack("<3d", 0.25, number, -7.0))
    for other in (math.inf, -math.inf, math.nan, -math.nan):
        assert not all_finite(struct.pack("<3d", number, other, 0.25))
