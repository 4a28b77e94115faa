"""The loop, between a client, workers and a quantum runtime that are all played by the test."""

from __future__ import annotations

import gc
import os
import queue
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hybrid_runtime.dispatcher import backend as backend_module
from hybrid_runtime.dispatcher import journal as journal_module
from hybrid_runtime.dispatcher import recovery
from hybrid_runtime.dispatcher.loop import Dispatcher
from hybrid_runtime.errors import (
    BackendFailed,
    BackendUnknown,
    ChannelClosed,
    CircuitRejected,
    ErrorData,
    InternalError,
    as_data,
)
from hybrid_runtime.limits import Limits
from hybrid_runtime.program import Program
from hybrid_runtime.protocol.control import (
    Cancel,
    Ended,
    FromDispatcher,
    Log,
    Open,
    Pause,
    Paused,
    Progress,
    Restarted,
    Submit,
    Unavailable,
)
from hybrid_runtime.protocol.messages import (
    PROTOCOL_VERSION,
    CircuitCall,
    Define,
    Execute,
    Executed,
    Failed,
    Failure,
    Finished,
    Forget,
    Load,
    More,
    Moved,
    Note,
    Ready,
    ReceivedResults,
    Refused,
    Replay,
    ResultData,
    Serving,
    Stop,
    ToQuantum,
    ToWorker,
    decode,
    decoder,
    derive_seed,
    derive_seeds,
    encode,
)
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.values import decode_value, encode_value

from .conftest import BACKEND, PROGRAM, make_step

PATIENCE_S = 20.0


class Worker:
    """A worker as the dispatcher sees it; `peer` is the end of its channel that the test plays."""

    pids = iter(range(10_000, 99_999))

    def __init__(self) -> None:
        self.pid = next(self.pids)
        self.channel, self.peer = SeqPacketChannel.pair()
        self.stdout, self.prints = os.pipe()
        self.stderr, self.warns = os.pipe()
        self.signals: queue.Queue[str] = queue.Queue()
        self.closed = False
        self._decoder = decoder(ToWorker)

    def _signal(self, name: str) -> None:
        assert not self.closed, f"{name} of a worker that was closed"
        self.signals.put(name)

    def interrupt(self) -> None:
        self._signal("interrupt")

    def dump(self) -> None:
        self._signal("dump")

    def kill(self) -> None:
        if not self.closed:
            self._signal("kill")

    def close(self) -> None:
        self.closed = True
        self.channel.close()
        os.close(self.stdout)
        os.close(self.stderr)

    # What the test does.

    def say(self, message: msgspec.Struct) -> None:
        self.peer.send(encode(message))

    def hear(self) -> Any:
        return decode(self._decoder, self.peer.receive(PATIENCE_S))

    def hear_signal(self) -> str:
        return self.signals.get(timeout=PATIENCE_S)

    def end(self) -> None:
        self.peer.close()
        os.close(self.prints)
        os.close(self.warns)


class Here:
    """What runs steps in the dispatcher's process: those of one circuit, unless it is told what to answer."""

    def __init__(self) -> None:
        self.programs: set[int] = set()
        self.answers: list[Failure] = []
        # Seconds that each row is said to take.
        self.each_s = 0.0

    def define(self, number: int, program: Program) -> None:
        assert isinstance(program, Program)
        self.programs.add(number)

    def forget(self, numbers: Iterable[int]) -> None:
        self.programs.difference_update(numbers)

    def seconds(self, calls: list[CircuitCall]) -> float | None:
        return self.each_s * calls[0].rows if len(calls) == 1 and calls[0].program in self.programs else None

    def answer(self, calls: list[CircuitCall], seed: int) -> Executed | Failure:
        if self.answers:
            return self.answers.pop()
        rows = calls[0].rows
        found = [ResultData({"1": 10}, 10, 0.001, row) for row in derive_seeds(seed, 0, rows)]
        return Executed(0, 10 * rows, 0.001 * rows, msgspec.Raw(encode(found)))


class Quantum:
    """The process of a quantum runtime as the dispatcher sees it; `peer` is the end that the test plays.

    `reborn` is what the process does when it is started again: end at once, unless a test says otherwise.
    """

    def __init__(self) -> None:
        self.channel, self.peer = SeqPacketChannel.pair()
        self.reborn: Callable[[SeqPacketChannel], None] = SeqPacketChannel.close
        # One entry for each start.
        self.started: queue.Queue[None] = queue.Queue()
        self._former: list[SeqPacketChannel] = []
        self.here: Here | None = None
        # One entry for each time that it was asked what may run in the dispatcher's process.
        self.asked_for_inline: queue.Queue[None] = queue.Queue()

    def start(self) -> None:
        self.channel.close()
        self._former.append(self.peer)
        self.channel, self.peer = SeqPacketChannel.pair()
        self.reborn(self.peer)
        self.started.put(None)

    def inline(self) -> Here | None:
        self.asked_for_inline.put(None)
        return self.here

    def close(self) -> None:
        for channel in (self.channel, self.peer, *self._former):
            channel.close()


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch) -> None:
    monkeypatch.setattr(recovery, "FIRST_WAIT_S", 0.001)


class Pool:
    """A source of workers that has what the test offers."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._idle: deque[Worker] = deque()
        self._news: deque[tuple[int, int] | Exception] = deque()
        self.gone = False
        # One entry for each time that a worker was wanted and there was none.
        self.wanted: queue.Queue[None] = queue.Queue()
        # One entry for each time that others were to be started.
        self.refills: queue.Queue[None] = queue.Queue()
        # One entry for each time that nobody wanted any.
        self.rests: queue.Queue[None] = queue.Queue()

    def lease_nowait(self) -> Worker | None:
        if self.gone:
            raise ChannelClosed("the fork server is gone")
        if self._idle:
            return self._idle.popleft()
        self.wanted.put(None)
        return None

    def refill(self) -> None:
        self.refills.put(None)

    def rest(self) -> None:
        self.rests.put(None)

    def on_readable(self) -> list[tuple[int, int]]:
        self._ours.recv(1)
        news = self._news.popleft() if self._news else None
        if isinstance(news, Exception):
            raise news
        return [news] if news else []

    def fileno(self) -> int:
        return self._ours.fileno()

    # What the test does.

    def offer(self) -> Worker:
        worker = Worker()
        self._idle.append(worker)
        self._theirs.send(b".")
        return worker

    def tell(self, news: tuple[int, int] | Exception) -> None:
        self._news.append(news)
        self._theirs.send(b".")

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


class Stage:
    """A dispatcher that runs in a thread, and everybody around it."""

    def __init__(self, backends: int = 1, **settings: Any) -> None:
        self.client, control = SeqPacketChannel.pair()
        self.backends = [Quantum() for _ in range(backends)]
        self.pool = Pool()
        self.workers: list[Worker] = []
        self._held: list[Any] = [control, *self.backends]
        self._from_dispatcher = decoder(FromDispatcher)
        self._to_quantum = decoder(ToQuantum)
        self.dispatcher = Dispatcher(control, self.pool, self.backends, **settings)
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def quantum(self) -> SeqPacketChannel:
        """The first quantum runtime's end of its channel."""
        return self.backends[0].peer

    def _run(self) -> None:
        try:
            self.dispatcher.run()
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.failure = error

    def wait_ended(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def serve(self) -> None:
        self.answer(Serving(PROTOCOL_VERSION, BACKEND))
        assert self.told(Open) == Open(BACKEND)

    def submit(self, name: str, limits: Limits | None = None, seed: int = 5, **more: Any) -> None:
        self.client.send(encode(Submit(name, b"bundle", encode_value({}), seed, 10, limits or Limits(), **more)))

    def start(self, name: str = "job", limits: Limits | None = None, **more: Any) -> Worker:
        """A worker that has this job."""
        worker = self.pool.offer()
        self.workers.append(worker)
        self.submit(name, limits, **more)
        load = worker.hear()
        assert isinstance(load, Load)
        assert load.job_id == name
        return worker

    def told(self, kind: type | None = None) -> Any:
        """The next message to the client, of this kind."""
        while True:
            message = decode(self._from_dispatcher, self.client.receive(PATIENCE_S))
            if kind is None or isinstance(message, kind):
                return message

    def asked(self) -> Execute:
        """The next request to the quantum runtime."""
        while True:
            message = self.asked_or_told()
            if isinstance(message, Execute):
                return message

    def asked_of(self, quantum: Quantum) -> Execute:
        """The next request to this quantum runtime."""
        while True:
            message = decode(self._to_quantum, quantum.peer.receive(PATIENCE_S))
            if isinstance(message, Execute):
                return message

    def asked_or_told(self) -> Any:
        return decode(self._to_quantum, self.quantum.receive(PATIENCE_S))

    def defined_and_asked(self) -> tuple[Define, Execute]:
        """The next two messages to the quantum runtime: a program, and a request to run that."""
        define, request = self.asked_or_told(), self.asked_or_told()
        assert isinstance(define, Define)
        assert isinstance(request, Execute)
        assert request.calls[0].program == define.program
        return define, request

    def answer(self, message: msgspec.Struct) -> None:
        self.quantum.send(encode(message))

    def execute(self, request: Execute, size: int = 1, *, by: Quantum | None = None) -> None:
        """Answer a request; `size` makes the answer large."""
        item = ResultData({"0": 10}, 10, 0.001, 1, ["0"] * size if size > 1 else None)
        message = Executed(request.request, 10, 0.001, msgspec.Raw(encode([item])))
        (by or self.backends[0]).peer.send(encode(message))

    def end(self) -> None:
        """The client goes away."""
        self.client.close()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        self.pool.close()
        for channel in self._held:
            channel.close()
        for worker in self.workers:
            worker.end()
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def make_stage() -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(**settings: Any) -> Stage:
        made.append(Stage(**settings))
        return made[-1]

    yield make
    for stage in made:
        stage.end()


@pytest.fixture
def stage(make_stage) -> Stage:
    """A stage whose quantum runtime serves."""
    stage: Stage = make_stage()
    stage.serve()
    return stage


def complete(stage: Stage, worker: Worker, name: str) -> Ended:
    """One step and the end of a job."""
    worker.say(make_step(1))
    stage.execute(stage.asked())
    assert isinstance(worker.hear(), ReceivedResults)
    worker.say(Finished(encode_value("done")))
    ended: Ended = stage.told(Ended)
    assert ended.job_id == name
    return ended


# ------------------------------------------------------------------ the plain way


def test_a_job_is_stepped_between_its_worker_and_the_quantum_runtime(stage):
    worker = stage.start()
    worker.say(Ready(PROTOCOL_VERSION, 1, "strict"))
    worker.say(make_step(1))
    define, request = stage.defined_and_asked()
    stage.execute(request)
    results = worker.hear()
    assert (results.number, results.items[0].counts) == (1, {"0": 10})
    worker.say(Finished(encode_value({"energy": 1.5})))
    ended = stage.told(Ended)
    assert (ended.state, ended.steps, ended.shots, ended.isolation) == ("completed", 1, 10, "strict")
    assert decode_value(ended.value) == {"energy": 1.5}
    assert worker.hear_signal() == "kill"
    # Its programs are not needed any more.
    assert stage.asked_or_told() == Forget([define.program])


def test_a_worker_is_replaced_while_it_has_a_job_that_lasts(stage):
    stage.dispatcher._refill_s = 0.001
    stage.start("job")
    stage.pool.refills.get(timeout=PATIENCE_S)


def test_a_worker_whose_job_was_short_is_replaced_at_its_end(stage):
    stage.dispatcher._refill_s = PATIENCE_S
    worker = stage.start("job")
    complete(stage, worker, "job")
    stage.pool.refills.get(timeout=PATIENCE_S)
    assert stage.pool.refills.empty()


def test_the_classical_runtime_hears_of_quiet_before_the_first_job_and_after_each(stage):
    stage.pool.rests.get(timeout=PATIENCE_S)
    worker = stage.start("job")
    complete(stage, worker, "job")
    stage.pool.rests.get(timeout=PATIENCE_S)


def test_jobs_wait_for_the_backend_and_for_workers(make_stage):
    stage = make_stage()
    stage.submit("early")
    worker = stage.pool.offer()
    stage.workers.append(worker)
    stage.answer(Serving(PROTOCOL_VERSION, BACKEND))
    assert isinstance(worker.hear(), Load)
    assert complete(stage, worker, "early").state == "completed"


def test_steps_of_several_jobs_are_run_in_the_order_of_asking(stage):
    one, two, three = (stage.start(name) for name in ("one", "two", "three"))
    for worker in (one, two, three):
        worker.say(make_step(1))
    for worker in (one, two, three):
        stage.execute(stage.asked())
        assert isinstance(worker.hear(), ReceivedResults)


def test_seeds_of_a_job_do_not_depend_on_other_jobs(stage):
    seeds = []
    for name in ("one", "two"):
        worker = stage.start(name)
        worker.say(make_step(1))
        request = stage.asked()
        seeds.append(request.seed)
        stage.execute(request)
        worker.hear()
    assert seeds[0] == seeds[1]


# ------------------------------------------------------------------ answers that nobody waits for


def test_an_answer_for_a_job_that_died_meanwhile_harms_nobody(stage):
    dying, living = stage.start("dying"), stage.start("living")
    dying.say(make_step(1))
    request = stage.asked()
    stage.pool.tell((dying.pid, -11))
    assert stage.told(Ended).error.kind == "WorkerLost"
    stage.execute(request)
    assert complete(stage, living, "living").state == "completed"


def test_an_answer_for_a_job_that_misbehaved_meanwhile_harms_nobody(stage):
    bad, good = stage.start("bad"), stage.start("good")
    bad.say(make_step(1))
    request = stage.asked()
    bad.say(make_step(1))
    assert "misbehaved" in stage.told(Ended).error.text
    stage.execute(request)
    stage.pool.tell((bad.pid, -9))
    assert complete(stage, good, "good").state == "completed"


def test_a_step_that_waits_its_turn_is_not_run_once_its_job_has_ended(stage):
    first, second, third = (stage.start(name) for name in ("first", "second", "third"))
    first.say(make_step(1))
    request = stage.asked()
    for worker in (second, third):
        worker.say(make_step(1))
    stage.pool.tell((second.pid, -9))
    assert stage.told(Ended).job_id == "second"
    stage.execute(request)
    first.hear()
    stage.execute(stage.asked())
    assert isinstance(third.hear(), ReceivedResults)


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_worker_that_closed_its_channel_is_killed_and_results_for_it_harm_nobody(stage, size):
    closing, good = stage.start("closing"), stage.start("good")
    closing.say(make_step(1))
    request = stage.asked()
    closing.peer.close()
    assert closing.hear_signal() == "kill"
    stage.execute(request, size)
    stage.pool.tell((closing.pid, -9))
    assert stage.told(Ended).job_id == "closing"
    assert complete(stage, good, "good").state == "completed"


def test_large_results_arrive_whole(stage):
    worker = stage.start()
    worker.say(make_step(1))
    stage.execute(stage.asked(), 500_000)
    assert len(worker.hear().items[0].raw) == 500_000


def test_what_a_worker_said_before_it_died_still_counts(stage):
    worker = stage.start()
    os.write(worker.prints, b"last words")
    worker.say(Finished(encode_value(7)))
    stage.pool.tell((worker.pid, 0))
    lines = []
    while not isinstance(message := stage.told(), Ended):
        lines += message.lines if isinstance(message, Log) else []
    assert (message.state, decode_value(message.value), lines) == ("completed", 7, ["last words"])


def test_a_message_that_cannot_be_read_ends_its_job_only(stage):
    bad, good = stage.start("bad"), stage.start("good")
    bad.peer.send(b"\xc1\xc1\xc1\xc1\xc1\xc1\xc1")
    assert "misbehaved" in stage.told(Ended).error.text
    assert bad.hear_signal() == "kill"
    assert complete(stage, good, "good").state == "completed"


# ------------------------------------------------------------------ the quantum runtime goes away


def test_every_job_is_told_when_the_quantum_runtime_is_gone_and_each_keeps_what_it_has(stage):
    waiting, computing = stage.start("waiting"), stage.start("computing")
    waiting.say(make_step(1))
    stage.execute(stage.asked())
    waiting.hear()
    waiting.say(make_step(2))
    stage.asked()
    stage.quantum.close()
    assert waiting.hear() == Stop("error")
    assert computing.hear() == Stop("error")
    assert computing.hear_signal() == "interrupt"
    for worker, name in ((waiting, "waiting"), (computing, "computing")):
        worker.say(Finished(encode_value("partial")))
        ended = stage.told(Ended)
        assert (ended.job_id, ended.state, ended.error.family) == (name, "failed", "BackendFailed")
        assert decode_value(ended.value) == "partial"


def test_the_loss_of_the_quantum_runtime_is_told_once_and_later_jobs_fail_at_once(stage):
    stage.quantum.close()
    lost = stage.told(Unavailable)
    for name in ("one", "two"):
        stage.submit(name)
        # Nothing came in between: the loop does not go round in circles over the closed channel.
        ended = stage.told()
        assert (ended.job_id, ended.state, ended.error) == (name, "failed", lost.error)


def test_a_step_that_is_asked_for_after_the_loss_is_answered_by_a_stop(stage):
    worker = stage.start()
    stage.quantum.close()
    stage.told(Unavailable)
    worker.say(make_step(1))
    assert worker.hear() == Stop("error")


def test_a_backend_that_cannot_start_is_told_as_it_says_itself(make_stage):
    stage = make_stage()
    stage.submit("waiting")
    error = as_data(BackendUnknown("no driver is named 'x'"))
    stage.answer(Failure(0, error))
    assert stage.told() == Unavailable(error)
    ended = stage.told()
    assert (ended.job_id, ended.error) == ("waiting", error)
    # That it ends then is no news.
    stage.quantum.close()
    stage.submit("later")
    assert stage.told().job_id == "later"


def test_a_quantum_runtime_of_another_version_is_not_used(make_stage):
    stage = make_stage()
    newer = Serving(PROTOCOL_VERSION + 1, BACKEND)
    stage.backends[0].reborn = lambda peer: peer.send(encode(newer))
    stage.answer(newer)
    assert "version" in stage.told(Unavailable).error.text


def test_a_quantum_runtime_that_sends_nonsense_is_not_used_any_more(stage):
    worker = stage.start()
    worker.say(make_step(1))
    stage.asked()
    stage.backends[0].reborn = lambda peer: peer.send(b"nonsense")
    stage.quantum.send(b"nonsense")
    assert "malformed" in stage.told(Unavailable).error.text
    assert worker.hear() == Stop("error")


def test_a_request_that_could_not_be_read_is_a_failure_of_that_step(stage):
    worker = stage.start()
    worker.say(make_step(1))
    stage.asked()
    stage.answer(Failure(0, as_data(BackendFailed("malformed message"))))
    assert worker.hear() == Stop("error")


def test_a_quantum_runtime_that_hangs_twice_over_a_step_fails_that_step(make_stage, monkeypatch):
    monkeypatch.setattr(backend_module, "GRACE_S", 0.05)
    stage = make_stage(execute_timeout_s=0.05)
    stage.backends[0].reborn = lambda peer: peer.send(encode(Serving(PROTOCOL_VERSION, BACKEND)))
    stage.serve()
    quick, hanging = stage.start("quick"), stage.start("hanging")
    quick.say(make_step(1))
    stage.execute(stage.asked())
    quick.hear()
    hanging.say(make_step(1))
    assert stage.asked().timeout_s == 0.05
    assert hanging.hear() == Stop("error")
    hanging.say(Finished(encode_value("partial")))
    assert stage.told(Ended).error.family == "BackendTimeout"
    for _ in range(2):
        stage.backends[0].started.get(timeout=PATIENCE_S)
    quick.say(make_step(2))
    stage.execute(stage.asked())
    assert isinstance(quick.hear(), ReceivedResults)


# ------------------------------------------------------------------ the quantum runtime comes back, or another one


SERVING = encode(Serving(PROTOCOL_VERSION, BACKEND))
OTHER = msgspec.structs.replace(BACKEND, name="other", operations=("H", "Rx", "measure"))


def test_a_quantum_runtime_that_is_lost_is_started_again_and_asked_once_more(stage):
    flying, thinking = stage.start("flying"), stage.start("thinking")
    thinking.say(make_step(1))
    stage.execute(stage.asked())
    thinking.hear()
    flying.say(make_step(1))
    request = stage.asked()
    quantum = stage.backends[0]
    quantum.reborn = lambda peer: peer.send(SERVING)
    quantum.peer.close()
    quantum.started.get(timeout=PATIENCE_S)
    # Programs of both jobs are defined again, and the step that was under way is the first to be asked for.
    defined = [stage.asked_or_told() for _ in range(2)]
    assert all(isinstance(message, Define) for message in defined)
    again = stage.asked()
    assert (again.seed, again.calls) == (request.seed, request.calls)
    stage.execute(again)
    assert isinstance(flying.hear(), ReceivedResults)
    thinking.say(make_step(2))
    stage.execute(stage.asked())
    assert isinstance(thinking.hear(), ReceivedResults)


def test_a_step_that_fails_for_a_moment_is_tried_again(stage):
    worker = stage.start()
    worker.say(make_step(1))
    for _ in range(2):
        request = stage.asked()
        stage.answer(Failure(request.request, as_data(BackendFailed("warm")), transient=True))
    stage.execute(stage.asked())
    assert isinstance(worker.hear(), ReceivedResults)


def test_a_step_that_goes_on_failing_goes_to_the_next_backend_and_the_job_with_it(make_stage, journal):
    stage = make_stage(backends=2)
    stage.serve()
    other = stage.backends[1]
    other.reborn = lambda peer: peer.send(encode(Serving(PROTOCOL_VERSION, OTHER)))
    worker = stage.start(**journal)
    worker.say(make_step(1))
    first = stage.asked()
    stage.answer(Failure(first.request, as_data(BackendFailed("cold"))))
    other.started.get(timeout=PATIENCE_S)
    request = stage.asked_of(other)
    assert (request.calls, request.seed) == (first.calls, first.seed)
    stage.execute(request, by=other)
    assert worker.hear() == Moved(OTHER)
    assert isinstance(worker.hear(), ReceivedResults)
    worker.say(Finished(encode_value("done")))
    ended = stage.told(Ended)
    assert (ended.state, ended.backends) == ("completed", ["lab", "other"])
    assert journal_module.Moved(OTHER) in list(journal_module.read(Path(journal["journal"])))
    # New jobs still begin at the first one.
    stage.start("next").say(make_step(1))
    assert isinstance(stage.asked(), Execute)


def test_circuits_that_the_next_backend_cannot_run_are_refused_by_it(make_stage):
    stage = make_stage(backends=2)
    stage.serve()
    small = msgspec.structs.replace(BACKEND, name="small", operations=("H",))
    stage.backends[1].reborn = lambda peer: peer.send(encode(Serving(PROTOCOL_VERSION, small)))
    worker = stage.start()
    worker.say(make_step(1))
    stage.answer(Failure(stage.asked().request, as_data(BackendFailed("cold"))))
    assert worker.hear() == Moved(small)
    refused = worker.hear()
    assert isinstance(refused, Refused)
    assert "small cannot execute Rx" in refused.error.text


def test_when_a_backend_is_lost_for_good_every_job_goes_to_the_next(make_stage):
    stage = make_stage(backends=2)
    stage.serve()
    other = stage.backends[1]
    other.reborn = lambda peer: peer.send(encode(Serving(PROTOCOL_VERSION, OTHER)))
    worker = stage.start()
    stage.quantum.close()
    other.started.get(timeout=PATIENCE_S)
    assert worker.hear() == Moved(OTHER)
    late = stage.start("late")
    for one in (worker, late):
        one.say(make_step(1))
        stage.execute(stage.asked_of(other), by=other)
        assert isinstance(one.hear(), ReceivedResults)


# ------------------------------------------------------------------ the classical runtime goes away


def test_a_worker_that_could_not_be_started_fails_one_job_only(stage):
    running = stage.start("running")
    for name in ("first", "second"):
        stage.submit(name)
        stage.pool.wanted.get(timeout=PATIENCE_S)
    stage.pool.tell(InternalError("cannot start a worker: no processes left"))
    ended = stage.told(Ended)
    assert (ended.job_id, ended.error.text) == ("first", "cannot start a worker: no processes left")
    second = stage.pool.offer()
    stage.workers.append(second)
    assert second.hear().job_id == "second"
    assert complete(stage, running, "running").state == "completed"


def test_a_dispatcher_that_loses_its_workers_with_their_classical_runtime_ends(stage):
    stage.start("running")
    stage.pool.tell(ChannelClosed("the fork server is gone"))
    stage.wait_ended()
    assert stage.dispatcher.failed


def test_no_job_can_be_run_where_the_classical_runtime_never_served(stage):
    stage.submit("waiting")
    stage.pool.tell(ChannelClosed("the fork server is gone"))
    assert isinstance(stage.told(Unavailable), Unavailable)
    stage.submit("later")
    for name in ("waiting", "later"):
        ended = stage.told(Ended)
        assert (ended.job_id, ended.state, ended.error.family) == (name, "failed", "InternalError")
        assert "the fork server is gone" in ended.error.text


def test_a_classical_runtime_that_is_gone_may_be_noticed_when_a_worker_is_wanted(stage):
    stage.pool.gone = True
    stage.submit("job")
    assert isinstance(stage.told(), Unavailable)
    assert stage.told().job_id == "job"


# ------------------------------------------------------------------ stops, deadlines, cancels


def test_a_thinking_limit_interrupts_dumps_and_kills(stage):
    worker = stage.start(limits=Limits(think_s=0.02, finalize_s=0.02))
    assert worker.hear() == Stop("think")
    assert [worker.hear_signal() for _ in range(3)] == ["interrupt", "dump", "kill"]
    os.write(worker.warns, b'Stack (most recent call first):\n  File "/x/bundle/a.py", line 3 in loop\n')
    stage.pool.tell((worker.pid, -9))
    ended = stage.told(Ended)
    assert ended.error.text.endswith("it was killed (a.py, line 3, in loop)")
    assert (ended.state, ended.stop_reason) == ("failed", "think")


def test_limits_of_years_do_no_harm(stage):
    worker = stage.start(limits=Limits(wall_s=1e9, think_s=1e300))
    assert complete(stage, worker, "job").state == "completed"


def test_a_job_that_waits_for_a_worker_can_be_cancelled(stage):
    stage.submit("waiting")
    stage.client.send(encode(Cancel("waiting")))
    ended = stage.told(Ended)
    assert (ended.state, ended.stop_reason, ended.error.family) == ("cancelled", "cancelled", "JobCancelled")


def test_a_job_can_be_cancelled_and_killed(stage):
    worker = stage.start()
    stage.client.send(encode(Cancel("job")))
    assert worker.hear() == Stop("cancelled")
    assert worker.hear_signal() == "interrupt"
    stage.client.send(encode(Cancel("job", kill=True)))
    assert worker.hear_signal() == "kill"
    stage.pool.tell((worker.pid, -9))
    assert stage.told(Ended).state == "cancelled"


def test_cancels_of_unknown_jobs_are_not_heeded(stage):
    stage.client.send(encode(Cancel("unknown", kill=True)))
    assert complete(stage, stage.start(), "job").state == "completed"


# ------------------------------------------------------------------ what the client is told


def test_a_change_of_state_is_told_at_once(stage):
    worker = stage.start()
    worker.say(make_step(1))
    assert stage.told(Progress).state == "running"


def test_a_job_that_takes_long_to_begin_is_told_of_before_its_first_step(stage):
    stage.start()
    assert stage.told(Progress).state == "starting"


def test_metrics_are_told_soon_also_when_nothing_else_happens(stage):
    worker = stage.start()
    stage.told(Progress)
    worker.say(Note([("energy", 1.0)], ["a line"]))
    assert stage.told(Log).lines == ["a line"]
    assert stage.told(Progress).metrics == [("energy", 1.0)]


def test_printed_lines_are_told_by_their_stream(stage):
    worker = stage.start()
    os.write(worker.prints, b"out\n")
    assert stage.told(Log) == Log("job", "stdout", ["out"])
    os.write(worker.warns, b"err\n")
    assert stage.told(Log) == Log("job", "stderr", ["err"])


def test_a_stream_that_the_algorithm_closes_is_watched_no_more(stage):
    worker = stage.start()
    os.close(worker.prints)
    worker.prints = os.dup(worker.warns)
    assert complete(stage, worker, "job").state == "completed"


# ------------------------------------------------------------------ ends


def test_an_ended_job_is_not_kept_in_memory(stage):
    worker = stage.start(limits=Limits(wall_s=1000, think_s=1000))
    complete(stage, worker, "job")
    stage.pool.tell((worker.pid, 0))
    # Another whole job: by then the loop has done all it had to do for the first.
    complete(stage, stage.start("other"), "other")
    assert worker.closed
    worker.end()
    stage.workers.remove(worker)
    reference = weakref.ref(worker)
    del worker
    deadline = time.monotonic() + PATIENCE_S
    while reference() is not None and time.monotonic() < deadline:
        gc.collect()
    assert reference() is None


def test_all_workers_are_killed_when_the_client_goes_away(make_stage):
    stage = make_stage()
    stage.serve()
    worker = stage.start()
    stage.client.close()
    assert worker.hear_signal() == "kill"


def test_a_client_that_goes_away_with_much_unread_ends_the_loop(make_stage):
    stage = make_stage()
    stage.serve()
    worker = stage.start()
    for _ in range(50):
        worker.say(Note([("x", 1.0)] * 1000, ["y" * 8000] * 10))
    stage.client.close()
    assert worker.hear_signal() == "kill"


def test_an_error_of_a_worker_is_data_and_nothing_else(stage):
    worker = stage.start()
    worker.say(Failed("execute", ErrorData(kind="ValueError", text="x", family="UserCodeError")))
    assert stage.told(Ended).error == ErrorData(kind="ValueError", text="x", family="UserCodeError")


# ------------------------------------------------------------------ pausing, and beginning anew


@pytest.fixture
def journal(tmp_path) -> dict[str, Any]:
    """What a job with a journal is submitted with."""
    return {"journal": str(tmp_path / "journal.bin"), "fsync": "never"}


def replayed(worker: Worker) -> int:
    """How many recorded steps a worker is given."""
    worker.say(More())
    replay = worker.hear()
    assert isinstance(replay, Replay)
    assert replay.last
    return len(replay.requests)


def test_a_job_that_thinks_is_paused_at_once_and_goes_on_in_another_worker(stage, journal):
    worker = stage.start(**journal)
    worker.say(make_step(1))
    stage.execute(stage.asked())
    worker.hear()
    stage.client.send(encode(Pause("job")))
    assert stage.told(Paused) == Paused("job", 1, None)
    assert worker.hear_signal() == "kill"
    worker = stage.start(**journal, resume="paused")
    assert replayed(worker) == 1
    worker.say(make_step(2, programs=[(7, PROGRAM)]))
    stage.execute(stage.asked())
    worker.hear()
    worker.say(Finished(encode_value("done")))
    assert stage.told(Ended).steps == 2


def test_a_job_is_paused_when_its_step_is_answered(stage, journal):
    worker = stage.start(limits=Limits(wall_s=1000.0), **journal)
    worker.say(make_step(1))
    request = stage.asked()
    stage.client.send(encode(Pause("job")))
    while stage.told(Progress).state != "pausing":
        pass
    stage.execute(request)
    paused = stage.told(Paused)
    assert paused.steps == 1
    assert 0 < paused.wall_left_s < 1000
    assert replayed(stage.start(**journal, resume="paused")) == 1


def test_a_job_whose_step_waits_for_others_is_paused_without_it(stage, journal):
    busy, worker = stage.start("busy"), stage.start(**journal)
    busy.say(make_step(1))
    request = stage.asked()
    worker.say(make_step(1))
    while stage.told(Progress).state != "running":
        pass
    stage.client.send(encode(Pause("job")))
    assert stage.told(Paused).steps == 0
    stage.execute(request)
    assert isinstance(busy.hear(), ReceivedResults)


def test_a_job_that_waits_for_a_worker_is_paused_at_once(stage):
    stage.submit("job")
    stage.client.send(encode(Pause("job")))
    assert stage.told(Paused) == Paused("job", 0, None)


def test_a_job_without_a_journal_goes_on_and_says_why(stage):
    worker = stage.start()
    stage.client.send(encode(Pause("job")))
    assert "no journal" in stage.told(Log).lines[0]
    assert complete(stage, worker, "job").state == "completed"


def test_a_job_that_is_ending_ends_instead_of_being_paused(stage, journal):
    worker = stage.start(**journal)
    stage.client.send(encode(Cancel("job")))
    assert isinstance(worker.hear(), Stop)
    stage.client.send(encode(Pause("job")))
    worker.say(Finished(encode_value("done")))
    assert stage.told(Ended).state == "completed"


def test_the_exit_of_a_jobs_former_worker_is_not_taken_for_that_of_its_present_one(stage, journal):
    former = stage.start(**journal)
    stage.client.send(encode(Pause("job")))
    stage.told(Paused)
    present = stage.start(**journal, resume="paused")
    stage.pool.tell((former.pid, -9))
    assert replayed(present) == 0
    assert complete(stage, present, "job").state == "completed"


def test_a_lost_worker_is_replaced_by_one_that_is_given_the_jobs_past(stage, journal):
    worker = stage.start(**journal)
    worker.say(make_step(1))
    stage.execute(stage.asked())
    worker.hear()
    another = stage.pool.offer()
    stage.workers.append(another)
    stage.pool.tell((worker.pid, -9))
    assert stage.told(Restarted) == Restarted("job")
    assert another.hear().replay
    assert replayed(another) == 1


def test_a_job_of_which_nothing_is_recorded_begins_as_a_new_one(stage, journal):
    worker = stage.start(**journal, resume="dispatcher lost")
    assert complete(stage, worker, "job").state == "completed"


# ------------------------------------------------------------------ steps that are run in the dispatcher's own process


@pytest.fixture
def inline_stage(make_stage) -> Stage:
    """A stage that runs steps of one circuit itself as soon as it has been quiet for a while."""
    stage: Stage = make_stage()
    stage.backends[0].here = Here()
    stage.serve()
    stage.backends[0].asked_for_inline.get(timeout=PATIENCE_S)
    return stage


def test_brief_steps_are_run_here_and_others_by_the_backends_process(inline_stage):
    worker = inline_stage.start()
    worker.say(make_step(1))
    results = worker.hear()
    assert (results.number, results.items[0].counts) == (1, {"1": 10})
    # Its process is told of the program when it is asked for what is not brief.
    worker.say(make_step(2, calls=[CircuitCall(7, 5, 1, bytes(8))] * 2))
    _, request = inline_stage.defined_and_asked()
    inline_stage.execute(request)
    assert worker.hear().items[0].counts == {"0": 10}
    worker.say(make_step(3))
    assert worker.hear().items[0].counts == {"1": 10}
    worker.say(Finished(encode_value("done")))
    ended = inline_stage.told(Ended)
    assert (ended.state, ended.steps, ended.shots) == ("completed", 3, 30)
    inline_stage.backends[0].peer.receive(PATIENCE_S)  # Forget
    assert inline_stage.backends[0].here.programs == set()


def test_a_process_that_was_never_asked_hears_nothing_of_a_job(inline_stage):
    first, second = inline_stage.start("first"), inline_stage.start("second")
    first.say(make_step(1))
    assert first.hear().items[0].counts == {"1": 10}
    first.say(make_step(2, programs=[(8, PROGRAM)], calls=[CircuitCall(8, 10, 1, bytes(8))], forget=[7]))
    assert first.hear().items[0].counts == {"1": 10}
    first.say(Finished(encode_value("done")))
    inline_stage.told(Ended)
    second.say(make_step(1, calls=[CircuitCall(7, 5, 1, bytes(8))] * 2))
    inline_stage.defined_and_asked()


def test_what_goes_wrong_here_is_told_as_if_it_had_gone_wrong_there(inline_stage):
    here = inline_stage.backends[0].here
    here.answers = [Failure(1, as_data(CircuitRejected("no")), False)]
    worker = inline_stage.start()
    worker.say(make_step(1))
    assert worker.hear().error.text == "no"
    here.answers = [Failure(1, as_data(BackendFailed("tired")), True)]
    worker.say(make_step(1, programs=[]))
    assert worker.hear().items[0].counts == {"1": 10}  # it was tried again


def halved(stage: Stage, number: int) -> tuple[Worker, Execute]:
    """A worker that waits for a step of four rows, and the request for those that are not run here."""
    here = stage.backends[0].here
    assert here is not None
    here.each_s = 1.0
    worker = stage.start()
    worker.say(make_step(number, calls=[CircuitCall(7, 5, 4, bytes(32))]))
    assert isinstance(stage.asked_or_told(), Define)
    request = stage.asked_or_told()
    assert isinstance(request, Execute)
    return worker, request


def test_a_step_of_many_rows_is_run_here_and_by_the_backends_process_at_the_same_time(inline_stage):
    worker, request = halved(inline_stage, 1)
    (call,) = request.calls
    assert (call.rows, len(call.values)) == (2, 16)
    inline_stage.execute(request)
    results = worker.hear()
    assert [item.counts for item in results.items] == [{"1": 10}, {"1": 10}, {"0": 10}]
    whole = derive_seeds(derive_seed(5, 1), 0, 4)
    assert [item.seed for item in results.items[:2]] == whole[:2]
    assert derive_seeds(request.seed, 0, 2) == whole[2:]
    worker.say(Finished(encode_value("done")))
    ended = inline_stage.told(Ended)
    assert (ended.state, ended.steps, ended.shots) == ("completed", 1, 30)


@pytest.mark.parametrize("here", [True, False])
def test_when_a_half_goes_wrong_the_process_is_asked_for_the_whole_which_says_where(inline_stage, here):
    wrong = Failure(0, as_data(CircuitRejected("circuit 0: no")), False)
    if here:
        inline_stage.backends[0].here.answers = [wrong]
    worker, request = halved(inline_stage, 1)
    if here:
        inline_stage.execute(request)
    else:
        inline_stage.answer(wrong)
    request = inline_stage.asked()
    assert sum(call.rows for call in request.calls) == 4
    inline_stage.answer(Failure(request.request, as_data(CircuitRejected("circuit 2: no")), False))
    assert worker.hear().error.text == "circuit 2: no"


def test_a_step_whose_process_is_lost_amid_its_half_is_run_again(inline_stage):
    worker, _ = halved(inline_stage, 1)
    backend = inline_stage.backends[0]
    backend.reborn = lambda _peer: None
    inline_stage.quantum.close()
    backend.started.get(timeout=PATIENCE_S)
    inline_stage.serve()
    request = inline_stage.asked()
    assert sum(call.rows for call in request.calls) == 4
    inline_stage.execute(request)
    assert [item.counts for item in worker.hear().items] == [{"0": 10}]


def test_nothing_is_run_here_while_the_backends_process_is_gone(inline_stage):
    worker = inline_stage.start()
    backend = inline_stage.backends[0]
    backend.reborn = lambda _peer: None
    inline_stage.quantum.close()
    backend.started.get(timeout=PATIENCE_S)
    worker.say(make_step(1))
    inline_stage.serve()
    inline_stage.execute(inline_stage.asked())
    assert worker.hear().items[0].counts == {"0": 10}
    worker.say(make_step(2))
    assert worker.hear().items[0].counts == {"1": 10}


def test_a_job_that_takes_many_steps_need_not_wait_for_quiet(make_stage, monkeypatch):
    monkeypatch.setattr(backend_module, "INLINE_AFTER", 2)
    stage = make_stage()
    stage.backends[0].here = Here()
    worker = stage.pool.offer()
    stage.workers.append(worker)
    stage.submit("job")
    stage.serve()
    worker.hear()
    for number in (1, 2):
        worker.say(make_step(number))
        stage.execute(stage.asked())
        assert worker.hear().items[0].counts == {"0": 10}
    worker.say(make_step(3))
    assert worker.hear().items[0].counts == {"1": 10}
