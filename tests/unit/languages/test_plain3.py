"""What is read without libqasm is what libqasm reads, and nothing that it refuses is read without it."""

from __future__ import annotations

import itertools
import random
import string

import pytest

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages import plain3
from hybrid_runtime.languages.gates import FIXED
from hybrid_runtime.languages.inputs import Inputs
from hybrid_runtime.languages.libqasm3 import Problem, analyze
from hybrid_runtime.languages.messages3 import _GATES
from hybrid_runtime.languages.source import Source, detect
from hybrid_runtime.languages.statements3 import Statement, Statements
from hybrid_runtime.languages.tokens import Cursor

HEADER = "version 3.0\nqubit[3] q\nbit[3] b\nqubit[2] r2\nbit[2] c\n"
OPERANDS = ["q", "q[0]", "q[2]", "q[3]", "q[0:1]", "q[0, 1]", "r2", "r2[1]", "b", "b[1]", "c", "zz"]
PLAIN = {*FIXED, "Rx", "Ry", "Rz", "CNOT", "CZ", "CR", "SWAP", "reset", "init", "barrier"}
PARAMETERS = ["", "(0.5)", "(1)", "(0.5, 2.0)"]


def statements_of(text: str) -> list[Statement]:
    source = Source(text)
    language, start = detect(source, None)
    circuit = Circuit(text)
    inputs = Inputs(source, [], circuit.parameters, None)
    return Statements(Cursor(source, start, language, circuit.template.names), inputs).read(10_000)


def both(text: str) -> tuple[object, object]:
    """What is said of a text here and by libqasm."""
    statements = statements_of(text)
    lines = "\n".join(["version 3.0", *(statement.text for statement in statements), ""])
    return plain3.instructions(statements), analyze(lines)


def assert_alike(text: str) -> bool:
    """Whether a text is plain; it must be read alike then."""
    here, there = both(text)
    if here is not None:
        assert not isinstance(there, Problem), (text, there.message)
        assert here == there
    return here is not None


@pytest.mark.parametrize("gate", sorted({*_GATES, "HH", "h", "cnot", "measure_all"} - {"qubit", "bit", "measure"}))
def test_gates_are_read_alike_whatever_they_are_given(gate):
    given = [" ".join(one) for one in itertools.product(PARAMETERS, OPERANDS)]
    given += [f"{p} {a}, {o}" for p in PARAMETERS[:3] for a, o in itertools.product(OPERANDS, OPERANDS)]
    given += ["", " q[0] q[1]", " q, q, q", "(0.5)", " q[0],", ".X q[0]", " = q"]
    plain = 0
    for rest in given:
        try:
            statements_of(f"{HEADER}{gate}{rest}\n")
        except CircuitRejected:
            continue
        plain += assert_alike(f"{HEADER}{gate}{rest}\n")
    assert (plain > 0) == (gate in PLAIN)


def test_measurements_are_read_alike_whatever_they_are_given():
    plain = 0
    for bits, qubits in itertools.product(OPERANDS, OPERANDS):
        plain += assert_alike(f"{HEADER}{bits} = measure {qubits}\n")
    assert plain == 5
    for statement in ["b = measure(1, 0, 0) q", "b = reset q", "b = q", "b, c = measure q", "b = measure q, r2"]:
        assert not assert_alike(f"{HEADER}{statement}\n")


@pytest.mark.parametrize("kind", ["qubit", "bit"])
def test_declarations_are_read_alike_whatever_their_name(kind):
    names = [*string.ascii_letters, "qr", "q_1", "q0", "a_b", "_a", "pi", "tau", "eu", "im", "sin", "qubits", "bits"]
    names += ["results", "if", "for", "gate", "def", "int", "float", "bool", "true", "version", "asm"]
    names += [*_GATES, "log10", "atan2", "x90"]
    for name in names:
        try:
            text = f"version 3.0\n{kind}[2] {name}\nqubit[2] qq_0\n"
            statements_of(text)
        except CircuitRejected:
            continue
        assert_alike(text)
    assert assert_alike(f"version 3.0\n{kind}[2] a\nqubit[2] q\n")
    assert not assert_alike(f"version 3.0\n{kind}[2] a\nqubit[2] a\n")
    assert not assert_alike(f"version 3.0\n{kind} a\nqubit[2] q\n")
    assert not assert_alike("version 3.0\nqubit[2] q\nH r\nqubit[2] r\n")


@pytest.mark.parametrize(
    "statement", ["H q[0]", "H q", "Rx(0.5) q[2]", "Rz(1) q", "CNOT q[0], q[1]", "CR(0.5) q[1], r2[0]", "b = measure q"]
)
def test_what_most_circuits_consist_of_is_plain(statement):
    assert assert_alike(f"{HEADER}{statement}\n")


def test_many_parameters_come_back_as_they_went_in():
    body = "".join(f"Rx({number}.5) q[{number % 3}]\n" for number in range(3000))
    assert assert_alike(f"version 3.0\nqubit[3] q\n{body}")


def test_words_in_any_order_are_read_alike():
    draw = random.Random(5)
    words = ["H", "Rx", "CNOT", "q", "r2", "b", "c", "[0]", "[1]", "(0.5)", ",", "=", "measure", "reset", "qubit"]
    plain = 0
    for _ in range(3000):
        text = f"{HEADER}{' '.join(draw.choices(words, k=draw.randint(1, 6)))}\n"
        try:
            statements_of(text)
        except CircuitRejected:
            continue
        plain += assert_alike(text)
    assert plain > 0
