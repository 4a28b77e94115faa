"""Where does the time of a step go? `python benchmarks/step_profile.py` prints what each part of it takes by itself.

The parts are the runtime's own code, called in one process over and over, so with warm caches: they show what the
code costs by itself, not what waiting and a switch between processes add to it. `qi-run bench --only step,batch`
measures whole steps. `--rows 1000 --driver qulacs` takes a step of many parameter sets apart.
"""

from __future__ import annotations

import argparse
import itertools
import os
import select
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from timeit import timeit
from typing import Any

from hybrid_runtime.algorithm import History
from hybrid_runtime.bench.algorithms import angles
from hybrid_runtime.classical.worker import Worker
from hybrid_runtime.context import Context
from hybrid_runtime.dispatcher.actions import Run, Tell
from hybrid_runtime.dispatcher.machine import Machine
from hybrid_runtime.dispatcher.programs import Programs
from hybrid_runtime.dispatcher.recorder import Recorder
from hybrid_runtime.dispatcher.spares import Spares
from hybrid_runtime.limits import Limits
from hybrid_runtime.protocol.control import Submit
from hybrid_runtime.protocol.messages import (
    Execute,
    Executed,
    FromQuantum,
    FromWorker,
    Step,
    ToQuantum,
    ToWorker,
    decode,
    decoder,
    derive_seed,
    encode,
)
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.protocol.watched import WatchedChannel
from hybrid_runtime.quantum.drivers import registry
from hybrid_runtime.quantum.executor import Executor

_ROUNDS = 20
# Of a step of one row; of one of many rows, less.
_CALLS = 500
_FEWEST_CALLS = 5
# All that can be held, is: a step is checked against each of them.
_LIMITS = Limits(steps=10**9, shots=10**12, wall_s=1e6, qpu_s=1e6, plateau=("energy", 1e-9, 10))


def microseconds(call: Callable[[], object], calls: int = _CALLS) -> float:
    """What one call takes: the quickest of a few rounds."""
    return min(timeit(call, number=calls) for _ in range(_ROUNDS)) / calls * 1e6


class _Echo(SeqPacketChannel):
    """A channel that is answered before it is asked."""

    answer = b""

    def send(self, data: bytes) -> None:
        """Let it be."""

    def receive(self, timeout_s: float | None = None) -> bytes:
        """The answer."""
        return self.answer


class Profile:
    """One step of a circuit with one parameter, or of so many rows of one with four, taken apart."""

    def __init__(self, folder: Path, rows: int = 1, driver_name: str = "null") -> None:
        self._folder = folder
        self._calls = max(_CALLS // rows, _FEWEST_CALLS)
        driver = registry.open(driver_name)
        self._backend = driver.capabilities()
        self._channel = _Echo(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        self._worker = Worker(self._channel, folder)
        self._worker._undisturbed = 0
        self._context = self._worker._context = Context(
            self._worker._exchange,
            self._worker._notes,
            parameters={},
            seed=1,
            shots=1024,
            limits=_LIMITS,
            backend=self._backend,
            listen=self._worker._listen,
        )
        size = 1 if rows == 1 else 4
        template = angles(max(size, 2), size)
        self._circuits = [template.bind(angle=[0.1 + 0.001 * row] * size) for row in range(rows)]
        # The first step defines the program; those that are timed only refer to it.
        calls, programs = self._worker._requests.calls(self._circuits, self._context.shots)
        self._worker._requests.sent.update(programs)
        self._first = Step(1, calls, list(programs.items()))
        self._step = encode(Step(2, calls))
        self._executor = Executor(driver)
        ((number, program),) = programs.items()
        self._executor.define(number, program)
        self._executed = encode(self._executor.answer(Execute(1, calls, derive_seed(1, 1), 3600.0)))
        self._executor.forget([number])
        self._run = self._job(journal=False)[1]
        for define in self._first_run.define:
            self._executor.define(define.program, define.body)
        self._execute = encode(Execute(2, self._run.calls, derive_seed(1, 2), 3600.0))

    def _microseconds(self, call: Callable[[], object]) -> float:
        return microseconds(call, self._calls)

    def _job(self, *, journal: bool) -> tuple[Machine, Run]:
        """A job at its second step, and what it wants to be run."""
        recorder = None
        if journal:
            submit = Submit("profile", b"", b"\x80", 1, 1024, _LIMITS, journal=str(self._folder / "journal"))
            recorder = Recorder(submit, self._backend, Spares())
        programs = Programs(self._backend, itertools.count(1).__next__)
        machine = Machine("profile", _LIMITS, programs, time.perf_counter(), recorder=recorder)
        (first,) = machine.on_message(self._first, 0.0)
        assert isinstance(first, Run)
        self._first_run = first
        machine.on_executed(decode(decoder(FromQuantum), self._executed), 0.0)
        (run,) = machine.on_message(decode(decoder(FromWorker), self._step), 0.0)
        assert isinstance(run, Run)
        return machine, run

    def worker(self) -> Iterator[tuple[str, float]]:
        """From `context.run` to its result, but for the wait."""
        calls = self._worker._requests.calls(self._circuits, self._context.shots)[0]
        request: Any = self._circuits[0] if len(self._circuits) == 1 else self._circuits
        answers = decoder(ToWorker)
        (tell,) = self._job(journal=False)[0].on_executed(decode(decoder(FromQuantum), self._executed), 0.0)
        assert isinstance(tell, Tell)
        self._channel.answer = results = encode(tell.message)

        def run() -> None:
            self._context.run(request)
            self._context.history = History()

        found = {
            "bind values to the program": self._microseconds(
                lambda: self._worker._requests.calls(self._circuits, self._context.shots)
            ),
            "encode Step": self._microseconds(lambda: encode(Step(2, calls, [], [], [], []))),
            "decode Results": self._microseconds(lambda: decode(answers, results)),
        }
        yield from found.items()
        yield "context, history, result", self._microseconds(run) - sum(found.values())

    def dispatcher(self) -> Iterator[tuple[str, float]]:
        """Both halves of the step."""
        from_worker, from_quantum = decoder(FromWorker), decoder(FromQuantum)
        step, executed = decode(from_worker, self._step), decode(from_quantum, self._executed)
        machine, run = self._job(journal=False)
        checks = self._microseconds(lambda: machine.programs.calls(step))
        limits = self._microseconds(lambda: machine.usage.verdict(1024, 1.0))
        plain = self._turn(machine, step, executed)
        yield "decode Step", self._microseconds(lambda: decode(from_worker, self._step))
        yield "check the calls", checks
        yield "hold against limits", limits
        yield "state, times", plain - checks - limits
        yield "journal", self._turn(self._job(journal=True)[0], step, executed) - plain
        yield "encode Execute", self._microseconds(lambda: encode(Execute(2, run.calls, derive_seed(1, 2), 3600.0)))
        yield "decode Executed", self._microseconds(lambda: decode(from_quantum, self._executed))
        machine._waiting = True
        (tell,) = machine.on_executed(executed, 1.0)
        assert isinstance(tell, Tell)
        yield "encode Results", self._microseconds(lambda: encode(tell.message))

    def _turn(self, machine: Machine, step: Step, executed: Executed) -> float:
        def turn() -> None:
            machine.number = 1
            machine._waiting = False
            machine.on_message(step, 1.0)
            machine.on_executed(executed, 1.0)

        return self._microseconds(turn)

    def quantum_runtime(self) -> Iterator[tuple[str, float]]:
        """Between its request and its answer."""
        requests = decoder(ToQuantum)
        request = decode(requests, self._execute)
        answer = self._executor.answer(request)
        yield "decode Execute", self._microseconds(lambda: decode(requests, self._execute))
        yield "check, run, encode the result", self._microseconds(lambda: self._executor.answer(request))
        yield "encode Executed", self._microseconds(lambda: encode(answer))

    def one_message(self) -> Iterator[tuple[str, float]]:
        """One of the four, within one process; a step needs one way or the other, four times."""
        message = bytes(64)
        ours, theirs = WatchedChannel.pair()
        theirs.line.wake()

        def by_the_line() -> None:
            ours.send(message)
            theirs.receive()

        yield "put down and taken by shared memory", microseconds(by_the_line)
        theirs.line.doze()

        def by_the_socket() -> None:
            ours.send(message)
            theirs.receive_nowait()

        yield "sent and received by the socket", microseconds(by_the_socket)
        with select.epoll() as epoll:
            one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            epoll.register(other, select.EPOLLIN)
            one.send(message)
            yield "epoll, where something is ready", microseconds(lambda: epoll.poll(1.0))
            one.close()
            other.close()
        yield "sched_yield, where nobody else wants to run", microseconds(os.sched_yield)
        for channel in (ours, theirs):
            channel.close()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1, help="parameter sets in the step")
    parser.add_argument("--driver", default="null", help="null or qulacs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hybrid-runtime-") as folder:
        profile = Profile(Path(folder), given.rows, given.driver)
        total = 0.0
        for part in (profile.worker, profile.dispatcher, profile.quantum_runtime):
            found = list(part())
            print(f"{part.__name__.replace('_', ' ')}: {sum(taken for _, taken in found):.1f} us")
            for name, taken in found:
                print(f"    {taken:5.2f}  {name}")
            total += sum(taken for _, taken in found)
        print(f"all three: {total:.1f} us")
        print("one message:")
        for name, taken in profile.one_message():
            print(f"    {taken:5.2f}  {name}")


if __name__ == "__main__":
    main()
