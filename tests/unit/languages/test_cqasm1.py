"""The subset of cQASM 1.0."""

from __future__ import annotations

import math

import pytest

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.program import Operation

HEADER = "version 1.0\nqubits 3\n"


@pytest.fixture
def rows(compiled, values):
    """Operations of statements before a final `measure q[2]`, as (name, qubits, parameters)."""

    def run(body, **parameters):
        result = compiled(f"{HEADER}{body}\nmeasure q[2]\n", **parameters)
        filled = values(result)
        return [
            (each.name, each.qubits, tuple(filled[p] if isinstance(p, int) else p for p in each.params))
            for each in result.program.operations[:-1]
        ]

    return run


def test_the_one_line_example_of_the_first_hybrid_runtimes(compiled):
    program = compiled("version 1.0; qubits 2; H q[0]; measure_all").program
    assert (program.qubits, program.bits) == (2, 2)
    assert program.operations == (
        Operation("H", (0,)),
        Operation("measure", (0,), (), 0),
        Operation("measure", (1,), (), 1),
    )


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (spelled, name)
        for name in ("I", "H", "X", "Y", "Z", "S", "Sdag", "T", "Tdag", "X90", "Y90", "mX90", "mY90")
        for spelled in (name.lower(), name)
    ],
)
def test_gates_are_known_in_any_case(rows, statement, name):
    assert rows(f"{statement} q[1]") == [(name, (1,), ())]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("rx q[0], 0.5", ("Rx", (0,), (0.5,))),
        ("RY Q[1], -pi/2", ("Ry", (1,), (-math.pi / 2,))),
        ("rz q[0], 1/2", ("Rz", (0,), (0.5,))),
        ("cnot q[0], q[1]", ("CNOT", (0, 1), ())),
        ("CZ q[1],q[0]", ("CZ", (1, 0), ())),
        ("swap q[0], q[1]", ("SWAP", (0, 1), ())),
        ("cr q[0], q[1], 1e-7", ("CR", (0, 1), (1e-7,))),
        ("crk q[0], q[1], 2", ("CR", (0, 1), (math.pi / 2,))),
        ("toffoli q[0], q[1], q[2]", ("TOFFOLI", (0, 1, 2), ())),
        ("wait q[0], 3", ("wait", (0,), (3.0,))),
        ("barrier q[0, 2]", ("barrier", (0, 2), ())),
        ("barrier", ("barrier", (0, 1, 2), ())),
    ],
)
def test_gates_with_parameters_and_operands(rows, statement, expected):
    assert rows(statement) == [expected]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("x q[0:2]", [("X", (0,)), ("X", (1,)), ("X", (2,))]),
        ("x q[2,0]", [("X", (2,)), ("X", (0,))]),
        ("x q", [("X", (0,)), ("X", (1,)), ("X", (2,))]),
        ("cnot q[0:1], q[1:2]", [("CNOT", (0, 1)), ("CNOT", (1, 2))]),
        ("{ x q[0] | y q[1] | h q[2] }", [("X", (0,)), ("Y", (1,)), ("H", (2,))]),
        ("{\n  x q[0]\n  | y q[1]\n}\nh q[0]", [("X", (0,)), ("Y", (1,)), ("H", (0,))]),
        ("map q[1], data\nx data\nX DATA", [("X", (1,)), ("X", (1,))]),
        ("x q[0] # comment\n# x q[1]\ndisplay\ndisplay_binary b[0]; y q[0]", [("X", (0,)), ("Y", (0,))]),
        ("skip 2", [("wait", (0,)), ("wait", (1,)), ("wait", (2,))]),
        ("prep_z q; prep q[0]\nx q[0]\nprep_z q[0]", [("X", (0,)), ("reset", (0,))]),
        ("prep_x q[0]", [("H", (0,))]),
        ("prep_y q[0]", [("H", (0,)), ("S", (0,))]),
        ("x q[0]\n.part\ny q[0]\n.other(2)\nz q[0]", [("X", (0,)), ("Y", (0,)), ("Z", (0,)), ("Z", (0,))]),
    ],
)
def test_statements_for_many_qubits_bundles_names_and_subcircuits(compiled, body, expected):
    operations = compiled(f"{HEADER}{body}\n.end\nmeasure q[2]\n").program.operations
    assert [(each.name, each.qubits) for each in operations[:-1]] == expected


def test_a_subcircuit_that_runs_again_finds_its_qubits_used(compiled):
    # The first preparation changes nothing, the second one does.
    operations = compiled(f"{HEADER}.loop(2)\nprep_z q[0]\nry q[0], 0.5*2\nmeasure q[0]").program.operations
    assert [each.name for each in operations] == ["Ry", "measure", "reset", "Ry", "measure"]
    assert operations[0].params == operations[3].params


def test_a_subcircuit_that_does_nothing_ends_however_often_it_runs(rows):
    assert rows(".idle(1000000000000)\ndisplay\n.end") == []


def test_a_measured_qubit_sets_the_bit_of_its_number(compiled):
    program = compiled(f"{HEADER}measure q[2]\nmeasure_z q[0]\nmeasure_x q[1]").program
    assert program.bits == 3
    assert [(each.qubits[0], each.bit) for each in program.operations if each.name == "measure"] == [
        (2, 2),
        (0, 0),
        (1, 1),
    ]


def test_measure_x_and_y_turn_their_axis_to_z(compiled, matrix):
    import numpy as np

    for name, pauli in (("measure_x", "X"), ("measure_y", "Y")):
        turn = compiled(f"{HEADER}{name} q[0]").program.operations[0]
        gate = matrix(turn.name, turn.params)
        assert np.allclose(gate @ matrix(pauli) @ gate.conj().T, matrix("Z"))


def test_angles_and_indices_take_placeholders(rows):
    assert rows("rx q[{i}], 2*{t}", i=1, t=0.25) == [("Rx", (1,), (0.5,))]


STATEMENTS = {
    "hadamard q[0]": (1, "unknown gate 'hadamard'; did you mean h?"),
    "measureall": (1, "unknown gate 'measureall'; did you mean measure_all?"),
    "cx q[0], q[1]": (1, "unknown gate 'cx'; did you mean cnot?"),
    "measure_w q[0]": (1, "unknown gate 'measure_w'; did you mean measure"),
    "qubits 2": (1, "unknown gate 'qubits'"),
    "x q[3]": (5, "there is no qubit 3: the circuit has 3"),
    "x q[-1]": (5, "there is no qubit -1: the circuit has 3"),
    "x q[0.5]": (5, "an index is a whole number, not 0.5"),
    "x q[2:1]": (6, "a range goes from its lower to its higher index"),
    "x r[0]": (3, "'r' is no qubit; write q[0]"),
    "x 0": (3, "expected a qubit, such as q[0], not '0'"),
    "x": (2, "expected a qubit, such as q[0], but the line ends here"),
    "x q[0": (6, "expected ']' after the indices, but the line ends here"),
    "x q[0] q[1]": (8, "expected the end of the statement, not 'q'"),
    "cnot q[0]": (10, "expected ',' and 2 operands of cnot, but the line ends here"),
    "cnot q[1], q[1]": (1, "the gate is applied to the same qubit twice"),
    "cnot q[0:1], q[2]": (1, "the operands have different numbers of qubits"),
    "rx q[0]": (8, "expected ',' and the parameter of rx, but the line ends here"),
    "rx(0.5) q[0]": (3, "expected a qubit, such as q[0], not '('"),
    "rx q[0], nan": (10, "the angle is nan, which is not a finite number"),
    "rx q[0], 1/0": (10, "division by zero"),
    "crk q[0], q[1], 0.5": (17, "crk takes an integer"),
    "cond(b[0]) x q[1]": (1, "gates that depend on a measurement of the same shot are not supported"),
    "c-x b[0], q[1]": (1, "gates that depend on a measurement of the same shot are not supported"),
    "not b[0]": (1, "gates that depend on a measurement of the same shot are not supported"),
    "map b[0], out": (5, "names for bits are not supported"),
    "map q[0], 1": (11, "expected a name, not '1'"),
    "error_model depolarizing_channel, 0.01": (1, "error_model is not supported: noise belongs to the backend"),
    "{ x q[0] | y q[0] }": (14, "statements in parallel use the same qubit"),
    "x q[0] // comment": (8, "expected the end of the statement, not '/'"),
    "// comment": (1, "expected a gate (in cQASM 1 a comment begins with #), not '/'"),
    ".5": (1, "expected a gate, not '.5'"),
    ".": (2, "expected a subcircuit's name, but the line ends here"),
    ".loop(1.5)": (7, "how often a subcircuit runs is a whole number, not 1.5"),
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_what_cannot_be_read_is_explained_at_its_place(compiled, statement):
    column, problem = STATEMENTS[statement]
    with pytest.raises(CircuitRejected) as caught:
        compiled(f"{HEADER}h q[0]\n  {statement}\nmeasure_all\n")
    place, _, rest = str(caught.value).partition(": ")
    assert (place, rest.splitlines()[0][: len(problem)]) == (f"line 4, column {column + 2}", problem)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version 1.0\nx q[0]", "line 2, column 1: expected `qubits` and how many the circuit has, not 'x'"),
        ("version 1.0\nqubits 0", "a circuit has at least 1 qubit, not 0"),
        ("version 1.0\nqubits 65", "a circuit has at most 64 qubits, not 65"),
        ("version 1.0\nqubits two", "'two' is not a number"),
        ("version 1.0 qubits 2", "expected a new line or ';' after the version, not 'qubits'"),
        ("version 1.0\nqubits 2\nx q[0]", "measures nothing, so it has no result; add `measure_all`"),
        ("version 1.0\nqubits 2\n.a(0)\nmeasure_all", "a subcircuit runs at least once, not 0 times"),
        ("version 1.0\nqubits 2\n{ x q[0]\nmeasure_all", "expected '}' or '|' after a statement that runs in parallel"),
        ("version 1.0\nqubits 2\n.a(1000000000)\nx q[0]\nmeasure_all", "a circuit has at most 200000 operations"),
    ],
)
def test_programs_that_are_wrong_as_a_whole(compiled, text, says):
    with pytest.raises(CircuitRejected) as caught:
        compiled(text)
    assert says in str(caught.value)
