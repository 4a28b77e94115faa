from __future__ import annotations

import threading
from array import array
from collections import Counter
from math import inf, pi, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_runtime.errors import BackendFailed, BackendTimeout, CircuitRejected, InvalidInput
from hybrid_runtime.program import GATES, Operation, Program, check_program
from hybrid_runtime.protocol.messages import derive_seed
from hybrid_runtime.protocol.results import each
from hybrid_runtime.quantum.driver import Batch, ProgramHandle
from hybrid_runtime.quantum.drivers import qulacs
from hybrid_runtime.quantum.drivers.qulacs import QulacsDriver
from hybrid_runtime.quantum.drivers.qulacs_circuit import QulacsCircuit


def gate(name, *qubits, params=()):
    return Operation(name, qubits, params)


def measure(qubit, bit):
    return Operation("measure", (qubit,), (), bit)


def reset(qubit):
    return Operation("reset", (qubit,))


@pytest.fixture(scope="module")
def driver():
    made = QulacsDriver(max_qubits=20)
    yield made
    made.close()


# ------------------------------------------------------------------ the bit register


@pytest.mark.parametrize(
    ("bits", "operations", "key"),
    [
        pytest.param(3, (gate("X", 0), measure(0, 2)), "100", id="a bit is not its qubit"),
        pytest.param(4, (gate("X", 1), measure(1, 0), measure(2, 3)), "0001", id="bits 0 and 3 of qubits 1 and 2"),
        pytest.param(2, (gate("X", 0), measure(0, 1), measure(1, 0)), "10", id="crossed"),
        pytest.param(3, (gate("X", 0),), "000", id="nothing is measured"),
        pytest.param(0, (gate("X", 0),), "", id="no register"),
        pytest.param(3, (gate("X", 1), measure(1, 0), measure(1, 2)), "101", id="one qubit in two bits"),
        pytest.param(1, (gate("X", 1), measure(0, 0), measure(1, 0)), "1", id="the last measurement of a bit stays"),
        pytest.param(1, (gate("X", 0), measure(0, 0), measure(1, 0)), "0", id="also when the last one reads 0"),
        pytest.param(2, (gate("X", 0), measure(0, 0), gate("X", 0), measure(0, 1)), "01", id="before and after a gate"),
        pytest.param(2, (gate("X", 0), reset(0), measure(0, 0), gate("X", 0), measure(0, 1)), "10", id="after a reset"),
        pytest.param(2, (gate("X", 0), measure(0, 0), reset(0), measure(0, 1)), "01", id="before and after a reset"),
        pytest.param(
            1, (gate("X", 1), measure(1, 0), gate("X", 1), measure(1, 0)), "0", id="a bit written before and after"
        ),
        pytest.param(70, (gate("X", 0), measure(0, 69)), "1" + "0" * 69, id="more bits than a machine word"),
    ],
)
def test_counts_are_keyed_by_the_bit_register(driver, run_one, bits, operations, key):
    program = Program(3, bits, 0, operations)
    check_program(program)
    assert run_one(driver, program, shots=10, raw=True).counts == {key: 10}
    assert run_one(driver, program, shots=10, raw=True).raw == [key] * 10


def test_only_qubits_with_gates_take_memory(driver, run_one):
    program = Program(60, 60, 0, (gate("X", 59), measure(59, 59), measure(0, 0)))
    assert run_one(driver, program).counts == {"1" + "0" * 59: 1024}


# ------------------------------------------------------------------ statistics


def test_a_bell_pair_gives_equal_bits_half_the_time_each(driver, run_one, bell):
    counts = run_one(driver, bell, shots=100_000, seeds=[2024]).counts
    assert counts.keys() == {"00", "11"}
    assert abs(counts["00"] - 50_000) <= 5 * sqrt(100_000 / 4)


@pytest.mark.parametrize("angle", [0.0, pi / 7, pi / 2, 2.5, pi])
def test_a_turn_of_a_qubit_shows_in_its_counts(driver, run_one, agrees, reference, angle):
    program = Program(1, 1, 1, (gate("Ry", 0, params=(0,)), measure(0, 0)))
    counts = run_one(driver, program, shots=100_000, values=[angle]).counts
    assert agrees(counts, reference.distribution(program, [angle]))


def test_a_qubit_measured_between_two_hadamards_is_random_both_times(driver, run_one, agrees):
    program = Program(1, 2, 0, (gate("H", 0), measure(0, 0), gate("H", 0), measure(0, 1)))
    counts = run_one(driver, program, shots=40_000).counts
    assert agrees(counts, dict.fromkeys(("00", "01", "10", "11"), 0.25))


def test_a_measurement_that_is_overwritten_still_disturbs(driver, run_one, agrees):
    program = Program(1, 1, 0, (gate("H", 0), measure(0, 0), gate("H", 0), measure(0, 0)))
    assert agrees(run_one(driver, program, shots=40_000).counts, {"0": 0.5, "1": 0.5})


def test_resetting_half_of_a_bell_pair_leaves_the_other_half_random(driver, run_one, agrees):
    operations = (gate("H", 0), gate("CNOT", 0, 1), reset(0), gate("X", 0), measure(0, 0), measure(1, 1))
    counts = run_one(driver, Program(2, 2, 0, operations), shots=40_000).counts
    assert agrees(counts, {"01": 0.5, "11": 0.5})


def test_each_of_many_measurements_in_the_middle_may_go_its_own_way(driver, run_one):
    # 30 coin tosses of one qubit: nearly every shot has a history of its own.
    operations = [step for bit in range(30) for step in (gate("H", 0), measure(0, bit))]
    result = run_one(driver, Program(1, 30, 0, tuple(operations)), shots=500, raw=True)
    assert sum(result.counts.values()) == 500
    assert len(result.counts) > 490
    ones = sum(key.count("1") * count for key, count in result.counts.items())
    assert abs(ones - 7500) <= 5 * sqrt(15_000 / 4)


PARAMETERS = (0.4, 1.3, -2.1)


@st.composite
def programs(draw):
    """Programs on three qubits and bits with every operation there is, in any order."""
    operations = []
    for _ in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from([*GATES, "measure", "reset", "measure", "reset", "barrier"]))
        width, parameters = GATES.get(name, (1, 0))
        qubits = tuple(draw(st.permutations(range(3)))[:width])
        slots = draw(st.lists(st.sampled_from([0, 1, 2, 0.7, -1.9]), min_size=parameters, max_size=parameters))
        bit = draw(st.integers(0, 2)) if name == "measure" else -1
        operations.append(Operation(name, qubits, tuple(slots), bit))
    return Program(3, 3, 3, tuple(operations))


@given(program=programs(), seed=st.integers(0, 2**31 - 1))
def test_counts_of_any_program_follow_its_exact_distribution(driver, run_one, reference, agrees, program, seed):
    check_program(program)
    counts = run_one(driver, program, shots=3000, seeds=[seed], values=PARAMETERS).counts
    assert sum(counts.values()) == 3000
    assert agrees(counts, reference.distribution(program, PARAMETERS))


# ------------------------------------------------------------------ seeds, rows and raw shots


def split_by_measurement(program):
    """The same circuit with a measurement in the middle."""
    return Program(
        program.qubits,
        program.bits,
        program.slots,
        (gate("H", 0), measure(0, 0), *program.operations),
    )


SHAPES = [pytest.param(lambda program: program, id="sampled"), pytest.param(split_by_measurement, id="branched")]
SIZES = [pytest.param(1, 500, id="few outcomes"), pytest.param(9, 500, id="more outcomes than shots")]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("qubits", "shots"), SIZES)
def test_rows_of_a_batch_equal_single_executions_of_the_same_seeds(
    driver, run_one, batch, ladder, shape, qubits, shots
):
    program = shape(ladder(qubits))
    seeds = [derive_seed(77, row) for row in range(5)]
    values = [0.1 * number for number in range(5 * qubits)]
    rows = list(driver.execute(batch(program, shots, seeds=seeds, values=values)))
    singles = [
        run_one(driver, program, shots, seeds=[seed], values=values[row * qubits : (row + 1) * qubits], raw=True)
        for row, seed in enumerate(seeds)
    ]
    assert [row.counts for row in rows] == [single.counts for single in singles]
    assert [row.seed for row in rows] == seeds
    assert len({tuple(row.counts.items()) for row in rows}) == 5


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("qubits", "shots"), SIZES)
def test_raw_shots_add_up_to_the_counts_without_raw(driver, run_one, ladder, shape, qubits, shots):
    program = shape(ladder(qubits))
    words = {"seeds": [5], "values": [0.3] * qubits}
    plain = run_one(driver, program, shots, **words)
    raw = run_one(driver, program, shots, raw=True, **words)
    assert plain.raw is None
    assert raw.counts == plain.counts
    assert {key: raw.raw.count(key) for key in raw.raw} == plain.counts
    assert raw.raw != sorted(raw.raw)


def test_a_new_driver_gives_the_same_counts_for_the_same_seed(driver, run_one, ladder):
    words = {"seeds": [9], "values": [0.3] * 6}
    run_one(driver, ladder(4), values=[0.1] * 4)
    assert run_one(QulacsDriver(), ladder(6), **words).counts == run_one(driver, ladder(6), **words).counts


def test_results_tell_what_was_done(driver, run_one, bell):
    result = run_one(driver, bell, shots=100, seeds=[42])
    assert (result.shots_done, result.seed) == (100, 42)
    assert result.duration_s > 0


# ------------------------------------------------------------------ what is refused, and what ends early


def test_more_qubits_than_allowed_are_refused(run_one, ladder):
    with pytest.raises(CircuitRejected, match="5 qubits; this emulator takes 4"):
        run_one(QulacsDriver(max_qubits=4), ladder(5), values=[0.0] * 5)


def test_measurements_in_the_middle_are_refused_where_their_states_do_not_fit(run_one, ladder, monkeypatch):
    monkeypatch.setattr(qulacs, "available_bytes", lambda: 1 << 18)
    small = QulacsDriver(max_qubits=10)
    values = [0.1] * 10
    assert run_one(small, ladder(10), values=values).shots_done == 1024
    with pytest.raises(CircuitRejected, match="MiB"):
        run_one(small, Program(10, 10, 10, ladder(10).operations * 15), values=values)


def test_more_outcomes_than_a_message_holds_are_refused(driver, run_one, monkeypatch, ladder):
    monkeypatch.setattr(qulacs, "MAX_MESSAGE_BYTES", 1000)
    with pytest.raises(CircuitRejected, match="different outcomes"):
        run_one(driver, ladder(10), values=[0.3] * 10)


@pytest.mark.parametrize("max_qubits", [0, 35, 2.5, "12"])
def test_a_number_of_qubits_that_cannot_be_is_refused(max_qubits):
    with pytest.raises(InvalidInput, match="max_qubits"):
        QulacsDriver(max_qubits=max_qubits)


@pytest.mark.parametrize("threads", [0, 257, 1.5, "2"])
def test_a_number_of_threads_that_cannot_be_is_refused(threads):
    with pytest.raises(InvalidInput, match="threads is a whole number from 1 to 256"):
        QulacsDriver(threads=threads)


def test_capabilities_tell_the_largest_circuit_that_a_quarter_of_the_memory_holds(monkeypatch):
    monkeypatch.setattr(qulacs, "available_bytes", lambda: 4 * (64 << 21))
    assert QulacsDriver().capabilities().qubits == 21
    assert QulacsDriver(max_qubits=7).capabilities().qubits == 7


def test_a_deadline_in_the_past_is_a_timeout(driver, run_one, bell):
    with pytest.raises(BackendTimeout):
        run_one(driver, bell, timeout_s=-1.0)


def test_an_interrupt_between_rows_ends_the_batch(driver, batch, bell):
    rows = iter(driver.execute(batch(bell, seeds=range(20_000))))
    next(rows)
    driver.interrupt()
    with pytest.raises(BackendFailed, match="interrupted"):
        next(rows)


def test_an_interrupt_from_another_thread_ends_one_long_row(driver, run_one):
    # A thousand coin tosses of 10 000 shots, each with a history of its own: minutes, if nothing stops it.
    tosses = [step for _ in range(1000) for step in (gate("H", 0), measure(0, 0))]
    program = Program(1, 1, 0, (*tosses, gate("H", 0)))
    finished = threading.Event()

    def interrupt_until_it_ends():
        while not finished.is_set():
            driver.interrupt()
            finished.wait(0.01)

    other = threading.Thread(target=interrupt_until_it_ends)
    other.start()
    try:
        with pytest.raises(BackendFailed, match="interrupted"):
            run_one(driver, program, shots=10_000)
    finally:
        finished.set()
        other.join()


def test_an_interrupt_without_an_execution_does_nothing(driver, run_one, bell):
    driver.interrupt()
    assert run_one(driver, bell).shots_done == 1024


# ------------------------------------------------------------------ what is kept


def count_compilations(monkeypatch):
    """A list that grows by one for each circuit that is built from now on."""
    built = []

    class Counted(QulacsCircuit):
        def __init__(self, program, plan):
            built.append(program)
            super().__init__(program, plan)

    monkeypatch.setattr(qulacs, "QulacsCircuit", Counted)
    return built


def test_a_program_is_compiled_once(driver, batch, bell, monkeypatch):
    compiled = count_compilations(monkeypatch)
    handle = ProgramHandle(bell)
    for _ in range(3):
        list(driver.execute(batch(handle)))
    assert len(compiled) == 1


def test_the_programs_used_longest_ago_are_compiled_anew(batch, bell, monkeypatch):
    monkeypatch.setattr(qulacs, "_KEPT_OPERATIONS", 3 * len(bell.operations))
    compiled = count_compilations(monkeypatch)
    driver = QulacsDriver(max_qubits=4)
    handles = [ProgramHandle(bell) for _ in range(4)]
    for index in (0, 1, 2, 0, 3, 0, 1):
        list(driver.execute(batch(handles[index])))
    assert len(compiled) == 5


# ------------------------------------------------------------------ exact results


def exactly(driver, program, values=()):
    """One row without shots."""
    handle = ProgramHandle(program)
    (result,) = driver.execute(Batch(handle, 0, [1], array("d", values), False, inf))
    return result


def at_its_end(program):
    """The same program with its measurements and resets left out, but that of all qubits at the end."""
    gates = tuple(operation for operation in program.operations if operation.name not in ("measure", "reset"))
    return Program(3, 3, 3, (*gates, *(measure(qubit, qubit) for qubit in range(3))))


@given(program=programs())
def test_exact_probabilities_of_any_program_are_those_of_the_gates_definitions(driver, reference, program):
    whole = at_its_end(program)
    found = exactly(driver, whole, PARAMETERS)
    assert (found.counts, found.shots_done) == ({}, 0)
    assert found.probabilities == pytest.approx(
        {key: p for key, p in reference.distribution(whole, PARAMETERS).items() if key in found.probabilities}
    )
    assert sum(found.probabilities.values()) == pytest.approx(1.0)


TERMS = ((0.5, "ZIX"), (-0.25, "YYZ"), (1.5, "III"), (0.75, "XIX"), (2.0, "ZZZ"), (0.1, "IYI"))


@given(program=programs())
def test_values_of_observables_are_those_of_the_matrices(driver, reference, program):
    gates = at_its_end(program).operations[:-3]
    state = reference.zero(3)
    for operation in gates:
        if operation.name != "barrier":
            state = reference.apply(operation, state, PARAMETERS)
    expected = 0.0
    for coefficient, letters in TERMS:
        image = state
        for qubit, letter in enumerate(reversed(letters)):
            image = reference.apply(gate(letter, qubit), image)
        expected += coefficient * (state.conj() * image).sum().real
    assert exactly(driver, Program(3, 0, 3, gates, TERMS), PARAMETERS).value == pytest.approx(expected, abs=1e-12)


def test_exact_results_of_qubits_without_gates_are_those_of_zero(driver):
    assert exactly(driver, Program(40, 1, 0, (measure(39, 0),))).probabilities == {"0": 1.0}
    assert exactly(driver, Program(40, 0, 0, (), ((2.0, "Z" * 40), (3.0, "X" + "I" * 39)))).value == 2.0
    assert exactly(driver, Program(40, 0, 0, (gate("X", 39),), ((2.0, "Z" * 40),))).value == -2.0


def test_exact_probabilities_after_a_measurement_in_the_middle_are_refused(driver):
    program = Program(1, 2, 0, (gate("H", 0), measure(0, 0), gate("H", 0), measure(0, 1)))
    with pytest.raises(CircuitRejected, match="in the middle"):
        exactly(driver, program)


def test_more_probabilities_than_a_message_holds_are_refused(driver, monkeypatch, ladder):
    monkeypatch.setattr(qulacs, "MAX_MESSAGE_BYTES", 1000)
    with pytest.raises(CircuitRejected, match="different outcomes"):
        exactly(driver, ladder(10), [0.3] * 10)


# ------------------------------------------------------------------ many rows together

MANY = 50


def rows_of(driver, program, shots, rows=MANY, raw=False):
    """The results of many rows, and of each of them alone."""
    handle = ProgramHandle(program)
    seeds = [derive_seed(5, row) for row in range(rows)]
    values = array("d", [0.1 + 0.07 * number for number in range(rows * program.slots)])
    together = list(driver.execute(Batch(handle, shots, seeds, values, raw, inf)))
    alone = []
    for row, seed in enumerate(seeds):
        of_row = values[row * program.slots : (row + 1) * program.slots]
        alone += driver.execute(Batch(handle, shots, [seed], of_row, raw, inf))
    return together, alone


@pytest.mark.parametrize("qubits", [1, 4, 6])
@pytest.mark.parametrize("shots", [1, 100, 100_000])
def test_many_rows_together_give_the_counts_of_each_alone(driver, ladder, qubits, shots):
    together, alone = rows_of(driver, ladder(qubits), shots)
    assert [(one.counts, one.seed) for one in each(together)] == [(one.counts, one.seed) for one in alone]


@given(program=programs())
@settings(max_examples=30)
def test_many_rows_of_any_program_give_the_counts_of_each_alone(driver, program):
    together, alone = rows_of(driver, program, 100, rows=10)
    assert [one.counts for one in each(together)] == [one.counts for one in alone]


def test_many_rows_together_follow_their_distribution(driver, reference, agrees, ladder):
    handle = ProgramHandle(ladder(3))
    values = [0.3, 1.1, 2.0]
    batch = Batch(handle, 100, [derive_seed(8, row) for row in range(2000)], array("d", values * 2000), False, inf)
    (table,) = driver.execute(batch)
    total: Counter[str] = Counter()
    for one in each([table]):
        assert sum(one.counts.values()) == 100
        total.update(one.counts)
    assert agrees(dict(total), reference.distribution(ladder(3), values))


@pytest.mark.parametrize("marked", [(0, 2), (1,), (3, 0, 1)])
def test_many_rows_together_show_the_bits_that_were_measured(driver, ladder, marked):
    plain = ladder(4)
    measurements = tuple(measure(qubit, bit) for bit, qubit in enumerate(marked))
    program = Program(4, len(marked) + 1, 4, (*plain.operations[:-4], *measurements))
    together, alone = rows_of(driver, program, 1000)
    assert [one.counts for one in each(together)] == [one.counts for one in alone]


def test_exact_results_of_many_rows_together_are_those_of_each_alone(driver, ladder):
    plain = ladder(4)
    together, alone = rows_of(driver, plain, 0)
    for one, other in zip(each(together), alone, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities)
    observed = Program(4, 0, 4, plain.operations[:-4], ((0.5, "ZZZZ"), (0.25, "XIYX"), (2.0, "IIII")))
    together, alone = rows_of(driver, observed, 0)
    assert [one.value for one in each(together)] == pytest.approx([one.value for one in alone])


def test_rows_with_raw_shots_are_not_put_together(driver, ladder):
    together, alone = rows_of(driver, ladder(2), 100, rows=10, raw=True)
    assert together[0].raw == alone[0].raw
    assert len(together) == 10


def test_an_axis_that_has_no_direction_is_refused_by_its_row(driver):
    program = Program(1, 1, 1, (gate("Rn", 0, params=(0, 0.0, 0.0, 0.5, 0.0)), measure(0, 0)))
    batch = Batch(ProgramHandle(program), 10, list(range(20)), array("d", [1.0] * 7 + [0.0] * 13), False, inf)
    results = driver.execute(batch)
    assert len([next(results) for _ in range(7)]) == 7
    with pytest.raises(CircuitRejected, match="axis"):
        next(results)
