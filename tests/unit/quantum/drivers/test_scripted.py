from __future__ import annotations

import threading

import pytest

from hybrid_runtime.errors import BackendFailed, BackendTimeout, CircuitRejected, InvalidInput
from hybrid_runtime.program import Program
from hybrid_runtime.protocol.results import each
from hybrid_runtime.quantum.driver import ALL_OPERATIONS
from hybrid_runtime.quantum.drivers.scripted import Call, Delay, Hang, NullDriver, ScriptedDriver


@pytest.fixture
def scripted():
    """Make drivers that are closed after the test."""
    made = []

    def make(*given, **words):
        made.append(ScriptedDriver(*given, **words))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


def test_answers_are_given_in_order_one_a_row(scripted, batch, run_one, bell):
    driver = scripted([{"00": 3, "11": 1}, {"01": 4}, {"10": 4}])
    rows = list(driver.execute(batch(bell, 4, seeds=[7, 8])))
    assert [(row.counts, row.shots_done, row.seed) for row in rows] == [({"00": 3, "11": 1}, 4, 7), ({"01": 4}, 4, 8)]
    assert run_one(driver, bell, 4).counts == {"10": 4}


def test_it_records_what_it_was_asked(scripted, batch, ladder):
    driver = scripted([{"00": 5}], repeat=True)
    program = ladder(2)
    list(driver.execute(batch(program, 5, seeds=[1, 2], values=[0.1, 0.2, 0.3, 0.4])))
    assert driver.calls == [Call(program, [0.1, 0.2], 5, 1, False), Call(program, [0.3, 0.4], 5, 2, False)]


def test_a_script_at_its_end_fails_unless_it_repeats(scripted, run_one, bell):
    driver = scripted([{"00": 1}])
    run_one(driver, bell)
    with pytest.raises(BackendFailed, match="no answer left"):
        run_one(driver, bell)

    repeating = scripted([{"00": 1}, {"11": 1}], repeat=True)
    assert [next(iter(run_one(repeating, bell).counts)) for _ in range(3)] == ["00", "11", "00"]


def test_an_empty_script_fails_even_when_it_repeats(scripted, run_one, bell):
    with pytest.raises(BackendFailed, match="no answer left"):
        run_one(scripted([], repeat=True), bell)


def test_exceptions_in_the_script_are_raised(scripted, run_one, bell):
    driver = scripted([CircuitRejected("too deep"), ZeroDivisionError("driver bug")])
    with pytest.raises(CircuitRejected, match="too deep"):
        run_one(driver, bell)
    with pytest.raises(ZeroDivisionError):
        run_one(driver, bell)


def test_a_function_may_answer(scripted, run_one, ladder):
    driver = scripted(lambda program, values, shots: {"1" * program.bits: int(values[0] * shots)})
    assert run_one(driver, ladder(3), 100, values=[0.5, 0.0, 0.0]).counts == {"111": 50}


def test_a_delay_leads_to_its_own_answer_or_to_the_next(scripted, run_one, bell):
    driver = scripted([Delay(0.001, {"01": 1}), Delay(0.001), {"10": 1}])
    assert run_one(driver, bell).counts == {"01": 1}
    assert run_one(driver, bell).counts == {"10": 1}


def test_a_delay_beyond_the_deadline_is_a_timeout(scripted, run_one, bell):
    with pytest.raises(BackendTimeout):
        run_one(scripted([Delay(3600)]), bell, timeout_s=0.01)


def test_a_hang_ignores_the_deadline_until_it_is_interrupted(scripted, run_one, bell):
    driver = scripted([Hang()])
    timer = threading.Timer(0.05, driver.interrupt)
    timer.start()
    with pytest.raises(BackendFailed, match="interrupted"):
        run_one(driver, bell, timeout_s=0.001)
    timer.join()


def test_raw_shots_spell_out_the_counts(scripted, run_one, bell):
    assert run_one(scripted([{"00": 2, "11": 1}]), bell, raw=True).raw == ["00", "00", "11"]


def test_scripts_may_be_plain_data(scripted, run_one, bell):
    driver = scripted(
        [
            {"00": 1},
            {"error": "BackendTimeout", "text": "late"},
            {"error": "Boom", "text": "broken"},
            {"delay_s": 0.001, "then": {"01": 1}},
            {"delay_s": 0.001},
            {"10": 1},
        ]
    )
    assert run_one(driver, bell).counts == {"00": 1}
    with pytest.raises(BackendTimeout, match="late"):
        run_one(driver, bell)
    with pytest.raises(RuntimeError, match="broken"):
        run_one(driver, bell)
    assert run_one(driver, bell).counts == {"01": 1}
    assert run_one(driver, bell).counts == {"10": 1}


@pytest.mark.parametrize("answer", [{}, {"02": 1}, {"00": "many"}, {"delay_s": "long"}, {"delay_s": -1}, 5, None])
def test_answers_that_cannot_be_are_refused(answer):
    with pytest.raises(InvalidInput):
        ScriptedDriver([answer])


@pytest.mark.parametrize(
    "make", [lambda given: ScriptedDriver([], capabilities=given), lambda given: NullDriver(capabilities=given)]
)
def test_capabilities_may_be_chosen(make):
    chosen = make({"qubits": 5, "raw": False}).capabilities()
    assert (chosen.qubits, chosen.raw, chosen.operations) == (5, False, ALL_OPERATIONS)
    with pytest.raises(InvalidInput, match="wings"):
        make({"wings": 2})


def test_the_null_driver_finds_all_bits_0(run_one, bell):
    result = run_one(NullDriver(), bell, 3, seeds=[6], raw=True)
    assert (result.counts, result.shots_done, result.seed, result.raw) == ({"00": 3}, 3, 6, ["00"] * 3)


@pytest.mark.parametrize("observable", [(), ((0.5, "ZZ"), (0.25, "XI"))], ids=["counted", "observed"])
@pytest.mark.parametrize("shots", [3, 0])
def test_the_null_driver_answers_many_rows_as_each_alone(batch, bell, shots, observable):
    if observable:
        bell, shots = Program(2, 0, 0, bell.operations[:2], observable), 0
    driver, seeds = NullDriver(), [6, 7, 8]
    together = list(each(driver.execute(batch(bell, shots, seeds=seeds))))
    assert together == [one for seed in seeds for one in driver.execute(batch(bell, shots, seeds=[seed]))]
