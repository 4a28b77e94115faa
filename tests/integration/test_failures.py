"""Algorithms that fail in every way there is: one clear error each, partial results, and a runtime that goes on."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid_runtime import Circuit, HybridAlgorithm, Limits, hybrid
from hybrid_runtime.errors import exit_code

BELL = Circuit("version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\nCNOT q[0], q[1]\nb = measure q")


@pytest.fixture(autouse=True)
def _the_runtime_still_works(client):
    """Whatever a job does, the next one is run."""
    yield

    def fine(context):
        return context.run(BELL).shots_done

    assert client.run(fine, shots=5).value == 5


class Failing(HybridAlgorithm):
    """Fails in the stage and by the means that its parameters name."""

    def fail(self):
        import os
        import sys

        match self.how:
            case "raise":
                raise ValueError("on purpose")  # the line to show
            case "sys.exit":
                sys.exit(3)
            case "KeyboardInterrupt":
                raise KeyboardInterrupt
            case "os._exit":
                os._exit(3)
            case "recursion":
                self.fail()
            case "memory":
                return bytearray(1 << 45)
            case "crash":
                import ctypes

                ctypes.string_at(0)

    def initialize(self, context):
        self.context = context
        self.how = context.parameters["how"]
        self.stage = context.parameters["stage"]
        if self.stage == "initialize":
            self.fail()
        return BELL

    def execute(self, result):
        self.context.metric("steps", len(self.context.history.results))
        if self.stage == "execute":
            self.fail()
        return BELL

    def finalize(self, history):
        if self.stage == "finalize":
            self.fail()
        return {"saved": history.steps, "why": history.stop_reason.value}


STAGES = pytest.mark.parametrize("stage", ["initialize", "execute", "finalize"])


def fail(client, how, stage):
    return client.run(Failing, parameters={"how": how, "stage": stage}, limits=Limits(steps=1))


@STAGES
@pytest.mark.parametrize(
    ("how", "kind", "text"),
    [
        ("raise", "ValueError", "on purpose"),
        ("sys.exit", "SystemExit", "the algorithm called sys.exit(3)"),
        ("KeyboardInterrupt", "KeyboardInterrupt", "the algorithm raised KeyboardInterrupt"),
        ("recursion", "RecursionError", "maximum recursion depth exceeded"),
        ("memory", "MemoryError", "MemoryError"),
    ],
)
def test_what_an_algorithm_raises_is_its_error(client, how, kind, text, stage):
    result = fail(client, how, stage)
    assert (result.state, result.error.kind, exit_code(result.error)) == ("failed", kind, 1)
    assert text in result.error.text
    assert f"{__file__}, line " in result.error.text
    assert result.error.text.endswith(", in fail)")
    assert "hybrid_runtime/" not in result.error.traceback.replace("tests/", "")


@STAGES
def test_its_traceback_shows_its_lines(client, stage):
    traceback = fail(client, "raise", stage).error.traceback
    assert 'raise ValueError("on purpose")  # the line to show' in traceback
    assert "self.fail()" in traceback
    assert traceback.splitlines()[-1] == "ValueError: on purpose"


def test_partial_results_are_what_finalize_makes_of_them(client):
    result = fail(client, "raise", "execute")
    assert (result.value, result.steps, result.metrics) == ({"saved": 1, "why": "error"}, 1, {"steps": [1.0]})


def test_partial_results_are_the_last_metrics_where_nothing_else_is_left(client):
    for how in ("os._exit", "crash", "raise"):
        assert fail(client, how, "finalize").value == {"steps": 1.0}


@STAGES
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("os._exit", "ended by itself with exit code 3, without a result"),
        ("crash", "died by SIGSEGV: a crash in compiled code"),
    ],
)
def test_a_worker_that_ends_is_told_by_how_it_ended(client, how, words, stage):
    result = fail(client, how, stage)
    assert (result.state, result.error.kind, exit_code(result.error)) == ("failed", "WorkerLost", 1)
    assert words in result.error.text


@STAGES
def test_a_crash_names_the_line_it_came_from(client, stage):
    error = fail(client, "crash", stage).error
    assert error.text.endswith(", in fail)")
    assert f'File "{__file__}"' in error.traceback


@pytest.mark.parametrize(
    ("returned", "why"),
    [
        (lambda: None, "not nothing (None)"),
        (lambda: "version 3.0", "not text: write Circuit(text)"),
        (lambda: [BELL, 3], "not a sequence that holds int"),
        (lambda: 3.5, "not float"),
        (lambda: [], "at least one circuit"),
    ],
    ids=["nothing", "text", "mixed", "number", "empty"],
)
@pytest.mark.parametrize("stage", ["initialize", "execute"])
def test_nonsense_is_put_down_to_the_method_that_returned_it(client, returned, why, stage):
    class Nonsense(HybridAlgorithm):
        def initialize(self, context):
            return returned() if stage == "initialize" else BELL

        def execute(self, result):
            return returned()

    result = client.run(Nonsense)
    assert (result.state, exit_code(result.error)) == ("failed", 1)
    assert why in result.error.text
    if returned():
        assert f"Nonsense.{stage} ({__file__}, line " in result.error.text


@pytest.mark.parametrize("limits", [Limits(think_s=0.3), Limits(wall_s=0.3)], ids=["think", "wall"])
def test_an_initialize_that_never_returns_is_stopped_at_its_line(client, limits):
    class Stuck(HybridAlgorithm):
        def initialize(self, context):
            while True:
                sum(range(1000))

    result = client.run(Stuck, limits=limits)
    assert (result.state, result.error.kind, exit_code(result.error)) == ("failed", "AlgorithmTimeout", 1)
    assert "was reached before the algorithm's first step" in result.error.text
    assert result.error.text.endswith(", in initialize)")


def test_an_algorithm_that_heeds_no_stop_is_killed_at_its_line(client):
    @hybrid
    def deaf(context):
        context.metric("steps", 1)
        context.run(BELL)
        while True:
            try:
                while True:
                    sum(range(1000))
            except BaseException:  # noqa: BLE001 - as no algorithm should
                continue

    result = client.run(deaf, limits=Limits(think_s=0.3, finalize_s=0.1))
    assert (result.state, result.stop_reason, result.error.kind) == ("failed", "think", "AlgorithmTimeout")
    assert (
        "its think limit of 0.3 s a step was reached, and the algorithm did not stop within 0.1 s" in result.error.text
    )
    assert ", in deaf)" in result.error.text
    assert result.value == {"steps": 1.0}


def test_compiled_code_that_heeds_no_signal_is_killed_at_its_line(client):
    @hybrid
    def computing(context):
        context.run(BELL)
        matrix = np.random.default_rng(1).random((1500, 1500))
        while True:
            matrix = np.linalg.svd(matrix).U

    result = client.run(computing, limits=Limits(think_s=0.3, finalize_s=0.1))
    assert result.error.kind == "AlgorithmTimeout"
    assert ", in computing)" in result.error.text


def test_a_finalize_that_never_returns_is_killed_at_its_line(client):
    class Stuck(HybridAlgorithm):
        def initialize(self, context):
            return BELL

        def execute(self, result):
            return BELL

        def finalize(self, history):
            while True:
                sum(range(1000))

    result = client.run(Stuck, limits=Limits(steps=1, finalize_s=0.3))
    assert (result.state, result.stop_reason, result.error.kind) == ("failed", "steps", "AlgorithmTimeout")
    assert result.error.text.endswith(", in finalize)")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (lambda: {"psi": [print]}, "value['psi'][0] is of type builtins.builtin_function_or_method"),
        (lambda: np.zeros(3_000_000), "value is an array of 24000000 bytes"),
        (lambda: b"x" * 20_000_000, "at most 16777216 are kept"),
        (lambda: "\ud800", "not valid Unicode"),
    ],
    ids=["type", "array", "bytes", "text"],
)
def test_a_value_that_cannot_be_sent_is_a_failure_that_names_it(client, value, why):
    @hybrid
    def returning(context):
        context.metric("energy", 1.5)
        return value()

    result = client.run(returning)
    assert (result.state, result.error.kind, exit_code(result.error)) == ("failed", "ResultNotEncodable", 1)
    assert why in result.error.text
    assert result.value == {"energy": 1.5}


def test_a_value_with_code_of_its_own_can_do_no_more_than_fail(client):
    class Trap(dict):
        def items(self):
            raise RuntimeError("sprung")

    @hybrid
    def returning(context):
        return Trap(a=1)

    result = client.run(returning)
    assert (result.state, result.error.kind) == ("failed", "RuntimeError")
    assert "sprung" in result.error.text


def test_an_exception_with_code_of_its_own_can_do_no_more_than_fail(client):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    @hybrid
    def raising(context):
        raise Mute

    result = client.run(raising)
    assert result.error.kind == "Mute"
    assert "could not be shown" in result.error.text


def test_an_algorithm_that_closes_everything_fails_alone(client):
    @hybrid
    def closing(context):
        import os

        os.closerange(0, 100)
        context.run(BELL)

    result = client.run(closing)
    assert (result.state, exit_code(result.error)) == ("failed", 1)


def test_an_algorithm_that_speaks_on_the_runtimes_channel_fails_alone(client):
    @hybrid
    def shouting(context):
        import os
        import stat

        for fd in range(3, 64):
            try:
                if stat.S_ISSOCK(os.fstat(fd).st_mode):
                    os.write(fd, b"\xc0 is no message of ours")
            except OSError:
                continue
        # What it wrote is read while it goes on: its steps go another way, and may be over before that.
        for _ in range(20_000):
            context.run(BELL)

    result = client.run(shouting)
    assert (result.state, exit_code(result.error)) == ("failed", 1)
    assert "the algorithm's process misbehaved: malformed message" in result.error.text


def test_an_algorithm_that_lies_about_its_error_is_still_to_blame(client):
    @hybrid
    def lying(context):
        from hybrid_runtime.errors import BackendFailed

        raise BackendFailed("it was the backend")

    result = client.run(lying)
    assert (result.error.kind, exit_code(result.error)) == ("BackendFailed", 1)


def test_async_code_is_refused_with_advice(client):
    @hybrid
    async def asynchronous(context):
        return 1

    assert "write it with def, and without await" in client.run(asynchronous).error.text
