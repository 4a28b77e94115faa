"""A dispatcher that breaks on purpose, for tests of recovery: it dies at named points, and loses or garbles messages.

It sees its neighbours through channels that have faults. The points lie on a step's way in this order, and the journal
is written between the last two:

============== ==========================================================
step           a worker's request has been read
execute        it is about to be sent to the quantum runtime
results        the quantum runtime's answer has been read
deliver        it is about to be sent to the worker
============== ==========================================================

Each fault strikes once, also if the dispatcher is started again after it.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher.loop import Dispatcher
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.dispatcher.ports import ClassicalPort, QuantumPort, WorkerPort

STEP, EXECUTE, RESULTS, DELIVER = "step", "execute", "results", "deliver"
POINTS = (STEP, EXECUTE, RESULTS, DELIVER)
KINDS = ("kill", "drop", "delay", "duplicate", "corrupt", "jump")


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault.

    Attributes:
        kind: `kill` the dispatcher; `drop`, `duplicate` or `corrupt` the message; `delay` it by `seconds`; or let the
            dispatcher's clock `jump` by `seconds`, back where they are below 0, as when somebody sets the time.
        point: Where on a step's way.
        at: At which message that passes the point, counted from 1 in each process.
        seconds: See `delay`, for which all other messages wait as well, and `jump`.
    """

    kind: str
    point: str
    at: int = 1
    seconds: float = 0.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to break.

    Attributes:
        faults: Each strikes once.
        folder: An empty folder in which is kept what has struck.
        most_file_bytes: No file, a journal for example, can become larger: like a full disk, from the kernel's hand.
    """

    folder: str
    faults: list[Fault] = []
    most_file_bytes: int | None = None


class BreakingDispatcher(Dispatcher):
    """A dispatcher with such neighbours."""

    def __init__(
        self,
        control: SeqPacketChannel,
        classical: ClassicalPort,
        quantum: Sequence[QuantumPort],
        *,
        plan: bytes,
        patience_s: float = 0.0,
    ) -> None:
        # Its channels have no lines to look at, so patience is of no use to it.
        faults = Faults(msgspec.json.decode(plan, type=Plan))
        super().__init__(control, _Pool(classical, faults), [_Quantum(port, faults) for port in quantum])


class Faults:
    """The faults that have not struck yet, and how many messages have passed each point."""

    def __init__(self, plan: Plan) -> None:
        self._folder = Path(plan.folder)
        self._left = {number: fault for number, fault in enumerate(plan.faults) if not self._mark(number).exists()}
        self._passed = dict.fromkeys(POINTS, 0)
        if plan.most_file_bytes is not None:
            # The signal would end the process; without it the call fails, as it does on a full disk.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (plan.most_file_bytes, plan.most_file_bytes))

    def _mark(self, number: int) -> Path:
        return self._folder / f"struck-{number}"

    def pass_on(self, point: str, data: bytes) -> list[bytes]:
        """What comes of a message that passes this point."""
        self._passed[point] += 1
        messages = [data]
        for number, fault in list(self._left.items()):
            if fault.point == point and fault.at == self._passed[point]:
                del self._left[number]
                self._mark(number).touch()
                messages = self._strike(fault, messages)
        return messages

    def _strike(self, fault: Fault, messages: list[bytes]) -> list[bytes]:
        if fault.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.kind == "drop":
            return []
        if fault.kind == "duplicate":
            return messages * 2
        if fault.kind == "delay":
            time.sleep(fault.seconds)
            return messages
        if fault.kind == "jump":
            _set_clock(fault.seconds)
            return messages
        return [_garbled(data) for data in messages]


def _set_clock(seconds: float) -> None:
    """Have the time of day be another one in this process. The system's own clock is everybody's, and stays."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + round(seconds * 1e9)


def _garbled(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :]


class _Channel(SeqPacketChannel):
    """A channel that faults pass by; it works on a copy of the descriptor, and its owner keeps the other."""

    def __init__(self, channel: SeqPacketChannel, faults: Faults, *, reading: str, sending: str) -> None:
        super().__init__(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=os.dup(channel.fileno())))
        self._faults = faults
        self._reading, self._sending = reading, sending
        self._read: list[bytes] = []

    def receive_nowait(self) -> bytes | memoryview | None:
        """The next message that the faults let through."""
        if not self._read:
            data = super().receive_nowait()
            if data is None:
                return None
            self._read = self._faults.pass_on(self._reading, bytes(data))
        return self._read.pop(0) if self._read else None

    def send_nowait(self, packet: bytes | memoryview) -> bool:
        """Send what the faults let through."""
        sent = True
        for data in self._faults.pass_on(self._sending, bytes(packet)):
            sent = super().send_nowait(data)
        return sent


class _Quantum:
    """A quantum runtime's process whose channel has faults."""

    def __init__(self, port: QuantumPort, faults: Faults) -> None:
        self._port = port
        self._faults = faults
        self._given: SeqPacketChannel | None = None
        self._channel: _Channel | None = None

    @property
    def channel(self) -> SeqPacketChannel:
        """As the port's, with faults."""
        if self._channel is None or self._given is not self._port.channel:
            self._given = self._port.channel
            self._channel = _Channel(self._given, self._faults, reading=RESULTS, sending=EXECUTE)
        return self._channel

    def start(self) -> None:
        """As the port's."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._port.start()

    def inline(self) -> None:
        """Nothing: faults are for messages to the process."""


class _Pool:
    """A classical runtime whose workers' channels have faults."""

    def __init__(self, pool: ClassicalPort, faults: Faults) -> None:
        self._pool = pool
        self._faults = faults
        self.on_readable = pool.on_readable
        self.fileno = pool.fileno
        self.refill = pool.refill
        self.rest = pool.rest

    def lease_nowait(self) -> WorkerPort | None:
        """As the pool's."""
        worker = self._pool.lease_nowait()
        if worker is not None:
            given = worker.channel
            worker.channel = _Channel(given, self._faults, reading=STEP, sending=DELIVER)
            given.close()
        return worker
