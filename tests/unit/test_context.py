"""What an algorithm sees and does, without a runtime behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hybrid_runtime import Circuit, Limits, QuantumResult, StopReason
from hybrid_runtime.context import MAX_LOG_CHARACTERS, Notes
from hybrid_runtime.errors import CircuitRejected, StopRequested
from hybrid_runtime.testing import StubExchange

ONE = {"0": 6, "1": 4}


def stub(answers=lambda circuit: ONE, **settings) -> StubExchange:
    return StubExchange(answers, check=False, **settings)


def test_one_circuit_gives_one_result():
    context = stub().context
    assert context.run(Circuit("a")).counts == ONE


@pytest.mark.parametrize(
    "batch",
    [[Circuit("a")], (Circuit("a"), Circuit("b")), np.array([Circuit("a"), Circuit("b")], dtype=object)],
    ids=lambda batch: type(batch).__name__,
)
def test_a_sequence_gives_a_list_of_the_same_length(batch):
    results = stub().context.run(batch)
    assert isinstance(results, list)
    assert [result.counts for result in results] == [ONE] * len(batch)


def test_a_generator_of_circuits_is_a_sequence_too():
    circuits: Any = (Circuit(name) for name in "abc")
    assert len(stub().context.run(circuits)) == 3


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ("version 3.0", r"write Circuit\(text\)"),
        (7, "not int"),
        (None, "not NoneType"),
        ([Circuit("a"), 7], "item 1 is int"),
        ({"a": Circuit("a")}, "item 0 is str"),
    ],
)
def test_what_is_no_circuit_is_refused(request_, why):
    stubbed = stub()
    with pytest.raises(TypeError, match=why):
        stubbed.context.run(request_)
    assert stubbed.requests == []


@pytest.mark.parametrize("empty", [[], (), np.array([])], ids=repr)
def test_a_step_without_circuits_is_refused(empty):
    with pytest.raises(CircuitRejected, match="at least one circuit"):
        stub().context.run(empty)


def test_the_history_has_requests_and_results_in_the_shape_they_had():
    context = stub().context
    context.run(Circuit("a"))
    context.run([Circuit("b")])
    history: Any = context.history
    assert history.requests == [Circuit("a"), [Circuit("b")]]
    assert history.results[0].counts == history.results[1][0].counts == ONE
    assert (history.steps, history.shots) == (2, 20)


def test_what_the_algorithm_does_to_its_results_does_not_change_the_history():
    context = stub().context
    results = context.run([Circuit("a")])
    results.clear()
    kept: Any = context.history.results[0]
    assert len(kept) == 1


def test_results_that_can_be_made_again_are_made_when_the_history_is_looked_at():
    exchange = stub()
    made = []

    def answer(circuits):
        def again():
            made.append(len(circuits))
            return [QuantumResult(counts={"1": index}, shots_requested=3) for index in range(len(circuits))]

        return again(), 3 * len(circuits), 0.5, again

    context = exchange.context
    context._exchange = answer
    first = context.run([Circuit("a")] * 2)
    context.run([Circuit("a")] * 3)
    assert (made, context.history.steps, context.history.shots) == ([2, 3], 2, 15)
    first.clear()
    history: Any = context.history
    assert [[result.counts["1"] for result in step] for step in history.results] == [[0, 1], [0, 1, 2]]
    assert history.results is history.results
    context.run([Circuit("a")])
    assert [len(step) for step in history.results] == [2, 3, 1]
    assert made == [2, 3, 2, 3, 1, 1]


def test_metrics_are_kept_by_name_and_in_order():
    context = stub().context
    for value in (1, 2.5, np.float32(3), np.array([4]), True):
        context.metric("energy", value)
    context.metric("other", 0)
    assert context.history.metrics == {"energy": [1.0, 2.5, 3.0, 4.0, 1.0], "other": [0.0]}
    assert context.history.last_metrics() == {"energy": 1.0, "other": 0.0}


@pytest.mark.parametrize("value", ["1", None, 1j, [1], np.array([1, 2]), np.array([1j])], ids=repr)
def test_a_metric_is_a_real_number(value):
    with pytest.raises(TypeError, match="metric 'energy' takes a real number"):
        stub().context.metric("energy", value)


def test_a_metric_that_no_float_can_hold_is_refused():
    with pytest.raises(ValueError, match="metric 'energy' is too large"):
        stub().context.metric("energy", 10**400)


@pytest.mark.parametrize("name", ["", "a" * 129, "two\nlines", "\x1b[31m", 3, None])
def test_a_metrics_name_is_a_short_line(name):
    with pytest.raises(TypeError, match="a line of 1 to 128 characters"):
        stub().context.metric(name, 1)


def test_anything_can_be_logged_and_is_cut_where_it_is_long():
    stubbed = stub()
    stubbed.context.log({"a": 1})
    stubbed.context.log("x" * 100_000)
    assert stubbed.logs == ["{'a': 1}", "x" * MAX_LOG_CHARACTERS]


def test_random_numbers_come_from_the_jobs_seed():
    one, other, third = (stub(seed=seed).context.rng.random(3).tolist() for seed in (5, 5, 6))
    assert one == other != third


def test_what_remains_goes_down_with_every_step():
    context = stub(shots=10, limits=Limits(steps=3, shots=25, qpu_s=2, wall_s=1000)).context
    context.run(Circuit("a"))
    left: Any = context.remaining
    assert (left.steps, left.shots, left.qpu_s) == (2, 15, 2.0)
    assert left.wall_s == pytest.approx(1000, abs=100)
    assert left.wall_s < 1000


def test_nothing_remains_to_be_known_where_there_is_no_limit():
    left = stub().context.remaining
    assert (left.steps, left.shots, left.wall_s, left.qpu_s) == (None,) * 4


def test_after_a_stop_every_run_is_refused_again():
    context = stub([StopReason.WALL]).context
    for _ in range(3):
        with pytest.raises(StopRequested) as caught:
            context.run(Circuit("a"))
        assert caught.value.reason == "wall"
    assert context.stop_requested
    assert context.history.stop_reason is StopReason.WALL


def test_results_are_in_the_history_before_a_stop_that_waited_for_them_is_raised():
    stubbed = stub()
    context = stubbed.context

    def stop() -> None:
        context.request_stop(StopReason.CANCELLED)
        raise StopRequested("cancelled")

    context._listen = stop
    with pytest.raises(StopRequested):
        context.run(Circuit("a"))
    assert context.history.steps == 1


# ------------------------------------------------------------------ notes


def test_notes_are_sent_when_many_are_waiting():
    sent = []
    notes = Notes(lambda: sent.append(notes.take()))
    for number in range(256):
        notes.metrics.append(("x", float(number)))
        notes.added()
    assert [len(metrics) for metrics, _ in sent] in ([256], [1, 255])


def test_notes_that_could_not_be_sent_keep_their_order():
    notes = Notes(lambda: None)
    notes.metrics.append(("x", 1.0))
    notes.logs.append("first")
    taken = notes.take()
    notes.metrics.append(("x", 2.0))
    notes.logs.append("second")
    notes.put_back(*taken)
    assert notes.take() == ([("x", 1.0), ("x", 2.0)], ["first", "second"])
    assert notes.take() == ([], [])


def test_settings_of_a_step_stand_in_place_of_its_circuits_own():
    context = stub().context
    circuits = [Circuit("a", shots=5), Circuit("b")]
    context.run(circuits, shots=7)
    context.run(circuits[0], shots=None)
    context.run(circuits, observable={"Z": 1})
    context.run(circuits[0], raw=True)
    asked = context.history.requests
    assert asked[0] == [circuit.with_shots(7) for circuit in circuits]
    assert asked[1] == circuits[0].with_shots(None)
    assert asked[2] == [circuit.with_observable("Z") for circuit in circuits]
    assert asked[3] == circuits[0].with_raw()


def test_circuits_of_a_job_without_shots_are_exact():
    context = stub(shots=None).context
    assert context.shots is None
    assert context.run(Circuit("a")).shots_requested == 0
    assert context.run(Circuit("a", shots=5)).shots_requested == 5
