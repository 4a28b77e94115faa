"""What is parsed once, what is a new program, and what is said when a parameter cannot be used."""

from __future__ import annotations

import random
import struct
import sys

import pytest

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.program import Operation

HEADER = "version 3.0\nqubit[2] q\nbit[2] b\n"
ANSATZ = HEADER + "Ry({t}) q[0]\nCNOT q[0], q[1]\nRz(2*{t} + {u}) q[1]\nb = measure q\n"


@pytest.fixture
def compiler():
    return Compiler()


# ------------------------------------------------------------------ templates


def test_a_template_is_parsed_once_whatever_is_bound(compiler, values):
    template = Circuit(ANSATZ, parameters=["t", "u"])
    results = [compiler.compile(template.bind(t=0.1 * step, u=1.0)) for step in range(100)]
    assert compiler.statistics() == (1, 99, 1)
    assert {result.key for result in results} == {0}
    assert results[7].program is results[0].program
    assert values(results[7]) == pytest.approx((0.7, 2.4))


def test_a_template_written_anew_each_time_is_parsed_once(compiler, values):
    results = [compiler.compile(Circuit(ANSATZ, parameters={"t": 0.1 * step, "u": 0.0})) for step in range(100)]
    assert compiler.statistics() == (1, 99, 1)
    assert values(results[3]) == pytest.approx((0.3, 0.6))


def test_values_are_little_endian_floats_one_a_slot(compiler):
    compiled = compiler.compile(Circuit(ANSATZ, parameters={"t": 0.25, "u": 1.0}))
    assert compiled.values == struct.pack("<2d", 0.25, 1.5)
    assert compiled.program.operations[0] == Operation("Ry", (0,), (0,))
    assert compiled.program.operations[2] == Operation("Rz", (1,), (1,))


def rows_of(compiler, circuits):
    """All circuits compiled as rows: the program's key, the values and how many circuits, of each call."""
    found, first = [], 0
    while first < len(circuits):
        compiled, rows = compiler.compile_rows(circuits, first)
        found.append((compiled.key, compiled.values, rows))
        first += rows
    return found


def test_rows_of_one_template_have_the_values_of_each_alone(compiler):
    template = Circuit(ANSATZ, parameters=["t", "u"])
    circuits = [template.bind(t=0.1 * row, u=1.0) for row in range(100)]
    values = b"".join(Compiler().compile(circuit).values for circuit in circuits)
    assert rows_of(compiler, circuits) == [(0, values, 100)]
    assert compiler.statistics() == (1, 99, 1)


def test_rows_end_where_another_template_or_other_settings_begin(compiler):
    one, other = Circuit(ANSATZ, parameters=["t", "u"]), Circuit(ANSATZ + "wait(1) q[0]", parameters=["t", "u"])
    fewer = one.with_shots(7)
    circuits = [template.bind(t=0.5, u=1.0) for template in (one, one, other, fewer, fewer, one)]
    assert [(key, rows) for key, _, rows in rows_of(compiler, circuits)] == [(0, 2), (1, 1), (0, 2), (0, 1)]


@pytest.mark.parametrize("runs", [(1, 1, 1), (7, 1, 9), (8, 40, 1), (30, 2, 200)])
def test_runs_of_any_length_end_where_they_end(compiler, runs):
    templates = [Circuit(ANSATZ + f"wait({number}) q[0]", parameters=["t", "u"]) for number in (1, 2)]
    chosen = [templates[number % 2] for number, length in enumerate(runs) for _ in range(length)]
    circuits = [template.bind(t=0.01 * row, u=1.0) for row, template in enumerate(chosen)]
    found = rows_of(compiler, circuits)
    assert [rows for _, _, rows in found] == [*runs]
    alone = Compiler()
    assert b"".join(values for _, values, _ in found) == b"".join(alone.compile(one).values for one in circuits)


@pytest.mark.parametrize("lengths", [(2, 2, 2), (2, 5, 3), (9, 9, 9)])
def test_sequences_may_be_longer_than_what_is_taken_of_them(compiler, lengths):
    template = Circuit(HEADER + "Rx({s[0]}) q[0]\nRy({s[1]}) q[1]\nb = measure q", parameters=["s"])
    circuits = [template.bind(s=[0.1 * length, 0.2, *[0.3] * (length - 2)]) for length in lengths]
    values = b"".join(struct.pack("<2d", 0.1 * length, 0.2) for length in lengths)
    assert rows_of(compiler, circuits) == [(0, values, 3)]


def test_rows_whose_numbers_choose_the_program_are_compiled_one_by_one(compiler):
    template = Circuit(HEADER + "X q[{k}]\nb = measure q", parameters=["k"])
    circuits = [template.bind(k=row % 2) for row in range(4)]
    assert [(key, rows) for key, _, rows in rows_of(compiler, circuits)] == [(0, 1), (1, 1), (0, 1), (1, 1)]


@pytest.mark.parametrize(
    "wrong", [{"t": None}, {"t": float("nan")}, {"t": [0.1]}, {"u": float("inf")}, {"t": 1e308, "u": 1e308}]
)
def test_rows_end_before_one_that_is_refused_which_is_then_named(compiler, wrong):
    template = Circuit(ANSATZ, parameters=["t", "u"])
    good = template.bind(t=0.5, u=1.0)
    circuits = [good, good, good.bind(**wrong), good]
    assert compiler.compile_rows(circuits, 0)[1] == 2
    with pytest.raises(CircuitRejected) as alone:
        Compiler().compile(circuits[2])
    with pytest.raises(CircuitRejected) as among:
        compiler.compile_rows(circuits, 2)
    assert str(among.value) == str(alone.value)
    assert compiler.compile_rows(circuits, 3)[1] == 1


@pytest.mark.parametrize(
    "text", ["Rx({s[1]}) q[0]\nRy({s[0]}) q[1]", "Rx({t}) q", "Rx({t} + {s[0]}) q[0]\nRy({s[1]}) q"]
)
def test_rows_take_numbers_and_elements_of_sequences(compiler, text):
    template = Circuit(HEADER + text + "\nb = measure q", parameters={"s": None, "t": 0.0})
    circuits = [template.bind(s=(0.1 * row, -1.0, 5.0), t=0.2 * row) for row in range(7)]
    values = b"".join(Compiler().compile(circuit).values for circuit in circuits)
    assert rows_of(compiler, circuits) == [(0, values, 7)]


def test_a_parameter_used_twice_is_one_slot(compiler, values):
    text = HEADER + "Rx({t}) q[0]\nRx({t}) q[1]\nRx({s[1]}) q[0]\nRx({s[0]}) q[1]\nRx({s[1]}) q\nb = measure q"
    compiled = compiler.compile(Circuit(text, parameters={"t": 0.5, "s": [1.0, 2.0]}))
    assert compiled.program.slots == 3
    assert values(compiled) == (0.5, 2.0, 1.0)


def test_numerals_of_a_template_are_constants(compiler):
    text = HEADER + "Rx(0.25) q[0]\nRy({t}) q[0]\nb = measure q"
    compiled = compiler.compile(Circuit(text, parameters={"t": 0.5}))
    assert compiled.program.slots == 1
    assert compiled.program.operations[0].params == (0.25,)


def test_numerals_of_a_template_that_turn_out_to_vary_become_open(compiler, values):
    text = HEADER + "Rx(%r) q[0]\nRy({t}) q[0]\nb = measure q"
    results = [compiler.compile(Circuit(text % (0.01 * step - 0.5), parameters={"t": 0.5})) for step in range(100)]
    assert compiler.statistics() == (2, 98, 2)
    assert values(results[-1]) == pytest.approx((0.49, 0.5))


def test_parameters_of_one_circuit_may_be_numbers_and_sequences(compiler, values):
    text = HEADER + "Rx({s[1]}) q[0]\nRx({t}) q[0]\nRx({r[0]}) q[1]\nRx({s[0]}) q[1]\nb = measure q"
    template = Circuit(text, parameters=["s", "t", "r"])
    for shift in (0.0, 10.0):
        compiled = compiler.compile(template.bind(s=[1.0 + shift, 2.0], t=3, r=(4.0 + shift,)))
        assert values(compiled) == (2.0, 3.0, 4.0 + shift, 1.0 + shift)
    assert compiler.statistics().parses == 1


def test_a_parameter_that_is_not_used_needs_no_value(compiler):
    compiler.compile(Circuit(HEADER + "Rx({t}) q\nb = measure q", parameters={"t": 0.5, "spare": None}))


def test_shots_are_no_part_of_a_program(compiler):
    circuit = Circuit(HEADER + "Rx({t}) q\nb = measure q", parameters={"t": 0.5})
    assert compiler.compile(circuit).key == compiler.compile(circuit.with_shots(7)).key


# ------------------------------------------------------------------ plain texts


def test_a_plain_text_whose_angles_change_a_thousand_times_is_parsed_once(compiler, values):
    for step in range(1000):
        a, b = 0.01 * step - 5.0, 1e-9 * step
        compiled = compiler.compile(Circuit(f"{HEADER}Rx({a}) q[0] // step {step}\nU({b}, {-b}, 1.0) q\nb = measure q"))
        assert values(compiled) == (a, b, -b, 1.0)
    # At step 0, `0.0` and `-0.0` are written like any other angle.
    assert compiler.statistics() == (1, 999, 1)


def test_texts_that_differ_in_more_than_numerals_are_other_programs(compiler):
    texts = [
        HEADER + "Rx(0.5) q[0]\nb = measure q",
        HEADER + "Rx(0.5) q[1]\nb = measure q",
        HEADER + "Ry(0.5) q[0]\nb = measure q",
        HEADER + "Rx(2*0.5) q[0]\nb = measure q",
        HEADER + "Rx(2) q[0]\nb = measure q",
        HEADER + "Rx(3) q[0]\nb = measure q",
        "version 1.0\nqubits 2\nrx q[0], 0.5\nmeasure_all",
    ]
    assert [compiler.compile(Circuit(text)).key for text in texts] == list(range(7))
    assert [compiler.compile(Circuit(text)).key for text in texts] == list(range(7))
    assert compiler.statistics() == (7, 7, 7)


def test_a_version_written_with_other_blanks_is_still_the_version(compiler):
    for _ in range(2):
        assert compiler.compile(Circuit("version  3.0\nqubit q\nbit b\nRx(0.5) q\nb = measure q")).key == 0
        with pytest.raises(CircuitRejected, match=r"version 2\.0 is not known"):
            compiler.compile(Circuit("version  2.0\nqubit q\nbit b\nRx(0.5) q\nb = measure q"))
        with pytest.raises(CircuitRejected, match="expected `qubits`"):
            compiler.compile(Circuit("version  1.0\nqubit q\nbit b\nRx(0.5) q\nb = measure q"))


def test_a_text_that_is_wrong_is_refused_each_time(compiler):
    good = HEADER + "Rx(0.5) q\nb = measure q"
    for _ in range(2):
        compiler.compile(Circuit(good))
        with pytest.raises(CircuitRejected, match="line 4, column 4: 1e999 is too large"):
            compiler.compile(Circuit(good.replace("0.5", "1e999")))
        with pytest.raises(CircuitRejected, match="unexpected '#'"):
            compiler.compile(Circuit(good + " # comment"))


def test_placeholders_of_others_are_left_alone(compiler):
    with pytest.raises(CircuitRejected, match=r"line 4, column 4: 'u' is not among the circuit's parameters \(t\)"):
        compiler.compile(Circuit(HEADER + "Rx({u}) q\nb = measure q", parameters={"t": 1.0}))
    with pytest.raises(CircuitRejected, match=r"write {t} or {t\[0\]}, without spaces"):
        compiler.compile(Circuit(HEADER + "Rx({ t }) q\nb = measure q", parameters={"t": 1.0}))


def test_the_language_of_a_circuit_may_be_said_and_has_to_be_right(compiler):
    text = HEADER + "H q\nb = measure q"
    compiler.compile(Circuit(text, language="cqasm3"))
    with pytest.raises(CircuitRejected, match="said to be cqasm1"):
        compiler.compile(Circuit(text, language="cqasm1"))


def _filled(compiled, numbers):
    """The operations with their slots filled in."""
    program = compiled.program
    return [
        (each.name, each.qubits, tuple(numbers[p] if isinstance(p, int) else p for p in each.params), each.bit)
        for each in program.operations
    ]


def test_a_known_skeleton_gives_the_same_circuit_as_parsing_anew(compiler, values):
    chance = random.Random(3)

    def number():
        return chance.choice(["{:.3f}", "{!r}", "{:.2e}", "-{:.1f}", " {:+.2f}"]).format(chance.uniform(-4, 4))

    shapes = [
        "Rx({}) q",
        "Rx({}*{}) q[0]",
        "Rx(pi - {}) q[0]",
        "Rx(2/{} + {}**2) q[0]",
        "U({},{}, {}) q",
        "ctrl.U({}, {}, {}) q[0], q[1]",
        "pow({}).T q[0]",
        "ctrl.pow({}).Rz({}) q[0], q[1]",
        "Rn({}, 1.5, {}, {}, {}) q // {}",
        "inv.Rn(0, 1, 0, {}, {}) q /* {} */; CR(-{}) q[0], q[1]",
        "CNOT q[0], q[1]",
    ]
    for _ in range(60):
        body = "\n".join(chance.choices(shapes, k=3))
        for _ in range(5):
            text = HEADER + body.format(*(number() for _ in range(body.count("{}")))) + "\nb = measure q"
            known, anew = compiler.compile(Circuit(text)), Compiler().compile(Circuit(text))
            assert _filled(known, values(known)) == _filled(anew, values(anew)), text
    parses, hits, _ = compiler.statistics()
    assert hits > 0
    assert parses > 60


# ------------------------------------------------------------------ structural numbers


def test_an_index_that_varies_makes_one_program_for_each_value(compiler):
    template = Circuit(HEADER + "Rx({t}) q[{i}]\nb = measure q", parameters=["t", "i"])
    for step in range(20):
        compiled = compiler.compile(template.bind(t=0.1 * step, i=step % 2))
        assert compiled.key == step % 2
        assert compiled.program.operations[0].qubits == (step % 2,)
        assert compiled.values == struct.pack("<d", 0.1 * step)
    assert compiler.statistics() == (2, 18, 2)


def test_a_size_that_varies_makes_one_program_for_each_value(compiler):
    template = Circuit("version 3.0\nqubit[{n}] q\nbit[{n}] b\nH q\nb = measure q", parameters=["n"])
    assert [compiler.compile(template.bind(n=n)).program.qubits for n in (2, 5, 2)] == [2, 5, 2]
    assert compiler.statistics().parses == 2


@pytest.mark.parametrize(
    ("statement", "parses"),
    [
        ("pow({p}).X q", 2),
        ("wait({p}) q", 3),
        ("CRk({p}) q[0], q[1]", 3),
        ("pow({p}).U(0.1, 0.2, 0.3) q", 3),
        ("b[0] = measure({p}, 0, 1) q[0]", 3),
        ("Rx({p}) q", 2),
    ],
)
def test_numbers_in_structural_places_choose_the_program(compiler, statement, parses):
    compiler.compile(Circuit(HEADER + "X q\nb = measure q"))
    template = Circuit(f"{HEADER}{statement}\nb = measure q", parameters=["p"])
    for value in (1, 3, 1, 3):
        compiler.compile(template.bind(p=value))
    assert compiler.statistics().parses == parses


def test_numerals_in_structural_places_choose_the_program(compiler):
    names = {}
    for exponent in (0.5, 0.25, 0.5, 1.0):
        compiled = compiler.compile(Circuit(f"{HEADER}pow({exponent}).Z q[0]\nRx({exponent}) q[0]\nb = measure q"))
        names[exponent] = compiled.program.operations[0].name
        assert compiled.values == struct.pack("<d", exponent)
    assert names == {0.5: "S", 0.25: "T", 1.0: "Z"}
    assert compiler.statistics().parses == 3


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, 1e300])
def test_an_index_that_is_no_index_is_refused(compiler, value):
    template = Circuit(HEADER + "X q[{i}]\nb = measure q", parameters=["i"])
    compiler.compile(template.bind(i=1))
    with pytest.raises(CircuitRejected, match=r"line 4, column [35]: (an )?index"):
        compiler.compile(template.bind(i=value))


# ------------------------------------------------------------------ parameters that cannot be used


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "line 4, column 4: parameter 't' has no value; give it one by bind(t=...)"),
        ({"t": float("nan"), "s": [1.0]}, "line 4, column 4: parameter 't' is nan, which is not a finite number"),
        ({"t": float("-inf"), "s": [1.0]}, "parameter 't' is -inf"),
        ({"t": 1.0}, "line 5, column 6: parameter 's' has no value"),
        ({"t": 1.0, "s": [float("inf")]}, "line 5, column 6: parameter 's' is inf"),
        ({"t": 1.0, "s": []}, "parameter 's' has 0 values: there is none at index 0"),
        ({"t": 1.0, "s": 2.0}, "parameter 's' is one number: write {s} without an index"),
        ({"t": [1.0, 2.0], "s": [1.0]}, "parameter 't' has 2 values: write {t[0]} for the first"),
        ({"t": 0.0, "s": [1.0]}, "line 6, column 4: division by zero"),
        ({"t": 1e-309, "s": [1.0]}, "line 6, column 4: the expression is inf, which is not a finite number"),
        ({"t": -1.0, "s": [1.0]}, "line 7, column 4: the expression has no real value"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named_with_its_place(compiler, warm, parameters, says):
    template = Circuit(
        HEADER + "Rx({t}) q\nRx(2*{s[0]}) q\nRx(1.0/{t}) q\nRx(sqrt({t})) q\nb = measure q", parameters=["t", "s"]
    )
    if warm:
        compiler.compile(template.bind(t=1.0, s=[1.0]))
    with pytest.raises(CircuitRejected) as caught:
        compiler.compile(template.bind(**parameters))
    assert says in str(caught.value)
    compiler.compile(template.bind(t=1.0, s=[1.0]))
    assert compiler.statistics().size == 1


def test_finite_numbers_with_an_infinite_sum_are_accepted(compiler, values):
    template = Circuit(HEADER + "Rx({t}) q[0]\nRx({u}) q[1]\nb = measure q", parameters=["t", "u"])
    for _ in range(2):
        compiled = compiler.compile(template.bind(t=1.7e308, u=1.7e308))
        assert (compiled.key, values(compiled)) == (0, (1.7e308, 1.7e308))


def test_a_circuit_sent_from_deep_in_a_recursion_is_refused_not_broken():
    circuit = Circuit(HEADER + "Rx((((1.0)))) q\nb = measure q")

    def descend(levels):
        return Compiler().compile(circuit) if levels == 0 else descend(levels - 1)

    reasons = []
    for levels in range(sys.getrecursionlimit() - 300, sys.getrecursionlimit(), 3):
        try:
            descend(levels)
        except CircuitRejected as error:
            reasons.append(str(error))
        except RecursionError:
            break  # not even the compiler was reached
    assert reasons
    assert all("recursion" in reason for reason in reasons)


# ------------------------------------------------------------------ what is kept


def _text(index):
    return Circuit(f"{HEADER}Rx({index}) q\nb = measure q")


def test_the_program_not_used_for_longest_is_dropped_and_its_key_reported():
    compiler = Compiler(max_programs=2)
    assert [compiler.compile(_text(index)).key for index in (0, 1, 0, 2)] == [0, 1, 0, 2]
    assert compiler.take_evicted() == [1]
    assert compiler.take_evicted() == []
    # It comes back under another key, so that nobody confuses it with what was forgotten.
    assert compiler.compile(_text(1)).key == 3
    assert compiler.take_evicted() == [0]
    assert compiler.statistics().size == 2


def test_large_programs_count_for_more():
    compiler = Compiler(max_weight=500)
    large = Circuit("version 3.0\nqubit[60] q\nbit b\n" + "H q\n" * 7 + "b = measure q[0]")
    compiler.compile(_text(0))
    assert compiler.compile(large).key == 1
    assert compiler.compile(_text(1)).key == 2
    assert compiler.take_evicted() == []
    assert compiler.compile(Circuit(large.source + "\nX q")).key == 3
    assert compiler.take_evicted() == [0, 1]


def test_one_program_larger_than_the_limit_is_kept_until_the_next():
    compiler = Compiler(max_weight=1)
    assert [compiler.compile(_text(index)).key for index in (0, 0, 1)] == [0, 0, 1]
    assert compiler.take_evicted() == [0]


def test_templates_and_structural_programs_are_dropped_like_others():
    compiler = Compiler(max_programs=3)
    templates = [
        Circuit(f"{HEADER}X q[{{i}}]\nRx({index}*{{t}}) q\nb = measure q", parameters=["i", "t"]) for index in range(4)
    ]
    keys = [compiler.compile(template.bind(i=i, t=0.5)).key for _ in range(3) for template in templates for i in (0, 1)]
    assert keys == list(range(24))
    assert compiler.take_evicted() == list(range(21))
    assert compiler.statistics().size == 3
    # What is still there is still found.
    assert compiler.compile(templates[3].bind(i=1, t=0.25)).key == 23


def test_many_plain_texts_leave_a_bounded_memory():
    compiler = Compiler(max_programs=10)
    for index in range(200):
        compiler.compile(_text(index))
        compiler.compile(Circuit(f"{HEADER}Rx({index}.5*{{t}}) q[{index % 2}]\nb = measure q", parameters={"t": 0.1}))
    assert compiler.statistics().size == 10
    assert len(compiler.take_evicted()) == compiler.statistics().parses - 10


def test_a_compiler_is_quiet_about_programs_it_still_has(compiler):
    for index in range(50):
        compiler.compile(_text(index))
    assert compiler.take_evicted() == []
