from __future__ import annotations

import ast
import textwrap

from hybrid_runtime.cli.circuit_texts import circuit_texts
from hybrid_runtime.cli.sources import Module

HEAD = "from hybrid_runtime import Circuit\n"


def texts(text):
    return list(circuit_texts(Module("a.py", ast.parse(HEAD + textwrap.dedent(text)))))


def only(text):
    (found,) = texts(text)
    return found


def test_whatever_is_given_to_circuit_is_one():
    found = only("c = Circuit('nonsense')")
    assert (found.source, found.line, found.certain) == ("nonsense", 2, True)


def test_a_text_that_starts_with_a_version_and_measures_is_one():
    found = only('x = """\n// a comment\nversion 3.0\nqubit q\nbit b\nb = measure q\n"""\n')
    assert (found.line, found.lines_match) == (2, True)
    assert only("x = 'version 1.0; qubits 2; measure_all'").source.startswith("version 1.0")


def test_parts_of_circuits_and_other_texts_are_left_alone():
    assert texts("x = 'version 3.0\\nqubit[2] q\\n'") == []
    assert texts("x = 'version 3.0 measure ' + y") == []
    assert texts("x = 'version 3.0 measure {}'.format(3)") == []
    assert texts("x = 'version 2 of a text'") == []
    assert texts("def f():\n    'version 3.0 docstring with measure'\n") == []


def test_constants_that_are_added_up_are_one_circuit():
    found = only("A = 'version 3.0\\n'\nB = A + 'qubit q\\n'\nc = Circuit(B + 'bit b\\nb = measure q')")
    assert found.source == "version 3.0\nqubit q\nbit b\nb = measure q"
    assert not found.lines_match


def test_a_name_that_changes_is_not_followed():
    assert texts("A = 'version 3.0'\nA = 'version 1.0'\nc = Circuit(A)") == []
    assert texts("A = B + 'x'\nB = A + 'y'\nc = Circuit(A)") == []


def test_angles_and_indices_of_an_f_string_get_numbers():
    found = only("c = Circuit(f'version 3.0\\nRx({x}) q[{i}]\\nCNOT q[{i}], q[{i + 1}]')")
    assert found.source == "version 3.0\nRx(0.5) q[0]\nCNOT q[0], q[1]"
    assert found.certain


def test_sizes_of_an_f_string_get_a_number_that_makes_errors_doubtful():
    found = only("c = Circuit(f'version 3.0\\nqubit[{n}] q\\nbit[{n}] b')")
    assert found.source == "version 3.0\nqubit[32] q\nbit[32] b"
    assert not found.certain


def test_an_f_string_that_inserts_statements_is_left_alone():
    assert texts("c = Circuit(f'version 3.0\\n{gates}\\nb = measure q')") == []
    assert texts("c = Circuit(f'version 3.0\\nR{axis}(0.1) q[0]')") == []


def test_a_constant_in_an_f_string_is_inserted():
    assert only("A = 'H q'\nc = Circuit(f'version 3.0\\n{A}\\n')").source == "version 3.0\nH q\n"


def test_declared_parameters_get_numbers():
    assert only("c = Circuit('Rx({t}) q[0]', parameters=['t', 'u'])").parameters == {"t": 0.5, "u": 0.5}
    assert only("c = Circuit('Rx({t}) q[0]', parameters={'t': None})").parameters == {"t": 0.5}
    assert only("c = Circuit('Rx({t}) q[0]')").parameters == {}


def test_parameters_that_are_not_spelt_out_are_taken_from_the_text():
    found = only("c = Circuit('Rx({t[2]}) q[{i}]', parameters=names)")
    assert found.parameters == {"t": [0.5, 0.5, 0.5], "i": 0.0}


def test_the_language_is_kept():
    assert only("c = Circuit('x', language='cqasm1')").language == "cqasm1"


def test_names_under_which_circuit_is_imported_are_known():
    module = Module("a.py", ast.parse("import hybrid_runtime as hr\nc = hr.Circuit('x')\nd = Circuit('y')"))
    assert [found.source for found in circuit_texts(module)] == ["x"]
