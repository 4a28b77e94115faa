"""The dispatcher's side of a fork server: starts it, keeps workers warm, hands them out."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hybrid_runtime.config import child_environment, worker_environment
from hybrid_runtime.errors import ChannelClosed, InternalError, InvalidInput, ProtocolError
from hybrid_runtime.process import interpreter
from hybrid_runtime.protocol import lines
from hybrid_runtime.protocol.forking import Exited, FromForkServer, Preloaded, Rest, Rested, Spawn, Spawned, Unfit
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.protocol.watched import WatchedChannel

if TYPE_CHECKING:
    from pathlib import Path

PRELOAD = ("numpy", "scipy.optimize", "cloudpickle", "hybrid_runtime.optimize", "cqasm.v3x")


# A guess: they share the node's cores.
MOST_WORKERS = 64
# What a worker is expected to take once it computes with numpy and scipy; what it may take is the sandbox's part.
WORKER_BYTES = 64 << 20
# Demand makes more workers be kept warm, up to this number, where it was found wanting; it goes back after so many
# leases that were not. Guesses: a worker takes 2 to 4 ms to start, which jobs seldom do together.
_MOST_WARM = 8
_CALM_LEASES = 32
# Workers that end before anyone uses them, one after another: from then on none is started but on demand, and
# whoever demands one is told.
_CRASHES = 5
# A worker's channel, its two outputs and its pidfd; on some machines also the memory that the channel shares with it.
_WORKER_FDS = 4


class WorkerHandle:
    """One worker: its channel, its output, and the means to interrupt or kill it."""

    def __init__(self, pid: int, channel: SeqPacketChannel, stdout: int, stderr: int, pidfd: int) -> None:
        self.pid = pid
        self.channel = channel
        self.stdout = stdout
        self.stderr = stderr
        self._pidfd = pidfd
        self._closed = False

    def interrupt(self) -> None:
        """Ask the algorithm to stop where it is computing."""
        self._signal(signal.SIGUSR1)

    def dump(self) -> None:
        """Have it write its traceback to stderr: faulthandler does, even while compiled code holds the interpreter."""
        self._signal(signal.SIGUSR2)

    def kill(self) -> None:
        """End the process, whatever it does; nothing in it can prevent that."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._closed:
            return
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return  # it has ended: what the signal was for

    def close(self) -> None:
        """Let go of its descriptors; a living worker sees its channel close and ends. Closing twice is allowed."""
        if self._closed:
            return
        self._closed = True
        self.channel.close()
        for fd in (self.stdout, self.stderr, self._pidfd):
            os.close(fd)

    def __repr__(self) -> str:
        return f"<Worker {self.pid}>"


class PoolStatistics(NamedTuple):
    """How a pool is doing.

    Attributes:
        warm: Workers ready for a job.
        busy: Workers that have one.
        starting: Workers on their way.
        wanted: Workers to keep warm at present.
        most: Workers that jobs may have at the same time.
        leased: Workers handed out so far.
        missed: Times that a job had to wait for a worker to be started.
        crashed: Workers that ended before they had a job, since one was last handed out.
    """

    warm: int
    busy: int
    starting: int
    wanted: int
    most: int
    leased: int
    missed: int
    crashed: int


class Pool:
    """Warm workers of one environment. Used by the dispatcher's loop, which waits on `fileno()`.

    A worker is leased for one job and never comes back: its end makes room for another, and `refill` has others
    started. How many are kept warm follows demand, from `warm` upwards.

    Args:
        scratch: Folder below which each worker gets its own.
        warm: Workers kept ready; 0 starts each when it is wanted.
        most: Workers that jobs may have at the same time; further jobs wait. The host's memory may allow fewer.
        preload: Modules that workers are born with.
        level: Isolation level; the strictest available when None.
        python: Interpreter of the workers' environment, which has this package, too; the present one when None.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        warm: int = 1,
        most: int = MOST_WORKERS,
        preload: tuple[str, ...] = PRELOAD,
        level: str | None = None,
        python: str | None = None,
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = interpreter("hybrid_runtime.classical.forkserver", "--fd", str(theirs.fileno()), python=python)
        command += ["--parent", str(os.getpid()), "--scratch", str(scratch)]
        if level is not None:
            command += ["--isolation", level]
        for name in preload:
            command += ["--preload", name]
        environment = child_environment() | worker_environment()
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        theirs.close()
        self._socket = ours
        self._decoder = msgspec.msgpack.Decoder(FromForkServer)
        self._warm = self._wanted = warm
        self._most = max(1, min(most, memory_bytes() // 2 // WORKER_BYTES))
        self._idle: deque[WorkerHandle] = deque()
        self._starting = 0
        self._requests = 0
        self._busy: set[int] = set()
        self._leased = self._missed = self._crashed = 0
        self._calm = 0
        self._missing_one = False
        self._rested = False
        self.isolation: str | None = None
        self.missing: dict[str, str] = {}
        self._fill(warm)

    def _fill(self, wanted: int) -> None:
        while len(self._idle) + self._starting < wanted:
            self._starting += 1
            self._requests += 1
            self._ask(Spawn(self._requests))

    def _ask(self, message: Spawn | Rest) -> None:
        try:
            self._socket.send(msgspec.msgpack.encode(message), socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ChannelClosed("the fork server is gone") from error

    def lease_nowait(self) -> WorkerHandle | None:
        """A warm worker, for one job only; None while there is none: `on_readable` will bring one.

        Raises:
            ChannelClosed: the fork server is gone.
        """
        if len(self._busy) >= self._most:
            return None
        if not self._idle:
            self._miss()
            return None
        worker = self._idle.popleft()
        self._busy.add(worker.pid)
        self._leased += 1
        self._crashed = 0
        self._missing_one = False
        self._calm += 1
        if self._calm >= _CALM_LEASES:
            self._calm = 0
            self._wanted = max(self._warm, self._wanted - 1)
            self.evict(self._wanted)
        return worker

    def refill(self) -> None:
        """Have workers started in place of those leased: not at the lease, for that would slow the job's beginning."""
        with suppress(ChannelClosed):  # the next lease tells
            self._fill(0 if self._crashed >= _CRASHES else self._wanted)

    def rest(self) -> None:
        """Nobody wants a worker at present: have done what takes long and makes later ones better. Once is enough."""
        if not self._rested:
            self._rested = True
            with suppress(ChannelClosed):  # the next lease tells
                self._ask(Rest())

    def _miss(self) -> None:
        """Nobody is warm: have one started, and more kept warm from now on if this is not merely the beginning."""
        if not self._missing_one:
            self._missing_one = True
            self._calm = 0
            self._missed += 1
            if self._leased:
                self._wanted = min(self._wanted * 2, max(self._warm, _MOST_WARM))
        self._fill(1 if self._crashed >= _CRASHES else max(self._wanted, 1))

    def evict(self, kept: int = 0) -> None:
        """End all but so many of the warm workers: the environment is used less, or not at present."""
        while len(self._idle) > kept:
            self._idle.popleft().close()

    def wait_ready(self, count: int = 1, timeout_s: float = 60.0) -> None:
        """Wait until so many workers are warm and have said that they are ready.

        Raises:
            TimeoutError: they are not.
        """
        deadline = time.monotonic() + timeout_s
        while len(self._idle) < count:
            self._fill(count)
            _wait_readable(self.fileno(), deadline)
            self.on_readable()
        for worker in list(self._idle)[:count]:
            _wait_readable(worker.channel.fileno(), deadline)

    def statistics(self) -> PoolStatistics:
        """How the pool is doing."""
        counts = len(self._idle), len(self._busy), self._starting, self._wanted, self._most
        return PoolStatistics(*counts, self._leased, self._missed, self._crashed)

    def on_readable(self) -> list[tuple[int, int]]:
        """Take in what the fork server says; the leased workers that ended, as (pid, status).

        Raises:
            ChannelClosed: the fork server is gone, and all its workers with it.
            InvalidInput: the isolation level cannot be had here; the fork server is gone.
            InternalError: one worker could not be started, and no other is on its way.
        """
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, 65536, _WORKER_FDS + 1, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError as error:
            raise ChannelClosed("the fork server is gone") from error
        if not data:
            raise ChannelClosed("the fork server is gone")
        try:
            message = self._decoder.decode(data)
        except msgspec.DecodeError as error:
            raise ProtocolError(f"malformed message from the fork server: {error}") from None
        if isinstance(message, Spawned):
            self._starting -= 1
            self._take_in(message.pid, fds)
        elif isinstance(message, Exited):
            if message.pid in self._busy:
                self._busy.discard(message.pid)
                return [(message.pid, message.status)]
            self._lose_idle(message.pid, message.status)
        elif isinstance(message, Rested):
            self.evict()
            self.refill()
        elif isinstance(message, Preloaded):
            self.isolation, self.missing = message.isolation, message.missing
        elif isinstance(message, Unfit):
            raise InvalidInput(message.text)
        else:
            self._starting -= 1
            self._refuse(message.text)
        return []

    def _lose_idle(self, pid: int, status: int) -> None:
        """A worker has ended that no job had; one that was evicted is not among the warm ones any more."""
        for worker in self._idle:
            if worker.pid == pid:
                break
        else:
            return
        self._idle.remove(worker)
        worker.close()
        self._crashed += 1
        if self._crashed < _CRASHES:
            self._fill(self._wanted)
        else:
            self._refuse(f"{self._crashed} workers in a row ended before they had a job, the last with status {status}")

    def _take_in(self, pid: int, fds: list[int]) -> None:
        if len(fds) >= _WORKER_FDS:
            channel, out, err, pidfd, *memory = fds
            self._idle.append(WorkerHandle(pid, _channel(channel, memory), out, err, pidfd))
            return
        # Descriptors beyond this process's limit are dropped by the kernel; the worker ends with its channel.
        for fd in fds:
            os.close(fd)
        self._refuse("cannot take in a worker: too many files are open in this process")

    def _refuse(self, text: str) -> None:
        if not self._idle and not self._starting:
            raise InternalError(text)

    def fileno(self) -> int:
        """The descriptor to wait on for `on_readable`."""
        return self._socket.fileno()

    def close(self) -> None:
        """End the fork server and every worker, and wait until it is gone."""
        for worker in self._idle:
            worker.close()
        self._idle.clear()
        self._socket.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __repr__(self) -> str:
        return f"<Pool [{len(self._idle)} warm, {len(self._busy)} busy, {self._starting} starting]>"


def _channel(fd: int, memory: list[int]) -> SeqPacketChannel:
    """The channel whose socket is `fd`, with the shared memory that comes with it where the machine can use it."""
    if not memory:
        return SeqPacketChannel.from_fd(fd)
    try:
        return WatchedChannel(socket.socket(fileno=fd), lines.map_memory(memory[0]), first=True)
    finally:
        os.close(memory[0])


def memory_bytes() -> int:
    """The host's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _wait_readable(fd: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1e3):
        raise TimeoutError("no worker was ready in time")
