"""Texts that end libqasm's process, and garbage: the answer is always a program or CircuitRejected.

They run in a process of their own, because there a failure is a death.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys

HEADER = "version 3.0\nqubit[3] q\nbit[3] b\n"

_RUN = """
import json, sys
from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.program import check_program

compiler, outcomes = Compiler(), []
for text in json.load(sys.stdin):
    try:
        check_program(compiler.compile(Circuit(text, parameters={"t": 0.5, "s": [0.1, 2.0], "i": 1})).program)
        outcomes.append("")
    except CircuitRejected as error:
        outcomes.append(str(error))
json.dump(outcomes, sys.stdout)
"""


def _outcomes(texts: list[str]) -> list[str]:
    """For each text the reason it was refused for, empty where it was not."""
    run = subprocess.run(
        [sys.executable, "-c", _RUN], input=json.dumps(texts), capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    outcomes: list[str] = json.loads(run.stdout)
    assert len(outcomes) == len(texts)
    return outcomes


def test_texts_that_end_libqasms_process_are_refused():
    bodies = [
        "Rx(1/0) q",
        "Rx(1%0) q",
        "Rx((-9223372036854775807-1)/(-1)) q",
        "H q[1/0]",
        "H q[0:1%0]",
        "H q[0, 1/(1-1)]",
        "b[1/0] = measure q[0]",
        "qubit[1/0] r",
        "H q, 1/0",
        "H 1/0",
        "1/0",
        "1/0 = measure q",
        "reset 1/0",
        "wait(1/0) q",
        "pow(1/0).X q",
        "pow(1).pow(1/0).X q",
        "ctrl.Rx(1/0) q[0], q[1]",
        "CRk(1/0) q[0], q[1]",
        "measure(1/0, 0, 0) q",
        "b = measure(1/0, 0, 0) q",
        "X q[" + "(" * 100_000 + "0" + ")" * 100_000 + "]",
        "Rx(" + "-" * 100_000 + "1) q",
        "inv." * 100_000 + "X q",
        "H " + "(" * 100_000,
        "qubit[9223372036854775807] r",
        "H q[0:9223372036854775807]",
        "H q[9223372036854775807]",
        "asm(x) ''' \" } '''",
    ]
    whole = ["version 3.0", "version 3.0\nbit b\n", "version 3", "version 3.0;", "", "\0", "version 3.0\n\0"]
    outcomes = _outcomes([f"{HEADER}{body}\nb = measure q" for body in bodies] + whole)
    assert all(outcomes), [text for text, outcome in zip(bodies + whole, outcomes, strict=True) if not outcome]


def test_sources_of_megabytes_are_refused_cleanly():
    pieces = ["/*", "(", "1", "1.", "H q\n", "Rx(0.5) q;", "\n", "{t}", "q[0],", "inv.", "-", "#", "'''", "é"]
    (outcome,) = _outcomes([f"{HEADER}b = measure q\n" + "H q\n" * 2_500_000])
    assert "characters" in outcome
    outcomes = _outcomes([f"{HEADER}{piece * (100_000 // len(piece))}" for piece in pieces])
    assert all(outcomes)


_WORDS = re.findall(
    r"\S+",
    """
H X CNOT Rx Rn U CRk ctrl inv pow measure reset init barrier wait qubit bit version asm q b q[0] q[1] b[2] q[0:1]
0 1 2 3 7 0.5 -0.25 1e-3 1e999 9999999999999999999 pi tau nan true cos sqrt np.float64(0.5) {t} {s[0]} {s[9]} {i} {x}
( ) [ ] { } , . ; : = + - * / % ** << >> < == && || ^ ~ ! ? ' " # // /* */ ''' \\ @ $ é \u0663 \ud800 \0
( ) ( ) [ ] , , ; ;
""",
)
_STATEMENTS_3 = """\
H q
CNOT q[0], q[1]
Rx({t}) q[{i}]
Rx(0.5*pi) q
b[0] = measure q[1]
b = measure q
reset q
ctrl.pow(0.5).X q[0], q[1]
Rn(1, 0, 0, {s[1]}, 0) q
barrier q
wait(3) q
qubit[2] r
bit s
inv.U(1, 2, 3) q[0]
CRk(2) q[0], q[2]""".splitlines()
_STATEMENTS_1 = """\
h q[0]
cnot q[0], q[1]
rx q[{i}], {t}
rz q[0], 0.5*pi
measure q[1]
measure_all
prep_z q
measure_x q[1]
.a(2)
.b
{ x q[0] | y q[1] }
wait q[0], 3
map q[1], r
x r
toffoli q[0], q[1], q[2]
crk q[0], q[1], 2
display""".splitlines()


def _garbage(chance: random.Random) -> str:
    header, statements = chance.choice([(HEADER, _STATEMENTS_3), ("version 1.0\nqubits 3\n", _STATEMENTS_1)])
    lines = [chance.choice(statements) for _ in range(chance.randint(0, 5))]
    for _ in range(chance.choice([0, 0, 1, 2])):
        lines.insert(chance.randint(0, len(lines)), " ".join(chance.choices(_WORDS, k=chance.randint(1, 8))))
    text = header + chance.choice(["\n", ";"]).join(lines)
    for _ in range(chance.choice([0, 0, 1, 2])):
        place = chance.randint(0, len(text))
        text = text[:place] + chance.choice(["", chance.choice(_WORDS)]) + text[place + chance.randint(0, 3) :]
    return text


def test_random_garbage_is_compiled_or_refused_and_nothing_else():
    chance = random.Random(11)
    outcomes = _outcomes([_garbage(chance) for _ in range(3000)])
    # Enough of both, or this test has lost its point.
    assert outcomes.count("") > 100
    assert sum(outcome.startswith("line ") for outcome in outcomes) > 1500


def test_the_parser_is_loaded_by_the_first_circuit_that_needs_it():
    program = """
import sys
from hybrid_runtime.circuit import Circuit
from hybrid_runtime.languages.compiler import Compiler
Compiler().compile(Circuit("version 1.0; qubits 2; H q[0]; measure_all"))
assert not {"cqasm", "libqasm", "numpy"} & set(sys.modules)
Compiler().compile(Circuit("version 3.0; qubit q; bit b; b = measure q"))
assert "cqasm" in sys.modules
assert "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
