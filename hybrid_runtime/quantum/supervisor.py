"""Keeps the driver of a remote quantum runtime running, in a process that may die without harm to the clients."""

from __future__ import annotations

import itertools
import logging
import math
import time
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.errors import (
    BackendFailed,
    BackendTimeout,
    ChannelClosed,
    HybridRuntimeError,
    ProtocolError,
    as_data,
    rebuild,
)
from hybrid_runtime.protocol.messages import (
    Capabilities,
    CircuitCall,
    Execute,
    Executed,
    Failure,
    Forget,
    Serving,
    decode,
    decoder,
    encode,
)
from hybrid_runtime.protocol.sessions import BackendState, Doing, FromDriver, RawDefine
from hybrid_runtime.quantum.process import QuantumProcess

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hybrid_runtime.quantum.sessions import Request, StoredProgram

# An interrupt that comes just before the driver begins is lost, so it is repeated.
_INTERRUPT_EVERY_S = 0.1
# A driver that does not end on being interrupted is killed after this time.
_KILL_AFTER_S = 5.0
# Time beyond a request's own, so that the driver's answer that it ran out of time can arrive.
_GRACE_S = 2.0
# Waits before the process is started again, the last one for every further time.
_RESTART_AFTER_S = (0.0, 0.5, 1.0, 2.0, 5.0)

_log = logging.getLogger(__name__)
_now = time.monotonic


class Supervisor:
    """One driver, in one process after the other, running one request at a time.

    Args:
        driver: Name of the driver.
        options: Its options.
        name: The backend's name as users see it; the driver's own when None.
    """

    def __init__(self, driver: str, options: Mapping[str, Any], *, name: str | None = None) -> None:
        self._driver = driver
        self._options = options
        self._arguments = ["--tell-states", *(["--name", name] if name is not None else [])]
        self._decoder = decoder(FromDriver)
        self._doing = BackendState.EXECUTING
        self._numbers = itertools.count(1)
        self._requests = itertools.count(1)
        self._request: Request | None = None
        self._number = 0
        self._interrupt_at = math.inf
        self._kill_at = math.inf
        self._restart_at = math.inf
        self._failures = 0
        self._generation = 0
        self._ready = False
        self.capabilities: Capabilities | None = None
        self._process = self._start()

    def _start(self) -> QuantumProcess:
        self._generation += 1
        self._restart_at = math.inf
        return QuantumProcess(self._driver, self._options, self._arguments)

    @property
    def ready(self) -> bool:
        """Whether it can be given a request."""
        return self._ready and self._request is None

    @property
    def state(self) -> BackendState:
        """What the backend is doing."""
        if not self._ready:
            return BackendState.OFFLINE
        return BackendState.IDLE if self._request is None else self._doing

    @property
    def pid(self) -> int:
        """The process that runs the driver now."""
        return self._process.pid

    def fileno(self) -> int | None:
        """The descriptor to wait on; None while no process runs."""
        return self._process.channel.fileno() if self._restart_at == math.inf else None

    # ------------------------------------------------------------------ requests

    def run(self, request: Request) -> Failure | None:
        """Begin a request; a failure where it cannot be begun. Its answer comes from `take`."""
        try:
            calls = [self._renumbered(request, call) for call in request.message.calls]
        except ProtocolError as error:
            return Failure(request.message.request, as_data(error))
        now = _now()
        self._request = request
        self._doing = BackendState.EXECUTING
        self._number = next(self._requests)
        self._interrupt_at = request.deadline + _GRACE_S
        timeout_s = request.deadline - now
        try:
            self._process.channel.send(encode(Execute(self._number, calls, request.message.seed, timeout_s)))
        except ChannelClosed:
            return None  # `take` finds it dead, and answers
        return None

    def _renumbered(self, request: Request, call: CircuitCall) -> CircuitCall:
        program = request.programs[call.program]
        if program is None:
            raise ProtocolError(f"program {call.program} is not defined, or this session holds too many")
        if program.generation != self._generation:
            program.number = next(self._numbers)
            program.generation = self._generation
            try:
                self._process.channel.send(encode(RawDefine(program.number, program.body)))
            except ChannelClosed:
                _log.debug("the driver's process died before it was given a program")
        return msgspec.structs.replace(call, program=program.number)

    def forget(self, programs: Iterable[StoredProgram]) -> None:
        """These programs will not be run again."""
        numbers = []
        for program in programs:
            if program.generation == self._generation:
                numbers.append(program.number)
            program.generation = 0  # a request that still waits for its turn defines it again
        if numbers and self._ready:
            try:
                self._process.channel.send(encode(Forget(numbers)))
            except ChannelClosed:
                _log.debug("the driver's process died, and its programs with it")

    def take(self) -> tuple[Request, Executed | Failure] | None:
        """The answer to the request that runs, if it is here. Call it when the descriptor is readable.

        Raises:
            HybridRuntimeError: the driver cannot be opened, and never could.
        """
        try:
            data = self._process.channel.receive_nowait()
            message = None if data is None else decode(self._decoder, data)
        except (ChannelClosed, ProtocolError) as error:
            return self._died(error)
        if isinstance(message, Serving):
            self._ready = True
            self.capabilities = self.capabilities or message.capabilities
        elif isinstance(message, Doing):
            self._doing = message.state
        elif message is not None and message.request == self._number and self._request is not None:
            self._failures = 0
            # Encoded anew at once: what it holds is in the channel's buffer until the next message.
            answer = msgspec.structs.replace(message, request=self._request.message.request)
            return self._ended(), answer
        elif isinstance(message, Failure) and not self._ready:
            if self.capabilities is None:
                raise rebuild(message.error)
            _log.error("the driver cannot be opened again: %s", message.error.text)
        return None

    def _ended(self) -> Request:
        request = self._request
        assert request is not None
        self._request = None
        self._interrupt_at = self._kill_at = math.inf
        return request

    def _died(self, error: HybridRuntimeError) -> tuple[Request, Failure] | None:
        status = self._process.close()
        timed_out = self._kill_at < _now()
        self._ready = False
        if self.capabilities is None:
            raise BackendFailed(f"the process of driver {self._driver!r} {_how(status)} before it was ready")
        wait = _RESTART_AFTER_S[min(self._failures, len(_RESTART_AFTER_S) - 1)]
        self._failures += 1
        self._restart_at = _now() + wait
        _log.error("the driver's process %s (%s); it is started again in %g s", _how(status), error, wait)
        if self._request is None:
            return None
        request = self._ended()
        text = f"the driver's process {_how(status)} while it ran this request"
        if timed_out:
            late: HybridRuntimeError = BackendTimeout(f"the driver did not end in time, and was killed ({text})")
        else:
            late = BackendFailed(text)
        return request, Failure(request.message.request, as_data(late), transient=True)

    # ------------------------------------------------------------------ time

    def tick(self) -> float:
        """Do what is due: interrupt, kill, start again; the seconds until the next call."""
        now = _now()
        if now >= self._restart_at:
            self._process = self._start()
        if self._request is not None:
            if self._request.unwanted and self._kill_at == math.inf:
                self._interrupt_at = min(self._interrupt_at, now)
            if now >= self._kill_at:
                self._process.kill()
            elif now >= self._interrupt_at:
                if self._kill_at == math.inf:
                    self._kill_at = now + _KILL_AFTER_S
                self._process.interrupt()
                self._interrupt_at = now + _INTERRUPT_EVERY_S
        return max(min(self._interrupt_at, self._kill_at, self._restart_at) - now, 0.0)

    def close(self) -> None:
        """End the process."""
        self._process.close()


def _how(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
