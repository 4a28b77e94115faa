"""A worker over its channel; the dispatcher is played by the test, in a thread of its own."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from hybrid_runtime import Circuit, Done, HybridAlgorithm, Limits, hybrid
from hybrid_runtime.bundle import bundle_object
from hybrid_runtime.classical import requests
from hybrid_runtime.classical import worker as module
from hybrid_runtime.classical.worker import STOP_SIGNAL, Worker
from hybrid_runtime.errors import ChannelClosed, CircuitRejected, StopRequested, as_data
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.protocol.bundles import Bundle, encode_bundle
from hybrid_runtime.protocol.messages import (
    Capabilities,
    Failed,
    Finalizing,
    Finished,
    FromWorker,
    Load,
    Note,
    Ready,
    ReceivedResults,
    Refused,
    ResultData,
    Step,
    Stop,
    decode,
    decoder,
    encode,
)
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.quantum.driver import ALL_OPERATIONS
from hybrid_runtime.values import decode_value, encode_value

PATIENCE_S = 20.0
BACKEND = Capabilities(name="lab", driver="x", qubits=5, max_shots=1000, operations=ALL_OPERATIONS)
ROTATED = Circuit("version 3.0\nqubit q\nbit b\nRx({theta}) q\nb = measure q", parameters=["theta"])


class Dispatcher:
    """The other end of the worker's channel."""

    def __init__(self, channel: SeqPacketChannel) -> None:
        self._channel = channel
        self._decoder = decoder(FromWorker)
        self.heard: list[Any] = []

    def hear(self, *kinds: type) -> Any:
        """The next message, of one of these kinds where any are given."""
        while True:
            message = decode(self._decoder, self._channel.receive(PATIENCE_S))
            self.heard.append(message)
            if not kinds or isinstance(message, kinds):
                return message

    def say(self, message: msgspec.Struct) -> None:
        self._channel.send(encode(message))

    def results(self, step: Step, count: int | None = None) -> None:
        rows = sum(call.rows for call in step.calls) if count is None else count
        self.say(ReceivedResults(step.number, [ResultData({"0": 3}, 3, 0.0, row) for row in range(rows)]))

    def stop(self, reason: str) -> None:
        """What the loop does to interrupt an algorithm that computes."""
        self.say(Stop(reason))
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, STOP_SIGNAL)


@pytest.fixture
def play(tmp_path) -> Iterator[Callable[..., list[Any]]]:
    """Runs a worker with an algorithm against a dispatcher that does as it is told; all that the worker said."""
    before = {number: signal.getsignal(number) for number in (STOP_SIGNAL, signal.SIGINT, signal.SIGTERM)}
    states = random.getstate(), np.random.get_state()

    def play(algorithm: Any, script: Callable[[Dispatcher], None], **fields: Any) -> list[Any]:
        ours, theirs = SeqPacketChannel.pair()
        dispatcher = Dispatcher(theirs)
        bundle = algorithm if isinstance(algorithm, Bundle) else bundle_object(algorithm)
        load = Load("job", encode_bundle(bundle), encode_value({}), 5, 3, Limits(), BACKEND)
        failures: list[BaseException] = []

        def run() -> None:
            try:
                assert isinstance(dispatcher.hear(), Ready)
                dispatcher.say(msgspec.structs.replace(load, **fields))
                script(dispatcher)
                if not isinstance(dispatcher.heard[-1], Finished | Failed):
                    dispatcher.hear(Finished, Failed)
            except BaseException as error:  # noqa: BLE001 - told to the test
                failures.append(error)
            finally:
                theirs.close()  # as the loop does when a job has ended: the worker waits for that

        thread = threading.Thread(target=run)
        thread.start()
        try:
            Worker(ours, tmp_path).run("process")
        finally:
            thread.join(PATIENCE_S)
            ours.close()
            theirs.close()
        if failures:
            raise failures[0]
        return dispatcher.heard[1:]

    yield play
    for number, handler in before.items():
        signal.signal(number, handler)
    random.setstate(states[0])
    np.random.set_state(states[1])


def nothing(dispatcher: Dispatcher) -> None:
    """A dispatcher that only listens."""


def answers(count: int) -> Callable[[Dispatcher], None]:
    """A dispatcher that answers so many steps."""

    def script(dispatcher: Dispatcher) -> None:
        for _ in range(count):
            dispatcher.results(dispatcher.hear(Step))

    return script


@hybrid
def twice(context):
    first = context.run(ROTATED.bind(theta=0.25))
    second = context.run(ROTATED.bind(theta=0.5))
    return [first.counts, second.counts]


# ------------------------------------------------------------------ steps


def test_a_program_is_sent_once_and_then_only_numbers(play):
    first, second, finished = play(twice, answers(2))
    assert (first.number, second.number) == (1, 2)
    assert len(first.programs) == 1
    assert second.programs == []
    assert first.calls[0].program == second.calls[0].program == first.programs[0][0]
    assert [np.frombuffer(step.calls[0].values).tolist() for step in (first, second)] == [[0.25], [0.5]]
    assert decode_value(finished.value) == [{"0": 3}] * 2


def test_circuits_of_one_template_are_the_rows_of_one_call(play):
    @hybrid
    def sweep(context):
        other = Circuit("version 3.0\nqubit[2] q\nbit b\nb = measure q[1]")
        batch = [ROTATED.bind(theta=0.1), ROTATED.bind(theta=0.2), other, ROTATED.bind(theta=0.3).with_shots(7)]
        return len(context.run(batch))

    (step, finished) = play(sweep, answers(1))
    assert [(call.rows, call.shots) for call in step.calls] == [(2, 3), (1, 3), (1, 7)]
    assert len(step.programs) == 2
    assert decode_value(finished.value) == 4


def test_metrics_and_logs_travel_with_the_next_message(play):
    @hybrid
    def reporting(context):
        context.metric("energy", 1)
        context.log("first")
        context.run(ROTATED.bind(theta=0))
        context.metric("energy", 2)

    heard = play(reporting, answers(1))
    reported = [message for message in heard if isinstance(message, Note | Step | Finished)]
    assert [metric for message in reported for metric in message.metrics] == [("energy", 1.0), ("energy", 2.0)]
    assert [line for message in reported for line in message.logs] == ["first"]
    assert decode_value(heard[-1].value) == {"energy": 2.0}


def test_what_was_reported_is_sent_before_finalize_begins(play):
    class Reporting(HybridAlgorithm):
        def initialize(self, context):
            self.context = context
            return ROTATED.bind(theta=0)

        def execute(self, result):
            self.context.metric("energy", 1)
            return Done(1)

    heard = play(Reporting, answers(1))
    finalizing = next(index for index, message in enumerate(heard) if isinstance(message, Finalizing))
    assert ("energy", 1.0) in [metric for message in heard[:finalizing] for metric in message.metrics]


def test_a_refused_step_is_raised_where_the_circuit_was_run_and_its_number_is_used_again(play):
    @hybrid
    def careful(context):
        try:
            context.run(ROTATED.bind(theta=0))
        except CircuitRejected as error:
            return [str(error), context.run(ROTATED.bind(theta=1)).counts]

    def script(dispatcher):
        step = dispatcher.hear(Step)
        dispatcher.say(Refused(step.number, as_data(CircuitRejected("too deep"))))
        dispatcher.results(dispatcher.hear(Step))

    first, second, finished = play(careful, script)
    assert (first.number, second.number, second.programs) == (1, 1, [])
    refusal, counts = decode_value(finished.value)
    assert refusal.startswith("too deep; ")
    assert f"made at {__file__}, line " in refusal
    assert counts == {"0": 3}


def test_a_circuit_that_does_not_compile_is_not_sent(play):
    @hybrid
    def typo(context):
        return context.run([ROTATED.bind(theta=0), Circuit("version 3.0\nqubit q\nHH q")])

    (failed,) = play(typo, nothing)
    assert (failed.stage, failed.error.kind) == ("initialize", "CircuitRejected")
    assert "(circuit 1 of the step)" in failed.error.text


def test_programs_of_a_step_that_was_not_sent_are_sent_with_the_next(play):
    @hybrid
    def careful(context):
        try:
            context.run([ROTATED.bind(theta=0), Circuit("version 3.0\nqubit q\nHH q")])
        except CircuitRejected:
            return context.run(ROTATED.bind(theta=0)).counts

    step, _ = play(careful, answers(1))
    assert len(step.programs) == 1


def different(count: int) -> list[Circuit]:
    return [
        Circuit(f"version 3.0\nqubit[2] q\nbit b\nwait({number}) q[0]\nb = measure q[1]") for number in range(count)
    ]


def test_too_many_different_circuits_are_refused_and_fewer_can_be_sent_then(play, monkeypatch):
    monkeypatch.setattr(requests, "MAX_PROGRAMS_PER_STEP", 3)
    circuits = different(5)

    @hybrid
    def many(context):
        try:
            context.run(circuits)
        except CircuitRejected as error:
            return [str(error), len(context.run(circuits[:3])), len(context.run(circuits[2:]))]

    first, second, finished = play(many, answers(2))
    assert decode_value(finished.value) == ["a step has at most 3 different circuits: split it", 3, 3]
    assert (len(first.programs), len(second.programs)) == (3, 2)


def test_a_step_that_is_too_large_to_send_is_refused_and_nothing_of_it_is_lost(play, monkeypatch):
    monkeypatch.setattr(module, "MAX_MESSAGE_BYTES", 2000)

    @hybrid
    def large(context):
        context.metric("before", 1)
        try:
            context.run([ROTATED.bind(theta=number) for number in range(1000)])
        except CircuitRejected as error:
            return [str(error), len(context.run([ROTATED.bind(theta=0)]))]

    heard = play(large, answers(1))
    (step,) = [message for message in heard if isinstance(message, Step)]
    assert (step.number, len(step.programs)) == (1, 1)
    assert ("before", 1.0) in [metric for message in heard for metric in message.metrics]
    refusal, count = decode_value(heard[-1].value)
    assert "at most 2000 are sent: split it" in refusal
    assert count == 1


def test_programs_that_are_dropped_here_are_forgotten_there(play, monkeypatch):
    monkeypatch.setattr(requests, "Compiler", lambda: Compiler(max_programs=2))
    circuits = different(4)

    @hybrid
    def one_by_one(context):
        for circuit in circuits:
            context.run(circuit)

    steps = play(one_by_one, answers(4))[:-1]
    sent = [number for step in steps for number, _ in step.programs]
    assert [step.forget for step in steps] == [[], [], [sent[0]], [sent[1]]]


@pytest.mark.parametrize("shots", [1.5, "many", int, 10**30, [3]])
def test_shots_that_are_no_number_of_shots_are_refused(play, shots):
    circuit = ROTATED.bind(theta=0).with_shots(shots)
    (failed,) = play(lambda context: context.run(circuit), nothing)
    assert failed.error.kind == "CircuitRejected"
    assert "shots is a whole number, not" in failed.error.text


def test_numpy_shots_are_taken(play):
    shots: Any = np.int64(9)
    circuit = ROTATED.bind(theta=0).with_shots(shots)
    step, _ = play(lambda context: context.run(circuit).shots_requested, answers(1))
    assert step.calls[0].shots == 9


def test_an_answer_of_the_wrong_length_is_not_taken(play):
    def script(dispatcher):
        dispatcher.results(dispatcher.hear(Step), count=2)

    failed = play(twice, script)[-1]
    assert failed.error.kind == "ProtocolError"
    assert failed.error.text.startswith("1 circuits were answered by 2 results")


# ------------------------------------------------------------------ stops


def test_a_stop_as_an_answer_is_raised_in_the_algorithm(play):
    @hybrid
    def stopping(context):
        try:
            context.run(ROTATED.bind(theta=0))
        except StopRequested as stop:
            return [stop.reason, context.stop_requested, context.history.stop_reason.value]

    def script(dispatcher):
        dispatcher.hear(Step)
        dispatcher.say(Stop("wall"))

    assert decode_value(play(stopping, script)[-1].value) == ["wall", True, "wall"]


def test_a_stop_interrupts_an_algorithm_that_computes(play):
    @hybrid
    def computing(context):
        context.run(ROTATED.bind(theta=0))
        context.log("computing")
        try:
            while True:
                context.metric("x", 1)  # sends notes now and then
        except StopRequested as stop:
            return stop.reason

    def script(dispatcher):
        dispatcher.results(dispatcher.hear(Step))
        dispatcher.hear(Note)
        dispatcher.stop("think")

    assert decode_value(play(computing, script)[-1].value) == "think"


def test_a_stop_that_comes_before_the_job_is_loaded_is_raised_as_it_is(play):
    def script(dispatcher):
        dispatcher.stop("cancelled")

    # The signal may meet the worker anywhere between its first message and the algorithm's end.
    @hybrid
    def waiting(context):
        while True:
            sum(range(100))

    failed = play(waiting, script)[-1]
    assert (failed.error.kind, failed.error.family) == ("AlgorithmTimeout", "AlgorithmTimeout")


def test_a_stop_that_comes_with_the_results_leaves_them_in_the_history(play):
    class Stopped(HybridAlgorithm):
        def initialize(self, context):
            return ROTATED.bind(theta=0)

        def execute(self, result):
            while True:
                sum(range(100))

        def finalize(self, history):
            return [history.steps, history.stop_reason.value]

    def script(dispatcher):
        step = dispatcher.hear(Step)
        dispatcher.results(step)
        dispatcher.stop("cancelled")

    for _ in range(20):
        assert decode_value(play(Stopped, script)[-1].value) == [1, "cancelled"]


def test_a_stop_that_crosses_a_step_is_its_answer(play):
    @hybrid
    def stepping(context):
        steps = 0
        try:
            while True:
                context.run(ROTATED.bind(theta=0))
                steps += 1
        except StopRequested as stop:
            return [stop.reason, steps]

    def script(dispatcher):
        dispatcher.hear(Step)
        dispatcher.stop("cancelled")

    assert decode_value(play(stepping, script)[-1].value) == ["cancelled", 0]


def test_messages_are_whole_whenever_a_stop_comes(play):
    @hybrid
    def flooding(context):
        while True:
            context.log("x" * 8000)

    def script(dispatcher):
        dispatcher.hear(Note)
        dispatcher.stop("think")

    for _ in range(5):
        # A note of many packets that was cut short would be a broken protocol for the dispatcher.
        assert isinstance(play(flooding, script)[-1], Failed)


def test_finalize_is_not_interrupted(play):
    class Finalizing_(HybridAlgorithm):
        def initialize(self, context):
            return ROTATED.bind(theta=0)

        def execute(self, result):
            return Done(1)

        def finalize(self, history):
            os.kill(os.getpid(), STOP_SIGNAL)
            return "finalized"

    assert decode_value(play(Finalizing_, answers(1))[-1].value) == "finalized"


# ------------------------------------------------------------------ ends


def test_a_value_that_cannot_be_sent_is_a_failure_of_finalize(play):
    failed = play(lambda context: print, nothing)[-1]
    assert (failed.stage, failed.error.kind) == ("finalize", "ResultNotEncodable")


def test_a_partial_value_that_cannot_be_sent_is_left_out_with_a_note(play):
    class Failing(HybridAlgorithm):
        def initialize(self, context):
            context.metric("energy", 2)
            return ROTATED.bind(theta=0)

        def execute(self, result):
            raise ValueError("first")

        def finalize(self, history):
            return print

    failed = play(Failing, answers(1))[-1]
    assert (failed.stage, failed.error.kind) == ("execute", "ValueError")
    assert decode_value(failed.value) == {"energy": 2.0}
    assert any("the partial result was left out" in line for line in failed.logs)


def test_a_bundle_that_cannot_be_read_is_a_failure_to_load(play):
    failed = play(twice, nothing, bundle=b"nonsense")[-1]
    assert (failed.stage, failed.error.family) == ("load", "BundleError")


def test_random_generators_are_seeded_from_the_job(play):
    @hybrid
    def dice(context):
        return [random.random(), float(np.random.rand()), float(context.rng.random())]

    values = [decode_value(play(dice, nothing, seed=seed)[-1].value) for seed in (5, 5, 6)]
    assert values[0] == values[1]
    assert all(one != other for one, other in zip(values[0], values[2], strict=True))


def test_a_worker_whose_dispatcher_is_gone_ends(play):
    def leave(dispatcher):
        dispatcher.hear(Step)
        raise LeavingError

    with pytest.raises(ChannelClosed):
        play(twice, leave)


class LeavingError(Exception):
    """The dispatcher's part of a test is over."""
