"""Circuits whose result is the value of an observable in place of measurements."""

from __future__ import annotations

import pytest

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.program import check_program

HEAD = "version 3.0\nqubit[2] q\nbit[2] b\n"
ZZ = ((1.0, "ZZ"),)


def names(text: str, observable="ZZ") -> list[str]:
    program = Compiler().compile(Circuit(text, observable=observable)).program
    check_program(program)
    assert program.observable
    return [operation.name for operation in program.operations]


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "H q",
        HEAD + "H q\nb = measure q",
        HEAD + "reset q\nH q\nb[0] = measure q[0]\nb[0] = measure q[0]",
        "version 1.0\nqubits 2\nprep_z q\nh q\nmeasure_all",
        "version 1.0\nqubits 2\nh q\nmeasure_x q[0]\nmeasure_y q[1]",
    ],
)
def test_measurements_at_the_end_may_be_there_or_not_and_change_nothing(text):
    assert names(text) == ["H", "H"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEAD + "H q\nb[0] = measure q[0]\nCNOT q[0], q[1]", "line 6.*follows a measurement"),
        (HEAD + "H q\nreset q[1]", "line 5.*in use before"),
        (HEAD + "b = measure q\nreset q[1]", "line 5.*in use before"),
    ],
)
def test_what_follows_a_measurement_is_refused(text, why):
    with pytest.raises(CircuitRejected, match=f"(?s){why}"):
        names(text)


def test_an_observable_has_one_letter_a_qubit():
    with pytest.raises(CircuitRejected, match="term 'ZZZ' has 3 letters; the circuit has 2 qubits"):
        names(HEAD + "H q", "ZZZ")


def test_each_observable_makes_a_program_of_its_own_that_is_parsed_once():
    compiler = Compiler()
    circuit = Circuit(HEAD + "Rx({a}) q", parameters=["a"])
    for value in (0.5, 0.7):
        bound = circuit.bind(a=value)
        compiled = [compiler.compile(one) for one in (bound.with_observable("ZZ"), bound.with_observable("XX"))]
        assert [one.program.observable for one in compiled] == [ZZ, ((1.0, "XX"),)]
        assert compiled[0].key != compiled[1].key
    assert compiler.statistics().parses == 2


def test_a_circuit_that_measures_nothing_has_no_result_without_one():
    with pytest.raises(CircuitRejected, match="measures nothing"):
        Compiler().compile(Circuit(HEAD + "H q"))
