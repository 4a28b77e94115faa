"""The quantum runtime as the loop sees it: steps of many jobs go out one at a time, in the order of asking."""

from __future__ import annotations

import itertools
import select
import time
from collections import deque
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.halves import Half, Halving, halves, whole
from hybrid_runtime.dispatcher.link import Link
from hybrid_runtime.dispatcher.programs import decode_program
from hybrid_runtime.dispatcher.recovery import MOST_CRASHES_IN_A_ROW
from hybrid_runtime.errors import BackendFailed, BackendTimeout, ChannelClosed, ProtocolError, rebuild
from hybrid_runtime.protocol.messages import (
    PROTOCOL_VERSION,
    Capabilities,
    Define,
    Execute,
    Executed,
    Failure,
    Forget,
    Serving,
    Withdraw,
    decode,
    decoder,
    derive_seed,
    seed_from,
)
from hybrid_runtime.protocol.sessions import BackendState, Doing, FromDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import msgspec

    from hybrid_runtime.dispatcher.actions import Run
    from hybrid_runtime.dispatcher.jobs import Job
    from hybrid_runtime.dispatcher.ports import InlinePort, QuantumPort
    from hybrid_runtime.errors import ErrorData
    from hybrid_runtime.protocol.messages import CircuitCall
    from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
    from hybrid_runtime.protocol.sessions import RawDefine

EXECUTE_TIMEOUT_S = 3600.0
# A quantum runtime that ends a request at its timeout needs some time to say so.
GRACE_S = 10.0
# Loading a driver takes about as long as so many steps take less without a message to its process and back.
INLINE_AFTER = 1000
_ROWS_AHEAD = 8


class Backend:
    """One quantum runtime.

    Attributes:
        capabilities: What it can do; None while it does not serve.
        state: What it does, where it tells.
        deadline: When something is to be done about it, by `time.perf_counter`; infinite while nothing is: its present
            request is overdue, or it is to be started again.
        timer: When the loop is to wake up for that.
        served: Whether it ever did.
        failed: The step that the last `Failure` was about.
        crashes: How often its process was lost since it last answered.
        gone: Why it is not started again.
        inline: What runs brief steps in this process.
        arriving: Jobs that are to be run here from when it serves, with the step that each waits for.

    Args:
        port: The quantum runtime's process; the caller closes it.
        epoll: What the loop waits on.
        timeout_s: Time for one request.
    """

    def __init__(self, port: QuantumPort, epoll: select.epoll, timeout_s: float = EXECUTE_TIMEOUT_S) -> None:
        self.capabilities: Capabilities | None = None
        self.state = BackendState.IDLE
        self.deadline = self.timer = float("inf")
        self.served = False
        self.failed: Run | None = None
        self.crashes = 0
        self.gone: ErrorData | None = None
        self.inline: InlinePort | None = None
        self.arriving: dict[Job, Run | None] = {}
        self._port = port
        # Answers of the process until it is worth while to run brief steps here; None where that is settled.
        self._until_inline: int | None = INLINE_AFTER
        self._epoll = epoll
        self._timeout_s = timeout_s
        self._link: Link | None = None
        self._decoder = decoder(FromDriver)
        self._asking: deque[tuple[Job, Run]] = deque()
        self._running: tuple[int, Job, Run] | None = None
        # Programs that only ran here so far: the process, which sleeps, is told of them when it is to run one.
        self._untold: dict[int, Define] = {}
        self._halving = Halving()
        # Of that step, where one was run here.
        self._half: Half | None = None
        self._requests = itertools.count(1)

    def open(self, *, start: bool = True) -> int:
        """Start the process, and listen to it; the descriptor to wait on.

        Args:
            start: Whether it is to be started; else it runs already.

        Raises:
            OSError: the host has no room for it.
        """
        if start:
            self._port.start()
        self.deadline = float("inf")
        self._link = Link(self._port.channel, self._epoll)
        return self._link.fd

    @property
    def opened(self) -> bool:
        """Whether its process is there, or about to be there again."""
        return self._link is not None or self.deadline < float("inf")

    @property
    def channel(self) -> SeqPacketChannel:
        """Leads to its process."""
        return self._port.channel

    @property
    def fd(self) -> int | None:
        """The descriptor to wait on; None while there is none."""
        return None if self._link is None else self._link.fd

    def ask(self, job: Job, run: Run) -> Executed | Failure | None:
        """Have a step run, now or when those before it are done: its answer, or None where `on_event` gives that."""
        if job in self.arriving:
            self.arriving[job] = run
            return None
        if self.inline is not None:
            answer = self._run_inline(self.inline, job, run)
            if answer is not None:
                return answer
        self._asking.append((job, run))
        if self._running is None and self.capabilities is not None:
            self._ask_next(at_once=True)
        return None

    def _run_inline(self, inline: InlinePort, job: Job, run: Run) -> Executed | Failure | None:
        define, forget = run.define, run.forget
        for program in define:
            inline.define(program.program, program.body)
        answer = None
        if self._running is None and self.capabilities is not None:
            seconds = inline.seconds(run.calls)
            if seconds is not None and not self._halving.wanted(seconds):
                answer = inline.answer(run.calls, derive_seed(job.seed, job.machine.number))
        if forget:
            inline.forget(forget)
        if answer is None:
            return None
        for program in define:
            self._untold[program.program] = program
        if forget:
            self._forget(forget)
        if type(answer) is Failure:
            self.failed = run
        return answer

    def look_ahead(self, job: Job, run: Run) -> None:
        """Derive now what the job's next step will need, if it is like this one."""
        seed = derive_seed(job.seed, job.machine.number + 1)
        for row in range(min(len(run.calls), _ROWS_AHEAD)):
            derive_seed(seed, row)

    def runs(self, job: Job) -> bool:
        """Whether it is running the job's step."""
        return self._running is not None and self._running[1] is job

    def drop(self, job: Job) -> None:
        """The job has ended: what it asked for is not sent, and an answer that comes is given to nobody."""
        self.arriving.pop(job, None)
        if self._asking:
            self._asking = deque(entry for entry in self._asking if entry[0] is not job)
        if self._running is not None and self._running[1] is job:
            self._send(Withdraw(self._running[0]))
        numbers = job.machine.programs.all_numbers()
        if numbers:
            if self.inline is not None:
                self.inline.forget(numbers)
            self._forget(numbers)

    def on_event(self, events: int) -> tuple[Job, Executed | Failure] | None:
        """Take in one message: a job with the answer to its step; None for whatever needs no action.

        Raises:
            HybridRuntimeError: the quantum runtime is of no use, or no more; `lose` is to follow.
        """
        assert self._link is not None
        try:
            if events & select.EPOLLOUT:
                self._link.on_writable()
            data = self._link.channel.receive_nowait()
            if data is None:
                return None
            message = decode(self._decoder, data)
        except (ChannelClosed, ProtocolError) as error:
            raise BackendFailed(f"the quantum runtime is gone: {error}") from error
        running = self._running
        kind = type(message)
        if running is not None and (kind is Executed or kind is Failure) and message.request in (running[0], 0):
            # Request 0: it could not read a request, so this one is not going to be answered otherwise.
            self._running = None
            self.deadline = float("inf")
            self.crashes = 0
            if self._until_inline:
                self._until_inline -= 1
            if self._half is not None:
                message = self._with_half(self._half, message)
                if type(message) is Failure:
                    # A half does not know which circuits of the step are its own: asked whole, the process says it.
                    self.ask_first(*running[1:])
                    self._ask_next()
                    return None
            if type(message) is Failure:
                self.failed = running[2]
            if self._asking:
                self._ask_next()
            return running[1], message
        if kind is Doing:
            self.state = message.state
        elif self.capabilities is None:
            self._start(message)
        return None

    def _start(self, message: Serving | Executed | Failure) -> None:
        if isinstance(message, Failure):
            self.crashes = MOST_CRASHES_IN_A_ROW if not self.served else self.crashes
            raise rebuild(message.error)
        if not isinstance(message, Serving) or message.version != PROTOCOL_VERSION:
            raise BackendFailed(f"the quantum runtime does not speak version {PROTOCOL_VERSION} of the protocol")
        self.capabilities = message.capabilities
        self.served = True

    @property
    def inline_pays(self) -> bool:
        """Whether so many steps have been run that it is time to see whether brief ones can be run here."""
        return self._until_inline == 0

    def load_inline(self, defined: Callable[[], Iterable[RawDefine]]) -> bool:
        """Have brief steps run in this process from now on, if they can: whether they could not before, and can.

        `defined` gives the programs of all jobs.
        """
        if self._until_inline is None or self.capabilities is None:
            return False
        self._until_inline = None
        self.inline = self._port.inline()
        if self.inline is None:
            return False
        for program in defined():
            self._define_inline(self.inline, program)
        return True

    def begin(self, defined: Iterable[RawDefine]) -> None:
        """It serves: tell it these programs, all that there are, and have it run what waits."""
        self._untold.clear()
        for program in defined:
            self._send(program)
        if self._asking:
            self._ask_next()

    def check_overdue(self, now: float) -> None:
        """Raise if the present request should have been answered by now.

        Raises:
            BackendTimeout: so it should; `lose` is to follow.
        """
        if now >= self.deadline and self.state is BackendState.CALIBRATING:
            self.deadline = now + self._timeout_s + GRACE_S  # it is held, and goes on by itself
        if now >= self.deadline:
            raise BackendTimeout(f"the backend did not answer within {self._timeout_s + GRACE_S:g} s")

    def lose(self) -> tuple[Job, Run] | None:
        """Expect nothing of its process any more; the job whose step it ran, and the step. May be done twice."""
        flight, self._running = self._running, None
        self._half = None
        self.capabilities = None
        self.deadline = float("inf")
        if self._link is not None:
            self._link.close()
            self._link = None
        return flight and (flight[1], flight[2])

    def tell(self, program: RawDefine) -> None:
        """Define a program that a job brings along."""
        self._send(program)
        if self.inline is not None:
            self._define_inline(self.inline, program)

    @staticmethod
    def _define_inline(inline: InlinePort, program: RawDefine) -> None:
        inline.define(program.program, decode_program(program.body))

    def ask_first(self, job: Job, run: Run) -> None:
        """Have a step run before all that wait, when it serves again."""
        self._asking.appendleft((job, run))

    def step_of(self, job: Job) -> Run | None:
        """The job's step that waits here to be run, if there is one."""
        return next((run for asking, run in self._asking if asking is job), None)

    def _ask_next(self, *, at_once: bool = False) -> None:
        """Send the next waiting request. First come, first served.

        Args:
            at_once: Whether nothing else waits to be done, so that a part of it may be run here.
        """
        job, run = self._asking.popleft()
        request = next(self._requests)
        self._running = (request, job, run)
        self.deadline = time.perf_counter() + self._timeout_s + GRACE_S
        send = self._send
        for define in (*self._untold.values(), *run.define):
            send(define)
        self._untold.clear()
        calls, seed = run.calls, derive_seed(job.seed, job.machine.number)
        here: list[CircuitCall] = []
        first = 0
        if at_once and self.inline is not None:
            seconds = self.inline.seconds(calls)
            if seconds is not None and self._halving.wanted(seconds):
                here, calls, first = halves(calls)
        send(Execute(request, calls, seed_from(seed, first) if first else seed, self._timeout_s))
        if run.forget:
            self._forget(run.forget)
        if here and self.inline is not None:
            began = time.perf_counter()
            self._half = Half(self.inline.answer(here, seed), began, time.perf_counter())

    def _forget(self, numbers: Iterable[int]) -> None:
        """Have the process drop these programs, those that it knows."""
        known = [number for number in numbers if self._untold.pop(number, None) is None]
        if known:
            self._send(Forget(known))

    def _with_half(self, half: Half, there: Executed | Failure) -> Executed | Failure:
        """The answer to a step of which the process has answered one half."""
        self._half = None
        self._halving.waited(time.perf_counter() - half.done, half.done - half.began)
        return whole(half.answer, there)

    def _send(self, message: msgspec.Struct) -> None:
        if self._link is None:
            return  # it is told all that it needs when it is there
        try:
            self._link.send(message)
        except ChannelClosed:
            return  # the next event tells so, too, and there what follows from it is done
