"""The dispatcher's side of a fork server: starts it, keeps workers warm, hands them out."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.config import child_environment, worker_environment
from hybrid_runtime.errors import ChannelClosed, InternalError, InvalidInput, ProtocolError
from hybrid_runtime.process import interpreter
from hybrid_runtime.protocol.forking import Exited, FromForkServer, Preloaded, Spawn, Spawned, Unfit
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

if TYPE_CHECKING:
    from pathlib import Path

PRELOAD = ("numpy", "scipy.optimize", "cloudpickle", "hybrid_runtime.optimize", "cqasm.v3x")


# A guess: each takes about 40 MB once it computes, and they share the node's cores.
MOST_WORKERS = 64


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


class Pool:
    """Warm workers of one environment. Used by the dispatcher's loop, which waits on `fileno()`.

    Args:
        scratch: Folder below which each worker gets its own.
        warm: Workers kept ready.
        most: Workers that jobs may have at the same time; further jobs wait.
        preload: Modules that workers are born with.
        level: Isolation level; the strictest available when None.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        warm: int = 1,
        most: int = MOST_WORKERS,
        preload: tuple[str, ...] = PRELOAD,
        level: str | None = None,
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = interpreter("hybrid_runtime.classical.forkserver", "--fd", str(theirs.fileno()))
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
        self._warm = warm
        self._most = most
        self._idle: deque[WorkerHandle] = deque()
        self._starting = 0
        self._requests = 0
        self._busy: set[int] = set()
        self._dead: set[int] = set()
        self.isolation: str | None = None
        self.missing: dict[str, str] = {}
        self._fill(warm)

    def _fill(self, wanted: int) -> None:
        while len(self._idle) + self._starting < wanted:
            self._starting += 1
            self._requests += 1
            try:
                self._socket.send(msgspec.msgpack.encode(Spawn(self._requests)), socket.MSG_NOSIGNAL)
            except (BrokenPipeError, ConnectionResetError) as error:
                raise ChannelClosed("the fork server is gone") from error

    def lease_nowait(self) -> WorkerHandle | None:
        """A warm worker, for one job only; None while there is none: `on_readable` will bring one.

        Raises:
            ChannelClosed: the fork server is gone.
        """
        if len(self._busy) >= self._most:
            return None
        while self._idle:
            worker = self._idle.popleft()
            if worker.pid in self._dead:
                self._dead.discard(worker.pid)
                worker.close()
                continue
            self._busy.add(worker.pid)
            self._fill(self._warm)
            return worker
        self._fill(max(self._warm, 1))
        return None

    def on_readable(self) -> list[tuple[int, int]]:
        """Take in what the fork server says; the leased workers that ended, as (pid, status).

        Raises:
            ChannelClosed: the fork server is gone, and all its workers with it.
            InvalidInput: the isolation level cannot be had here; the fork server is gone.
            InternalError: one worker could not be started, and no other is on its way.
        """
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, 65536, 4, socket.MSG_CMSG_CLOEXEC)
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
            self._dead.add(message.pid)
        elif isinstance(message, Preloaded):
            self.isolation, self.missing = message.isolation, message.missing
        elif isinstance(message, Unfit):
            raise InvalidInput(message.text)
        else:
            self._starting -= 1
            self._refuse(message.text)
        return []

    def _take_in(self, pid: int, fds: list[int]) -> None:
        if len(fds) == 4:
            channel, out, err, pidfd = fds
            self._idle.append(WorkerHandle(pid, SeqPacketChannel.from_fd(channel), out, err, pidfd))
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
