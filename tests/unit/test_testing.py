"""The doubles that users test their algorithms with."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid_runtime import Circuit, Done, HybridAlgorithm, Limits, QuantumResult, StopReason, hybrid, testing
from hybrid_runtime.errors import (
    AlgorithmTimeout,
    BackendFailed,
    CircuitRejected,
    InvalidInput,
    ResultNotEncodable,
    StopRequested,
    UserCodeError,
)
from hybrid_runtime.testing import StubExchange, drive

FLIP = Circuit("version 3.0\nqubit q\nbit b\nRx({theta}) q\nb = measure q", parameters=["theta"])


@hybrid
def flips(context):
    theta = context.parameters.get("theta", 0.0)
    result = yield FLIP.bind(theta=theta)
    context.log(f"theta is {theta}")
    context.metric("ones", result.probabilities.get("1", 0.0))
    return {"ones": result.counts.get("1", 0), "shots": result.shots_done, "backend": result.backend}


def test_the_public_names_are_the_documented_ones():
    names = ["Crash", "Delay", "Hang", "Outcome", "Replayed", "ScriptedDriver", "StubExchange", "drive", "replay"]
    assert testing.__all__ == names
    assert [name for name in testing.__all__ if not hasattr(testing, name)] == []


def test_an_algorithm_runs_against_a_script():
    outcome = drive(flips, [{"0": 1, "1": 3}], parameters={"theta": 0.5})
    assert outcome.value == {"ones": 3, "shots": 4, "backend": "stub"}
    assert outcome.requests == [[FLIP.bind(theta=0.5)]]
    assert outcome.logs == ["theta is 0.5"]
    assert outcome.history.metrics == {"ones": [0.75]}
    assert outcome.stop_reason is StopReason.DONE


def test_answers_may_be_results():
    outcome = drive(flips, [QuantumResult(counts={"1": 2}, shots_requested=2, backend="mine")])
    assert outcome.value["backend"] == "mine"


def test_answers_may_be_computed_from_the_circuit():
    def simulate(circuit):
        return {"1": round(circuit.parameters["theta"] * 10)}

    assert drive(flips, simulate, parameters={"theta": 0.5}).value["ones"] == 5


def test_a_step_of_several_circuits_is_answered_one_by_one_or_all_alike():
    @hybrid
    def both(context):
        results = yield [FLIP.bind(theta=0), FLIP.bind(theta=1)]
        return [result.counts for result in results]

    assert drive(both, [[{"0": 1}, {"1": 1}]]).value == [{"0": 1}, {"1": 1}]
    assert drive(both, [{"0": 1}]).value == [{"0": 1}] * 2
    with pytest.raises(InvalidInput, match="a step of 2 circuits is answered by 1 results"):
        drive(both, [[{"0": 1}]])


def test_plain_functions_classes_and_instances_are_driven():
    class Once(HybridAlgorithm):
        def initialize(self, context):
            return FLIP.bind(theta=0)

        def execute(self, result):
            return Done(result.counts)

    def plain(context):
        return context.run(FLIP.bind(theta=0)).counts

    assert [drive(one, [{"1": 1}]).value for one in (Once, Once(), plain)] == [{"1": 1}] * 3


@pytest.mark.parametrize("wrong", [None, 3, int, "flips"])
def test_what_is_no_algorithm_is_refused(wrong):
    with pytest.raises(InvalidInput, match="is not an algorithm"):
        drive(wrong, [])


def test_circuits_are_checked_as_in_a_job():
    @hybrid
    def typo(context):
        yield Circuit("version 3.0\nqubit q\nbit b\nHH q\nb = measure q")

    with pytest.raises(CircuitRejected, match=r"line 4, column 1.*HH"):
        drive(typo, [{"0": 1}])


def test_answers_have_to_fit_the_bits_of_the_circuit():
    with pytest.raises(InvalidInput, match="'00' has 2 bits, the circuit's register 1"):
        drive(flips, [{"00": 1}])


def test_checks_can_be_left_out():
    @hybrid
    def rough(context):
        return (yield Circuit("anything")).counts

    assert drive(rough, [{"00": 1}], check=False).value == {"00": 1}


@pytest.mark.parametrize("answer", [7, "00", {"02": 1}, {"0": -1}, {"0": 0.5}, {0: 1}, [{"0": "x"}], None])
def test_an_answer_that_is_none_is_refused_before_anything_runs(answer):
    with pytest.raises(InvalidInput, match="an answer is counts such as"):
        StubExchange([answer])


def test_errors_of_the_script_are_raised_in_the_algorithm():
    @hybrid
    def careful(context):
        try:
            yield FLIP.bind(theta=0)
        except CircuitRejected as error:
            return str(error)

    assert drive(careful, [CircuitRejected("too deep")]).value == "too deep"


def test_a_script_that_is_too_short_says_so():
    @hybrid
    def endless(context):
        while True:
            yield FLIP.bind(theta=0)

    with pytest.raises(BackendFailed, match="no answer left for step 2"):
        drive(endless, [{"0": 1}])


@pytest.mark.parametrize(
    ("limits", "reason", "steps"),
    [
        (Limits(steps=2), StopReason.STEPS, 2),
        (Limits(shots=2500), StopReason.SHOTS, 2),
        (Limits(plateau=("flat", 0.0, 3)), StopReason.PLATEAU, 3),
    ],
)
def test_limits_stop_as_in_a_job(limits, reason, steps):
    @hybrid
    def endless(context):
        while True:
            yield FLIP.bind(theta=0)
            context.metric("flat", 1)

    outcome = drive(endless, lambda circuit: {"0": 1024}, limits=limits)
    assert (outcome.stop_reason, outcome.history.steps) == (reason, steps)


def test_the_script_can_stop_the_job():
    @hybrid
    def endless(context):
        while True:
            context.metric("steps", (yield FLIP.bind(theta=0)).shots_done)

    assert drive(endless, [{"0": 7}, StopReason.CANCELLED]).value == {"steps": 7.0}


def test_what_the_algorithm_raises_is_raised_with_its_own_traceback():
    cause = ValueError("why")

    @hybrid
    def failing(context):
        raise KeyError("missing") from cause

    with pytest.raises(KeyError, match="missing") as caught:
        drive(failing, [])
    assert caught.traceback[-1].frame.code.name == "failing"
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_would_end_the_test_run_does_not(error):
    @hybrid
    def leaving(context):
        raise error

    with pytest.raises(UserCodeError, match=type(error).__name__):
        drive(leaving, [])


def test_a_stop_before_the_first_request_is_a_time_out():
    def slow(context):
        raise StopRequested("think")

    with pytest.raises(AlgorithmTimeout, match=r"stopped \(think\) before its first step"):
        drive(slow, [])


def test_values_come_back_as_from_a_worker():
    assert drive(lambda context: (np.float64(0.5), {1, 2}), []).value == [0.5, [1, 2]]
    with pytest.raises(ResultNotEncodable, match="builtin_function"):
        drive(lambda context: print, [])


def test_parameters_arrive_as_in_a_worker():
    value = drive(lambda context: context.parameters, [], parameters={"x": (1, 2), "a": np.array([1.0])}).value
    assert value["x"] == [1, 2]
    assert value["a"].tolist() == [1.0]


def test_a_context_can_be_had_for_the_test_of_a_helper():
    def energy(context, theta):
        return context.run(FLIP.bind(theta=theta)).expectation("Z")

    stub = StubExchange([{"0": 3, "1": 1}])
    assert energy(stub.context, 0.1) == 0.5
    assert stub.requests == [[FLIP.bind(theta=0.1)]]
