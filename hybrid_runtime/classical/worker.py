"""One job in one sandboxed interpreter: load the bundle, drive the algorithm, exchange circuits for results.

Everything here runs beside a user's code, which can reach and change all of it. So nothing here is
trusted by the dispatcher: what protects others is the sandbox around this process and the checks at the
other end of the channel.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.classical import styles
from hybrid_runtime.classical.drawing import Drawing, seed_everything
from hybrid_runtime.classical.lastwords import flush_quietly, last_words
from hybrid_runtime.classical.loader import load_algorithm
from hybrid_runtime.classical.locating import refusal
from hybrid_runtime.classical.rehearsal import FUNCTION, Stage, staged
from hybrid_runtime.classical.replaying import Replayer
from hybrid_runtime.classical.requests import Requests
from hybrid_runtime.classical.results import RecordedResult, answered
from hybrid_runtime.classical.tracebacks import describe
from hybrid_runtime.context import Context, Notes
from hybrid_runtime.errors import (
    ChannelClosed,
    CircuitRejected,
    ProtocolError,
    ResultNotEncodable,
    StopRequested,
)
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.bundles import decode_bundle
from hybrid_runtime.protocol.messages import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    Failed,
    Finalizing,
    Finished,
    Load,
    Moved,
    Note,
    Ready,
    ReceivedResults,
    Refused,
    ResultItem,
    Step,
    Stop,
    ToWorker,
    decode,
    decoder,
    encode,
)
from hybrid_runtime.values import decode_value, encode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hybrid_runtime.circuit import Circuit
    from hybrid_runtime.context import Answered
    from hybrid_runtime.protocol.messages import Capabilities
    from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

# The dispatcher sends it to stop an algorithm that is computing; the handler raises StopRequested there.
STOP_SIGNAL = signal.SIGUSR1

# What `signal` is made of, without its enumerations: it looks through all their members, which are shared with the
# fork server, for each handler that a signal had before.
_signal: Any = importlib.import_module("_signal")

# Made once, before the fork: it takes longer than all else that a worker does at its start.
_decoder = decoder(ToWorker)
_AS_THEY_ARE = nullcontext()
_decode_items = msgspec.msgpack.Decoder(list[ResultItem]).decode


class Worker:
    """The worker's end of the channel: one job, then the process ends."""

    def __init__(self, channel: SeqPacketChannel | Stage, folder: Path) -> None:
        self._channel = channel
        self._folder = folder
        self._requests = Requests(folder / "bundle")
        self._notes = Notes(self._flush)
        self._context: Context | None = None
        self._number = 0
        self._forget: list[int] = []
        self._replayer: Replayer | None = None
        self._answer = self._ask
        self._drawing = Drawing()
        # A stop signal must not raise while this is above 0: messages would be cut short, or answers lost.
        self._undisturbed = 1
        self._stop_missed = False
        self._finalizing = False

    def run(self, isolation: str) -> None:
        """Report ready, take one job and see it to its end.

        Raises:
            ChannelClosed: the dispatcher is gone.
        """
        # The runtime's own processes leave these to the client; an algorithm has them as any Python program has.
        for number in (signal.SIGTERM, signal.SIGCHLD):
            _signal.signal(number, _signal.SIG_DFL)
        _signal.signal(signal.SIGINT, signal.default_int_handler)
        _signal.signal(STOP_SIGNAL, self._on_stop_signal)
        _signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP_SIGNAL})
        self._channel.send(encode(Ready(PROTOCOL_VERSION, os.getpid(), isolation)))
        first = self._channel.receive_nowait()
        if first is None:
            rehearse(self._folder / "rehearsal", FUNCTION)
            first = self._channel.receive()
        self.take(first)

    def take(self, first: bytes | memoryview) -> None:
        """Do the job that is in this message, report its outcome, and wait for the end.

        Raises:
            ProtocolError: it is not a job.
        """
        load = decode(_decoder, first)
        if not isinstance(load, Load):
            raise ProtocolError(f"a worker's first message is a job, not {type(load).__name__}")
        with last_words():
            try:
                outcome = self._job(load)
            except ChannelClosed:
                raise
            except BaseException as error:  # noqa: BLE001 - user code may have set traps that spring here
                self._finalizing = True
                outcome = Failed("execute", describe(error, self._folder / "bundle"))
            for stream in (sys.stdout, sys.stderr):
                flush_quietly(stream)
            self._channel.send(encode(outcome))
            # To end takes a processor for milliseconds, and to do anything takes it for some time: first whoever waits
            # for the outcome is to have it. They end this process.
            self._channel.wait_closed()

    def _job(self, load: Load) -> Finished | Failed:
        seed_everything(load.seed)
        if load.replay:
            self._replayer = Replayer(self._ask_for_past)
            self._answer = self._ask_replayer
        try:
            self._listen()
            bundle = decode_bundle(load.bundle)
            algorithm = load_algorithm(bundle, self._folder / "bundle")
        except BaseException as error:  # noqa: BLE001 - importing a user's module may raise anything
            return self._failed("load", error)
        self._context = context = Context(
            self._exchange,
            self._notes,
            parameters=decode_value(load.parameters),
            seed=load.seed,
            shots=load.shots or None,
            limits=load.limits,
            backend=load.backend,
            listen=self._listen,
            draw=self._draw,
        )
        try:
            with self._optimizers_changed(load.optimizers, context) if load.optimizers else _AS_THEY_ARE:
                value = styles.drive(algorithm, context, self._on_finalizing)
        except styles.Failure as failure:
            return self._failed(failure.stage, failure.cause, failure.value)
        self._finalizing = True
        if self._replayer is not None and not context.stop_requested:
            self._replayer.finish()
        try:
            data = encode_value(value)
        except BaseException as error:  # noqa: BLE001 - the value may be of a class of the user's, with code of its own
            if isinstance(error, ResultNotEncodable):
                error = ResultNotEncodable(f"{error} (returned by {styles.whence(algorithm, self._folder / 'bundle')})")
            return self._failed("finalize", error)
        self._send_drawn()
        metrics, logs = self._notes.take()
        return Finished(data, metrics, logs)

    @contextmanager
    def _optimizers_changed(self, optimizers: list[tuple[str, int]], context: Context) -> Iterator[None]:
        """Meanwhile these take over, each after so many steps."""
        from hybrid_runtime.optimizers.handover import Handover, planned

        handover = Handover(optimizers, lambda: context.history.steps)
        with planned(handover):
            yield
        for method, after in optimizers:
            if method not in handover.made:
                context.log(
                    f"{method} did not take over: no other method of hybrid_runtime.optimize ran after step {after}"
                )

    def _failed(self, stage: str, error: BaseException, value: Any = None) -> Failed:
        self._finalizing = True
        data = self._saved(value)
        metrics, logs = self._notes.take()
        return Failed(stage, describe(error, self._folder / "bundle"), data, metrics, logs)

    def _saved(self, value: Any) -> bytes:
        """The partial result, encoded; where it cannot be, the last metrics."""
        if value is not None:
            try:
                return encode_value(value)
            except BaseException as error:  # noqa: BLE001 - as in _job
                self._notes.logs.append(f"the partial result was left out: {describe(error).text}")
        return encode_value((self._context and self._context.history.last_metrics()) or None)

    def _on_finalizing(self) -> None:
        self._finalizing = True
        # What was reported is safe from here on, whatever finalize does.
        self._flush()
        self._channel.send(encode(Finalizing()))

    # -------------------------------------------------------------- being stopped

    def _on_stop_signal(self, _signal: int, _frame: object) -> None:
        if self._undisturbed:
            self._stop_missed = True
        elif not self._finalizing:
            self._take_stop()

    def _listen(self) -> None:
        """The algorithm's own code runs from here on: a stop that came meanwhile is raised now."""
        self._undisturbed -= 1
        if self._stop_missed and not self._undisturbed and not self._finalizing:
            self._take_stop()

    def _take_stop(self) -> None:
        """Read the `Stop` that was sent before the signal, and raise it in the algorithm."""
        self._stop_missed = False
        while (data := self._channel.receive_nowait()) is not None:
            message = decode(_decoder, data)
            if isinstance(message, Stop):
                raise self._stopped(message)
            if isinstance(message, Moved):
                self._move(message.backend)

    def _stopped(self, stop: Stop) -> StopRequested:
        if self._context is not None:
            self._context.request_stop(StopReason(stop.reason))
        return StopRequested(stop.reason)

    # -------------------------------------------------------------- the exchange

    def _exchange(self, circuits: list[Circuit]) -> Answered:
        """Circuits out, results back: the one primitive that every style comes down to.

        After it has returned, stops wait until the context has kept the results and calls `_listen`.
        """
        self._undisturbed += 1
        try:
            answer = self._answer(circuits)
            if type(answer) is ReceivedResults:
                return self._results(answer)
            if type(answer) is tuple:
                return answer
            if type(answer) is Stop:
                raise self._stopped(answer)
            if type(answer) is Refused:
                self._number -= 1
                raise refusal(answer.error, circuits, self._folder / "bundle")
            raise ProtocolError(f"a step was answered by {type(answer).__name__}")
        except BaseException:
            self._listen()
            raise

    def _ask(self, circuits: list[Circuit]) -> Any:
        """Send a step; the dispatcher's answer."""
        assert self._context is not None
        requests = self._requests
        sent = requests.sent
        calls, programs = requests.calls(circuits, self._context.shots)
        evicted = requests.compiler.take_evicted()
        if evicted:
            self._forget += [key for key in evicted if key in sent or key in programs]
        metrics, logs = self._notes.take()
        data = encode(Step(self._number + 1, calls, list(programs.items()), metrics, logs, self._forget))
        if len(data) > MAX_MESSAGE_BYTES:
            self._notes.put_back(metrics, logs)
            self._forget = [key for key in self._forget if key in sent]
            raise CircuitRejected(f"this step takes {len(data)} bytes, at most {MAX_MESSAGE_BYTES} are sent: split it")
        self._number += 1
        if programs:
            sent.update(programs)
        if self._forget:
            sent.difference_update(self._forget)
            self._forget = []
        if self._drawing.waiting:
            self._send_drawn()
        return self._send_and_receive(data)

    def _send_and_receive(self, data: bytes, receive: Callable[[], bytes | memoryview] | None = None) -> Any:
        """Send a message; the answer to it, which `receive` takes from the channel."""
        receive = receive or self._channel.receive
        self._channel.send(data)
        answer = decode(_decoder, receive())
        while type(answer) is Moved:
            self._move(answer.backend)
            answer = decode(_decoder, receive())
        return answer

    def _ask_for_past(self, data: bytes) -> Any:
        """As `_send_and_receive`; the answer, of which parts are decoded later, is a copy that nothing overwrites."""
        return self._send_and_receive(data, lambda: bytes(self._channel.receive()))

    def _move(self, backend: Capabilities) -> None:
        """Another backend answers from now on."""
        if self._context is not None:
            self._context.backend = backend

    def _draw(self, make: Callable[[], float | bytes]) -> float | bytes:
        self._undisturbed += 1
        try:
            return self._drawing.draw(make, self._replayer)
        finally:
            self._listen()

    def _send_drawn(self) -> None:
        for data in self._drawing.take():
            self._channel.send(data)

    def _ask_replayer(self, circuits: list[Circuit]) -> Any:
        """The recorded answer to a step, as `_ask` returns it; where there is none, that of the dispatcher."""
        replayer, context = self._replayer, self._context
        assert replayer is not None
        assert context is not None
        evicted = self._requests.compiler.take_evicted()
        if evicted:
            replayer.canonical.forget(evicted)
        recorded = (
            None
            if replayer.over
            else replayer.answer(*self._requests.canonical(circuits, context.shots, replayer.canonical))
        )
        if recorded is None:
            replayer.leave()
            self._replayer, self._answer = None, self._ask
            if replayer.moved_to is not None:
                self._move(replayer.moved_to)
            return self._ask(circuits)
        if isinstance(recorded, Stop):
            return recorded
        self._number += 1
        self._notes.drop()  # they are in the journal already
        items, used, special = recorded
        if special is not None:
            if special.backend is not None:
                self._move(special.backend)
            if special.error is not None:
                return Refused(self._number, special.error)
        if len(circuits) == 1:
            return [RecordedResult(items, self._requests.shots, used, context.backend.name)], *used, None
        return ReceivedResults(self._number, _decode_items(items))

    def _results(self, answer: ReceivedResults) -> Answered:
        assert self._context is not None
        return answered(answer.items, self._requests.asked, self._context.backend.name)

    def _flush(self) -> None:
        if self._replayer is not None and not self._replayer.over:
            return  # whether these are in the journal already is known at the next step
        self._undisturbed += 1
        try:
            metrics, logs = self._notes.take()
            if metrics or logs:
                self._channel.send(encode(Note(metrics, logs)))
        finally:
            self._listen()


def rehearse(folder: Path, *jobs: bytes) -> None:
    """Do jobs that need nobody, one after another below this folder, so that a real one finds its memory at hand."""
    for job in jobs:
        with staged(folder, job) as stage:
            Worker(stage, folder).take(stage.receive())


def main(channel: SeqPacketChannel, folder: Path, isolation: str) -> None:
    """Run one job over this channel. Called in a fresh, already confined process, which ends afterwards."""
    try:
        Worker(channel, folder).run(isolation)
    except (ChannelClosed, ProtocolError, msgspec.MsgspecError):
        os._exit(71)
