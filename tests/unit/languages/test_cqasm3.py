"""cQASM 3 statements, and what is said about those that cannot be read."""

from __future__ import annotations

import math

import pytest

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages import libqasm3
from hybrid_runtime.program import Operation

HEADER = "version 3.0\nqubit[3] q\nbit[3] b\n"


def program_of(compiled, text):
    return compiled(text).program


def test_a_bell_circuit(compiled):
    program = program_of(compiled, "version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\nCNOT q[0], q[1]\nb = measure q\n")
    assert (program.qubits, program.bits, program.slots) == (2, 2, 0)
    assert program.operations == (
        Operation("H", (0,)),
        Operation("CNOT", (0, 1)),
        Operation("measure", (0,), (), 0),
        Operation("measure", (1,), (), 1),
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("H q", [("H", (0,)), ("H", (1,)), ("H", (2,))]),
        ("X q[0:1]", [("X", (0,)), ("X", (1,))]),
        ("X q[2, 0]", [("X", (2,)), ("X", (0,))]),
        ("X q[0, 1:2]", [("X", (0,)), ("X", (1,)), ("X", (2,))]),
        ("X q[0, 0]", [("X", (0,)), ("X", (0,))]),
        ("X q[1+1]", [("X", (2,))]),
        ("X q[5/3]", [("X", (1,))]),
        ("CNOT q[0, 1], q[1, 2]", [("CNOT", (0, 1)), ("CNOT", (1, 2))]),
        ("SWAP q[2], q[0]", [("SWAP", (2, 0))]),
        ("CZ q[0],q[2]; H q[1];;", [("CZ", (0, 2)), ("H", (1,))]),
        ("H q[0] // H q[1]\n/* H q[1]\n*/ H q[2]", [("H", (0,)), ("H", (2,))]),
        ("H /* here */ q[0]\t", [("H", (0,))]),
        ("H q[0]\r\nX q[1]", [("H", (0,)), ("X", (1,))]),
    ],
)
def test_one_statement_may_apply_to_many_qubits(operations, body, expected):
    assert [row[:2] for row in operations(body)] == expected


def test_registers_lie_one_after_the_other_in_the_order_they_are_declared(compiled):
    program = program_of(
        compiled,
        "version 3.0\nqubit a\nbit x\nqubit[2] q\nbit[2] b\nX a\nCNOT q[0], q[1]\nx = measure q[1]\nqubit z\n"
        "b = measure q\nH z\nbit late\nlate = measure z",
    )
    assert (program.qubits, program.bits) == (4, 4)
    assert program.operations == (
        Operation("X", (0,)),
        Operation("CNOT", (1, 2)),
        Operation("measure", (2,), (), 0),
        Operation("measure", (1,), (), 1),
        Operation("measure", (2,), (), 2),
        Operation("H", (3,)),
        Operation("measure", (3,), (), 3),
    )


@pytest.mark.parametrize(
    ("statement", "pairs"),
    [
        ("b[2] = measure q[0]", [(0, 2)]),
        ("b = measure q", [(0, 0), (1, 1), (2, 2)]),
        ("b[0, 2] = measure q[2, 1]", [(2, 0), (1, 2)]),
        ("b[1:2] = measure q[0:1]", [(0, 1), (1, 2)]),
        ("b[0] = measure q[0]; b[1] = measure q[0]", [(0, 0), (0, 1)]),
        ("b[0] = measure q[0]; b[0] = measure q[1]", [(0, 0), (1, 0)]),
        ("b[0] = measure(0, 0, 2) q[1]", [(1, 0)]),
    ],
)
def test_a_measurement_goes_into_the_bit_that_it_names(compiled, statement, pairs):
    operations = program_of(compiled, HEADER + statement).operations
    assert [(operation.qubits[0], operation.bit) for operation in operations] == pairs


def test_a_qubit_measured_along_an_axis_is_turned_back_before_it_is_used_again(compiled):
    once = program_of(compiled, HEADER + "b[0] = measure(1, 0, 0) q[0]").operations
    assert [operation.name for operation in once] == ["Rn", "measure"]
    again = program_of(compiled, HEADER + "b[0] = measure(1, 0, 0) q[0]\nb[1] = measure q[0]").operations
    assert [operation.name for operation in again] == ["Rn", "measure", "Rn", "measure"]
    assert again[2].params == tuple(-number if index > 2 else number for index, number in enumerate(again[0].params))


def test_a_reset_forgets_the_axis(compiled):
    operations = program_of(compiled, HEADER + "b[0] = measure(1, 0, 0) q[0]\nreset q[0]\nX q[0]").operations
    assert [operation.name for operation in operations] == ["Rn", "measure", "reset", "X"]


def test_a_reset_of_an_untouched_qubit_changes_nothing_and_is_left_out(operations):
    assert operations("init q\nreset q\nbarrier q[0]\nwait(1) q[0]\nreset q[0]") == [
        ("barrier", (0,), ()),
        ("wait", (0,), (1.0,)),
    ]
    assert operations("X q[0]\nreset q[0:1]\ninit q[0]") == [("X", (0,), ()), ("reset", (0,), ()), ("reset", (0,), ())]


def test_a_barrier_is_one_operation_and_a_wait_one_for_each_qubit(operations):
    assert operations("barrier q[0, 2, 0]") == [("barrier", (0, 2), ())]
    assert operations("wait(3*2) q[0, 2]") == [("wait", (0,), (6.0,)), ("wait", (2,), (6.0,))]


def test_names_of_functions_may_be_names_of_registers(compiled):
    program = program_of(compiled, "version 3.0\nqubit cos\nbit sin\nRx(cos(0)) cos\nsin = measure cos")
    assert program.operations[0] == Operation("Rx", (0,), (1.0,))


def test_parameters_may_be_integers_and_booleans(operations):
    assert operations("Rx(1) q[0]; Rx(true) q[1]") == [("Rx", (0,), (1.0,)), ("Rx", (1,), (1.0,))]
    assert operations("CRk(true) q[0], q[1]") == [("CR", (0, 1), (math.pi,))]


def test_a_program_is_read_in_parts_but_is_one_program(compiled):
    # More statements than libqasm is given at once, with declarations on both sides of the cut.
    text = HEADER + "Rx(0.5) q[0]\nCNOT q[0], q[1]\n" * 1200 + "qubit late\nX late\n" + "Rz(-0.25) q[2]\n" * 700
    result = compiled(text + "b = measure q")
    assert len(result.program.operations) == 2400 + 1 + 700 + 3
    assert result.program.operations[2400] == Operation("X", (3,))
    with pytest.raises(CircuitRejected, match="line 3106, column 3: index 3 is outside the register"):
        compiled(text + "X q[3]\nb = measure q")
    with pytest.raises(CircuitRejected, match="line 3106, column 7: the name 'q' is taken already"):
        compiled(text + "qubit q\nb = measure q")
    with pytest.raises(CircuitRejected, match="line 4, column 3: nothing is declared with the name 'late'"):
        compiled(HEADER + "X late\n" + text.removeprefix(HEADER))


# ------------------------------------------------------------------ messages

STATEMENTS = {
    "HH q[0]": (1, "unknown gate 'HH'; did you mean H?"),
    "h q[0]": (1, "unknown gate 'h'; did you mean H?"),
    "cnot q[0], q[1]": (1, "unknown gate 'cnot'; did you mean CNOT?"),
    "cx q[0], q[1]": (1, "unknown gate 'cx'; did you mean CNOT?"),
    "TOFFOLI q[0], q[1], q[2]": (1, "unknown gate 'TOFFOLI'; cQASM 3.0 has none"),
    "measure_all": (1, "unknown gate 'measure_all'; write `b = measure q`"),
    "measureall q": (1, "unknown gate 'measureall'; did you mean measure?"),
    "qubits 2": (8, "unexpected number '2'"),
    "hadamard q[0]": (1, "unknown gate 'hadamard'; did you mean H?"),
    "if q": (1, "unknown gate 'if'; cQASM 3.0 has no control flow"),
    "measure q": (1, "a measurement names the bit for its outcome: write b[0] = measure q[0]"),
    "b = measure": (12, "this is not a cQASM 3 statement"),
    "b[0] = measure q": (8, "there are not as many bits as qubits"),
    "q[0] = measure q[1]": (8, "measure cannot be applied to (qubit, qubit)"),
    "b[0] = measure(1, 0) q[0]": (8, "measure does not take 2 parameters"),
    "b[0] = measure(0, 0.0, 0) q[0]": (16, "the axis (0.0, 0.0, 0.0) has no direction"),
    "H": (2, "this is not a cQASM 3 statement"),
    "H q[0": (6, "expected ',', ':' or ']' after an index of q, but the line ends here"),
    "H q[0]]": (7, "expected ',' or the end of the statement, not ']'"),
    "H q[]": (5, "expected a number, not ']'"),
    "H q[3]": (3, "index 3 is outside the register, which has size 3"),
    "H q[-1]": (5, "an index cannot be -1"),
    "H q[0.0]": (5, "an index is a whole number, not 0.0"),
    "H q[1/0]": (5, "division by zero"),
    "H q[2:1]": (3, "a range goes from its lower to its higher index"),
    "H q[0:99999999]": (15, "the range 0:99999999 is larger than any register may be"),
    "H r[0]": (3, "nothing is declared with the name 'r'; declared are b, q"),
    "H qq": (3, "nothing is declared with the name 'qq'; did you mean q?"),
    "H b": (1, "H cannot be applied to (bit array)"),
    "H q[0], q[1]": (1, "H cannot be applied to (qubit, qubit)"),
    "CNOT q[0], q[0]": (1, "the gate is applied to the same qubit twice"),
    "ctrl.I q[1], q[1]": (1, "the gate is applied to the same qubit twice"),
    "CNOT q[0, 1], q[2]": (1, "the operands have different numbers of qubits"),
    "ctrl.ctrl.X q[0], q[1]": (1, "inv, pow and ctrl apply to one-qubit gates only"),
    "inv.CNOT q[0], q[1]": (1, "inv, pow and ctrl apply to one-qubit gates only"),
    "Rx q[0]": (1, "Rx takes 1 parameter, not 0"),
    "Rx(1, 2) q[0]": (1, "Rx takes 1 parameter, not 2"),
    "U(1) q[0]": (1, "U takes 3 parameters, not 1"),
    "X(1) q[0]": (1, "X takes no parameters, not 1"),
    "pow.X q[0]": (4, "this is not a cQASM 3 statement"),
    "Rx() q[0]": (4, "expected a number, not ')'"),
    "Rx(1.0 q[0]": (8, "expected ',' or ')' after a parameter of Rx, not 'q'"),
    "Rx q[0], 0.5": (10, "unexpected number '0.5'; parameters follow the gate's name: Rx(0.5) ..."),
    "CRk(1.5) q[0], q[1]": (1, "CRk does not take a float for a parameter"),
    "CRk(-5000) q[0], q[1]": (5, "CRk(-5000) is an angle too large for a float"),
    "wait(1.5) q": (1, "wait does not take a float for a parameter"),
    "wait(-1) q": (1, "wait takes a number of cycles from 0, not -1"),
    "barrier q[0], q[1]": (13, "this is not a cQASM 3 statement"),
    "reset b": (1, "reset cannot be applied to (bit array)"),
    "qubit q": (7, "the name 'q' is taken already"),
    "qubit pi": (7, "the name 'pi' is taken already"),
    "qubit[2] reset": (10, "'reset' is a word of cQASM and no name"),
    "qubit[0] r": (7, "a register's size cannot be 0"),
    "qubit[1+1] r": (7, "a register's size is one number, without arithmetic"),
    "qubit[62] r": (1, "a circuit has at most 64 qubits, not 65"),
    "bit[99999] r": (1, "a circuit has at most 1024 bits, not 100002"),
    "Rx({t}) q[0]": (4, "'t' is not among the circuit's parameters (it has none)"),
    "H {q}": (3, "'q' is not among the circuit's parameters (it has none)"),
    "H q[0] }": (8, "expected ',' or the end of the statement, not '}'"),
    "asm(x) ''' H ''' ": (1, "asm blocks are code for one device"),
    "''' x '''": (1, "unexpected ''' text"),
    "''' x ": (1, "this ''' text does not end"),
    "/* x ": (1, "expected a name, not '/'"),
    "X q[0] # comment": (8, "unexpected '#': in cQASM 3 a comment begins with //"),
    "version 3.0": (1, "the version is stated once, in the first line"),
    "= q": (1, "this is not a cQASM 3 statement"),
    "(X) q": (1, "expected a name, not '('"),
    "7": (1, "expected a name, not '7'"),
    "q": (2, "this is not a cQASM 3 statement"),
    "X q[0] q[1]": (8, "this is not a cQASM 3 statement"),
    "X.inv q[0]": (2, "this is not a cQASM 3 statement"),
    "inv." * 100 + "X q[0]": (204, "a gate has at most 50 modifiers"),
}


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement[:30])
def test_what_cannot_be_read_is_explained_at_its_place(compiled, statement):
    column, problem = STATEMENTS[statement]
    with pytest.raises(CircuitRejected) as caught:
        compiled(f"{HEADER}H q[0]\n  {statement}\nb = measure q\n")
    place, _, rest = str(caught.value).partition(": ")
    assert (place, rest.splitlines()[0][: len(problem)]) == (f"line 5, column {column + 2}", problem)
    assert statement.rstrip()[:20] in rest


def test_a_place_is_that_of_the_users_text_also_behind_comments_and_placeholders(compiled):
    with pytest.raises(CircuitRejected, match="line 5, column 58: index 9 is outside"):
        compiled(
            HEADER + "/* a\n comment */ Rx({theta} + 0.123456789*2) q[0]; CNOT q[0], q[9]\nb = measure q", theta=1.0
        )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version 3.0", "the circuit declares no qubits"),
        ("version 3.0\nbit b\n", "the circuit measures nothing"),
        ("version 3.0\nH q\n", "the circuit declares no qubits; begin with `qubit\\[2\\] q`"),
        ("version 3.0\nqubit q\nH q\n", "measures nothing, so it has no result; add `b = measure q`"),
        ("version 3.0 qubit q", "line 1, column 13: expected a new line or ';' after the version, not 'qubit'"),
        ("version 3.0\nqubit\n", "line 2, column 6: this is not a cQASM 3 statement"),
    ],
)
def test_a_program_without_qubits_or_measurements_is_refused(compiled, text, says):
    with pytest.raises(CircuitRejected, match=says):
        compiled(text)


def test_too_many_operations_are_refused_where_they_become_too_many(compiled):
    with pytest.raises(CircuitRejected, match=r"line 3129, column 1: a circuit has at most 200000 operations"):
        compiled("version 3.0\nqubit[64] q\nbit b\n" + "X q\n" * 4000)


def test_libqasm_understands_the_whole_of_what_it_learns_from():
    assert libqasm3.learn()
