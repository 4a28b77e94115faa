"""The quantum runtime as the loop sees it: steps of many jobs go out one at a time, in the order of asking."""

from __future__ import annotations

import itertools
import select
import time
from collections import deque
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.link import Link
from hybrid_runtime.errors import BackendFailed, BackendTimeout, ChannelClosed, ProtocolError, rebuild
from hybrid_runtime.protocol.messages import (
    PROTOCOL_VERSION,
    Capabilities,
    Execute,
    Executed,
    Failure,
    Forget,
    FromQuantum,
    Serving,
    Withdraw,
    decode,
    decoder,
    derive_seed,
)

if TYPE_CHECKING:
    import msgspec

    from hybrid_runtime.dispatcher.actions import Run
    from hybrid_runtime.dispatcher.jobs import Job
    from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

EXECUTE_TIMEOUT_S = 3600.0
# A quantum runtime that ends a request at its timeout needs some time to say so.
GRACE_S = 10.0


class Backend:
    """One quantum runtime.

    Attributes:
        capabilities: What it can do; None before it serves and after `give_up`.
        deadline: When its present request is overdue, by `time.perf_counter`; infinite while there is none.

    Args:
        channel: Leads to the quantum runtime; the caller closes it.
        epoll: What the loop waits on.
        timeout_s: Time for one request.
    """

    def __init__(self, channel: SeqPacketChannel, epoll: select.epoll, timeout_s: float = EXECUTE_TIMEOUT_S) -> None:
        self.capabilities: Capabilities | None = None
        self.deadline = float("inf")
        self.channel = channel
        self._timeout_s = timeout_s
        self._link = Link(channel, epoll)
        self._decoder = decoder(FromQuantum)
        self._asking: deque[tuple[Job, Run]] = deque()
        self._running: tuple[int, Job] | None = None
        self._requests = itertools.count(1)

    @property
    def fd(self) -> int:
        """The descriptor to wait on."""
        return self._link.fd

    def ask(self, job: Job, run: Run) -> None:
        """Have a step run, now or when those before it are done; `on_event` gives its answer."""
        self._asking.append((job, run))
        if self._running is None:
            self._ask_next()

    def runs(self, job: Job) -> bool:
        """Whether it is running the job's step."""
        return self._running is not None and self._running[1] is job

    def drop(self, job: Job) -> None:
        """The job has ended: what it asked for is not sent, and an answer that comes is given to nobody."""
        if self._asking:
            self._asking = deque(entry for entry in self._asking if entry[0] is not job)
        if self._running is not None and self._running[1] is job:
            self._send(Withdraw(self._running[0]))
        numbers = job.machine.programs.all_numbers()
        if numbers:
            self._send(Forget(numbers))

    def on_event(self, events: int) -> tuple[Job, Executed | Failure] | None:
        """Take in one message: a job with the answer to its step; None for whatever needs no action.

        Raises:
            HybridRuntimeError: the quantum runtime is of no use, or no more; `give_up` is to follow.
        """
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
        if running is not None and type(message) is not Serving and message.request in (running[0], 0):
            # Request 0: it could not read a request, so this one is not going to be answered otherwise.
            self._running = None
            self.deadline = float("inf")
            if self._asking:
                self._ask_next()
            return running[1], message
        if self.capabilities is None:
            self._start(message)
        return None

    def _start(self, message: Serving | Executed | Failure) -> None:
        if isinstance(message, Failure):
            raise rebuild(message.error)
        if not isinstance(message, Serving) or message.version != PROTOCOL_VERSION:
            raise BackendFailed(f"the quantum runtime does not speak version {PROTOCOL_VERSION} of the protocol")
        self.capabilities = message.capabilities

    def check_overdue(self, now: float) -> None:
        """Raise if the present request should have been answered by now.

        Raises:
            BackendTimeout: so it should; `give_up` is to follow.
        """
        if now >= self.deadline:
            raise BackendTimeout(f"the backend did not answer within {self._timeout_s + GRACE_S:g} s")

    def give_up(self) -> None:
        """Send it nothing and expect nothing of it from now on. Doing so twice is allowed."""
        self.capabilities = None
        self.deadline = float("inf")
        self._running = None
        self._asking.clear()
        self._link.close()

    def _ask_next(self) -> None:
        """Send the next waiting request. First come, first served."""
        job, run = self._asking.popleft()
        request = next(self._requests)
        self._running = (request, job)
        self.deadline = time.perf_counter() + self._timeout_s + GRACE_S
        send = self._send
        for define in run.define:
            send(define)
        send(Execute(request, run.calls, derive_seed(job.seed, job.machine.number), self._timeout_s))
        if run.forget:
            send(Forget(run.forget))

    def _send(self, message: msgspec.Struct) -> None:
        try:
            self._link.send(message)
        except ChannelClosed:
            return  # the next event tells so, too, and there what follows from it is done
