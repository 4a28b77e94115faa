"""How each style of algorithm is driven, and what every way of ending it comes to."""

from __future__ import annotations

from typing import Any

import pytest

from hybrid_runtime import Circuit, Context, Done, HybridAlgorithm, Limits, StopExecution, StopReason, hybrid
from hybrid_runtime.algorithm import HybridFunction
from hybrid_runtime.classical.styles import Failure
from hybrid_runtime.classical.styles import drive as drive_style
from hybrid_runtime.errors import ChannelClosed, CircuitRejected, StopRequested, UserCodeError
from hybrid_runtime.testing import StubExchange
from hybrid_runtime.testing import drive as drive_checked

ONE = {"0": 6, "1": 4}
A, B = Circuit("a"), Circuit("b")


def drive(algorithm: Any, answers: Any = lambda circuit: ONE, **settings: Any) -> Any:
    return drive_checked(algorithm, answers, check=False, **settings)


def failure_of(algorithm: Any, answers: Any = lambda circuit: ONE, **settings: Any) -> Failure:
    stub = StubExchange(answers, check=False, **settings)
    with pytest.raises(Failure) as caught:
        drive_style(algorithm, stub.context, lambda: None)
    return caught.value


class Three(HybridAlgorithm):
    """Three steps: one circuit, two circuits, one circuit."""

    def initialize(self, context):
        self.context = context
        self.seen = []
        return A

    def execute(self, results):
        self.seen.append(results)
        self.context.metric("seen", len(self.seen))
        return {1: [A, B], 2: B}.get(len(self.seen)) or Done(len(self.seen))


class ThreeFinalized(Three):
    def finalize(self, history):
        return {"steps": history.steps, "why": history.stop_reason.value, "done": history.done}


@hybrid
def generator(context):
    first = yield A
    both = yield [A, B]
    return [first.counts, [one.counts for one in both]]


@hybrid
def blocking(context):
    first = context.run(A)
    both = context.run([A, B])
    return [first.counts, [one.counts for one in both]]


# ------------------------------------------------------------------ shapes


@pytest.mark.parametrize("algorithm", [generator, blocking])
def test_answers_have_the_shape_of_the_request(algorithm):
    outcome = drive(algorithm)
    assert outcome.value == [ONE, [ONE, ONE]]
    assert outcome.requests == [[A], [A, B]]
    assert outcome.history.requests == [A, [A, B]]


def test_a_lifecycle_gets_answers_of_the_shape_of_its_request():
    shapes = []

    class Shapes(Three):
        def execute(self, results):
            shapes.append([one.counts for one in results] if isinstance(results, list) else results.counts)
            return super().execute(results)

    assert drive(Shapes).value == 3
    assert shapes == [ONE, [ONE, ONE], ONE]


@pytest.mark.parametrize("sequence", [(A, B), [A, B], iter([A, B])], ids=lambda value: type(value).__name__)
def test_a_lifecycle_may_give_any_sequence(sequence):
    class Once(HybridAlgorithm):
        def initialize(self, context):
            return sequence

        def execute(self, results):
            return Done(len(results))

    assert drive(Once).value == 2


def test_a_class_gets_a_new_instance_for_each_job():
    class Counting(HybridAlgorithm):
        def __init__(self):
            self.count = 0

        def initialize(self, context):
            self.count += 1
            return Done(self.count)

    assert [drive(Counting).value, drive(Counting).value] == [1, 1]


# ------------------------------------------------------------------ ends


def test_the_value_is_what_finalize_returns():
    assert drive(ThreeFinalized).value == {"steps": 3, "why": "done", "done": 3}


def test_without_finalize_the_value_is_dones():
    assert drive(Three).value == 3


def test_without_any_value_it_is_the_last_metrics():
    class Silent(Three):
        def execute(self, results):
            done = super().execute(results)
            return Done() if isinstance(done, Done) else done

    assert drive(Silent).value == {"seen": 3.0}


def test_a_finalize_that_returns_nothing_leaves_dones_value():
    class Nothing(Three):
        def finalize(self, history):
            return None

    assert drive(Nothing).value == 3


def test_nothing_at_all_is_none():
    assert drive(HybridFunction(lambda context: None)).value is None


def stop_execution(value):
    raise StopExecution(value)


class Ending(HybridAlgorithm):
    """Ends with 7 in the stage and by the means that it is made for."""

    def __init__(self, stage="", end=None):
        self.stage, self.end = stage, end

    def initialize(self, context):
        return self.end(7) if self.stage == "initialize" else A

    def execute(self, results):
        return self.end(7) if self.stage == "execute" else Done(0)


class EndingFinalized(Ending):
    def finalize(self, history):
        return self.end(8) if self.stage == "finalize" else ("finalized", history.done)


@pytest.mark.parametrize("end", [Done, stop_execution], ids=["Done", "StopExecution"])
@pytest.mark.parametrize("stage", ["initialize", "execute"])
def test_done_and_stop_execution_are_the_same_in_every_stage(stage, end):
    assert drive(Ending(stage, end)).value == 7
    assert drive(EndingFinalized(stage, end)).value == ["finalized", 7]


@pytest.mark.parametrize("end", [Done, stop_execution], ids=["Done", "StopExecution"])
def test_done_and_stop_execution_are_the_same_in_finalize(end):
    assert drive(EndingFinalized("finalize", end)).value == 8


def test_stop_execution_in_the_making_of_the_instance_ends_the_job():
    class Early(HybridAlgorithm):
        def __init__(self):
            raise StopExecution(7)

    assert drive(Early).value == 7


@pytest.mark.parametrize("end", [Done, stop_execution], ids=["Done", "StopExecution"])
def test_functions_end_by_done_and_stop_execution(end):
    @hybrid
    def function(context):
        context.run(A)
        return end(7)

    @hybrid
    def steps(context):
        yield A
        return end(7)

    @hybrid
    def steps_yielding(context):
        yield A
        yield end(7)
        raise AssertionError("it was over")

    assert [drive(one).value for one in (function, steps, steps_yielding)] == [7, 7, 7]


def test_a_function_may_hand_over_to_a_generator():
    def inner(context):
        result = yield A
        return result.counts

    assert drive(HybridFunction(lambda context: inner(context))).value == ONE


# ------------------------------------------------------------------ stops


@pytest.mark.parametrize("limits", [Limits(steps=2), Limits(shots=30), Limits(plateau=("seen", 1.0, 2))], ids=repr)
def test_a_stopped_lifecycle_is_finalized_with_what_it_has(limits):
    outcome = drive(ThreeFinalized, shots=10, limits=limits)
    assert outcome.value == {"steps": 2, "why": outcome.stop_reason.value, "done": None}
    assert outcome.stop_reason is not StopReason.DONE


def test_a_stopped_function_that_does_not_mind_has_its_last_metrics():
    @hybrid
    def function(context):
        for step in range(10):
            context.run(A)
            context.metric("step", step)

    assert drive(function, limits=Limits(steps=3)).value == {"step": 2.0}


@pytest.mark.parametrize("style", ["blocking", "generator"])
def test_a_stopped_function_may_return_what_it_has(style):
    @hybrid
    def function(context):
        done = 0
        try:
            while True:
                context.run(A)
                done += 1
        except StopRequested as stop:
            return [done, stop.reason, context.stop_requested]

    @hybrid
    def steps(context):
        done = 0
        try:
            while True:
                yield A
                done += 1
        except StopRequested as stop:
            return [done, stop.reason, context.stop_requested]

    algorithm = function if style == "blocking" else steps
    assert drive(algorithm, limits=Limits(steps=2)).value == [2, "steps", True]


def test_an_optimizer_that_catches_exceptions_does_not_swallow_a_stop():
    @hybrid
    def stubborn(context):
        while True:
            try:
                context.run(A)
            except Exception:  # noqa: BLE001 - as bad optimizers do
                continue

    assert drive(stubborn, limits=Limits(steps=2)).stop_reason is StopReason.STEPS


def test_a_generator_that_goes_on_after_a_stop_is_closed_in_the_end():
    told = []

    @hybrid
    def deaf(context):
        while True:
            try:
                yield A
            except StopRequested:
                told.append("stop")
            except GeneratorExit:
                told.append("closed")
                raise

    drive(deaf, limits=Limits(steps=1))
    assert told == ["stop"] * 3 + ["closed"]


def test_a_job_that_is_stopped_as_it_asks_for_the_first_time_is_finalized():
    assert drive(ThreeFinalized, [StopReason.WALL]).value == {"steps": 0, "why": "wall", "done": None}
    assert [drive(algorithm, [StopReason.WALL]).value for algorithm in (generator, blocking)] == [None, None]


def interrupted(context):
    """What the worker's signal handler does while an algorithm computes."""
    context.request_stop(StopReason.THINK)
    raise StopRequested("think")


class InterruptedAtOnce(HybridAlgorithm):
    def initialize(self, context):
        interrupted(context)


@hybrid
def generator_interrupted_at_once(context):
    interrupted(context)
    yield A


@pytest.mark.parametrize(
    "algorithm", [InterruptedAtOnce, HybridFunction(interrupted), generator_interrupted_at_once], ids=repr
)
def test_a_job_that_is_stopped_before_it_asked_for_anything_has_failed_to_initialize(algorithm):
    failure = failure_of(algorithm)
    assert failure.stage == "initialize"
    assert isinstance(failure.cause, StopRequested)


def test_a_lifecycle_that_is_interrupted_after_a_step_is_finalized():
    class Slow(ThreeFinalized):
        def execute(self, results):
            interrupted(self.context)

    assert drive(Slow).value == {"steps": 1, "why": "think", "done": None}


def test_a_lifecycle_that_steps_in_initialize_is_finalized_when_it_is_interrupted_there():
    class Early(ThreeFinalized):
        def initialize(self, context):
            context.run(A)
            interrupted(context)

    assert drive(Early).value == {"steps": 1, "why": "think", "done": None}


# ------------------------------------------------------------------ failures


class Failing(HybridAlgorithm):
    def __init__(self, stage="", error=None):
        self.stage, self.error, self.steps = stage, error, 0

    def _maybe(self, stage):
        if stage == self.stage:
            raise self.error

    def initialize(self, context):
        self.context = context
        self._maybe("initialize")
        return A

    def execute(self, results):
        self.steps += 1
        self.context.metric("steps", self.steps)
        if self.steps == 2:
            self._maybe("execute")
        return A if self.steps < 3 else Done(3)

    def finalize(self, history):
        self._maybe("finalize")
        return ("finalized", history.steps, history.stop_reason.value)


ERRORS = [ValueError("x"), SystemExit(3), KeyboardInterrupt(), MemoryError(), GeneratorExit()]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("stage", ["initialize", "execute", "finalize"])
def test_whatever_a_lifecycle_raises_is_a_failure_of_its_stage(stage, error):
    failure = failure_of(Failing(stage, error))
    assert failure.stage == stage
    assert failure.cause is error


def test_after_a_failure_finalize_still_makes_the_partial_result():
    failure = failure_of(Failing("execute", ValueError("x")))
    assert failure.value == ("finalized", 2, "error")


def test_the_first_failure_is_told_when_finalize_fails_too():
    class Twice(Failing):
        def finalize(self, history):
            raise RuntimeError("second")

    failure = failure_of(Twice("execute", ValueError("first")))
    assert (failure.stage, str(failure.cause)) == ("execute", "first")


def test_a_failed_finalize_leaves_dones_value():
    failure = failure_of(Failing("finalize", ValueError("x")))
    assert failure.value == 3


def test_a_finalize_that_asks_after_a_stop_is_told_what_to_check():
    class Asking(Three):
        def finalize(self, history):
            return self.context.run(A)

    failure = failure_of(Asking, limits=Limits(steps=1))
    assert failure.stage == "finalize"
    assert "check context.stop_requested first" in str(failure.cause)


def test_a_finalize_may_ask_for_circuits_when_the_job_is_done():
    class Asking(Three):
        def finalize(self, history):
            return self.context.run(A).counts

    assert drive(Asking).value == ONE


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize(("steps", "stage"), [(0, "initialize"), (1, "execute")])
def test_whatever_a_function_raises_is_a_failure(error, steps, stage):
    @hybrid
    def function(context):
        for _ in range(steps):
            context.run(A)
        raise error

    failure = failure_of(function)
    assert (failure.stage, failure.cause) == (stage, error)


def test_a_missing_method_is_named():
    class Half(HybridAlgorithm):
        def initialize(self, context):
            return A

    assert "Half has no execute(self, results)" in str(failure_of(Half).cause)
    assert "Empty has no initialize(self, context)" in str(failure_of(type("Empty", (HybridAlgorithm,), {})).cause)


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (None, r"not nothing \(None\)"),
        ("version 3.0", r"not text: write Circuit\(text\)"),
        (7, "not int"),
        (Done, r"not the class Done: write Done\(…\)"),
        ([A, "b"], "not a sequence that holds text"),
        ([A, None], r"not a sequence that holds nothing \(None\)"),
        ([A, [B]], "not a sequence that holds list"),
        ({"a": A}, "not a sequence that holds text"),
    ],
)
@pytest.mark.parametrize("stage", ["initialize", "execute"])
def test_nonsense_is_put_down_to_the_method_that_returned_it(stage, request_, problem):
    class Nonsense(HybridAlgorithm):
        def initialize(self, context):
            return request_ if stage == "initialize" else A

        def execute(self, results):
            return request_

    failure = failure_of(Nonsense)
    line = getattr(Nonsense, stage).__code__.co_firstlineno
    with pytest.raises(UserCodeError, match=problem):
        raise failure.cause
    assert str(failure.cause).startswith(f"Nonsense.{stage} ({__file__}, line {line}) must return a Circuit")


def test_async_functions_are_refused_with_advice():
    @hybrid
    async def asynchronous(context):
        return 1

    @hybrid
    async def generating(context):
        yield A

    for algorithm in (asynchronous, generating):
        assert "is an async function: write it with def" in str(failure_of(algorithm).cause)


# ------------------------------------------------------------------ refused circuits


REFUSED = CircuitRejected("line 3: unknown gate")


@pytest.mark.parametrize("style", ["blocking", "generator"])
def test_a_refused_circuit_can_be_handled_where_it_was_asked_for(style):
    @hybrid
    def function(context):
        try:
            context.run(A)
        except CircuitRejected as error:
            return [str(error), context.run(B).counts]

    @hybrid
    def steps(context):
        try:
            yield A
        except CircuitRejected as error:
            result = yield B
            return [str(error), result.counts]

    outcome = drive(function if style == "blocking" else steps, [REFUSED, ONE])
    assert outcome.value == ["line 3: unknown gate", ONE]
    assert outcome.history.steps == 1


@pytest.mark.parametrize("stage", ["initialize", "execute"])
def test_a_refused_circuit_of_a_lifecycle_is_a_failure_of_the_stage_it_came_from(stage):
    failure = failure_of(Three, [REFUSED] if stage == "initialize" else [ONE, REFUSED])
    assert (failure.stage, failure.cause) == (stage, REFUSED)


def test_nonsense_from_a_generator_is_raised_at_its_yield():
    @hybrid
    def steps(context):
        try:
            yield "version 3.0"
        except TypeError as error:
            return str(error)

    assert drive(steps).value == "expected a Circuit, not text: write Circuit(text)"


def test_a_generator_is_not_asked_on_when_the_dispatcher_is_gone():
    asked = []

    @hybrid
    def stubborn(context):
        while True:
            try:
                yield A
            except Exception:  # noqa: BLE001 - as bad algorithms do
                asked.append(1)

    class Gone(StubExchange):
        def _run(self, circuits):
            raise ChannelClosed

    stub = Gone([], check=False)
    with pytest.raises(Failure) as caught:
        drive_style(stubborn, stub.context, lambda: None)
    assert isinstance(caught.value.cause, ChannelClosed)
    assert asked == []


def test_finalizing_is_told_before_finalize_and_only_then():
    told = []

    class Telling(Three):
        def finalize(self, history):
            told.append("finalize")

    stub = StubExchange(lambda circuit: ONE, check=False)
    drive_style(Telling, stub.context, lambda: told.append("told"))
    assert told == ["told", "finalize"]


def test_the_context_is_the_one_that_was_given():
    given: list[Context] = []
    stub = StubExchange([], check=False)
    drive_style(HybridFunction(given.append), stub.context, lambda: None)
    assert given == [stub.context]
