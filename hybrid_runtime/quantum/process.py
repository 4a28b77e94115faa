"""Starts what answers for a backend as a process of its own, and gives the channel to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from hybrid_runtime.config import child_environment
from hybrid_runtime.process import interpreter
from hybrid_runtime.protocol import lines
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.protocol.watched import WatchedChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hybrid_runtime.quantum.inline import Inline

_REMOTE = "tcp://"
# Time to take leave of what is on another host: to withdraw requests, to give back a lock. What is on this host
# ends with its process.
_GOODBYE_S = 2.5


class QuantumProcess:
    """A process that lives as long as this object and speaks for one backend.

    ======================= ==================================================================
    backend                 process
    ======================= ==================================================================
    `NAME`                  a quantum runtime with the driver of that name
    `NAME:tcp://HOST:PORT`  the same; the driver gets the address as its option `address`
    `tcp://HOST:PORT`       a relay to the remote quantum runtime that listens there
    ======================= ==================================================================

    Args:
        backend: Which backend.
        options: Options of the driver or of the relay.
        more: Further arguments of the process.
        placed: Entered while the process is started.
        started: Whether it is started at once; else `start` does.
        inline: Whether brief circuits may be run in the calling process as well.
    """

    def __init__(
        self,
        backend: str,
        options: Mapping[str, Any] | None = None,
        more: Sequence[str] = (),
        *,
        placed: Callable[[], AbstractContextManager[None]] = nullcontext,
        started: bool = True,
        inline: bool = False,
    ) -> None:
        self._backend = backend
        self._options = dict(options or {})
        self._more = more
        self._placed = placed
        self._inline = inline
        self._goodbye_s = _GOODBYE_S if _REMOTE in backend else 0.0
        self._started: tuple[SeqPacketChannel, subprocess.Popen[bytes]] | None = None
        if started:
            self.start()

    def start(self) -> None:
        """Start the process, at first or again; one that is there is ended, and its channel closed.

        Raises:
            OSError: the host has no room for it.
        """
        self._end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [*_command(self._backend, self._options, theirs.fileno()), *self._more]
        memory = [lines.new_memory()] if lines.available() and not self._backend.startswith(_REMOTE) else []
        for fd in memory:
            command += ["--memory-fd", str(fd)]
        channel = SeqPacketChannel(ours)
        try:
            with self._placed():
                process = subprocess.Popen(
                    command,
                    pass_fds=[theirs.fileno(), *memory],
                    env=child_environment(),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            for fd in memory:
                channel = WatchedChannel(ours, lines.map_memory(fd), first=True)
        except OSError:
            channel.close()
            raise
        finally:
            theirs.close()
            for fd in memory:
                os.close(fd)
        self._started = channel, process

    @property
    def channel(self) -> SeqPacketChannel:
        """Leads to the process."""
        assert self._started is not None
        return self._started[0]

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        assert self._started is not None
        return self._started[1]

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def inline(self) -> Inline | None:
        """What runs brief circuits in this process, made now; None where nothing is to, or can."""
        if not self._inline:
            return None
        from hybrid_runtime.quantum.inline import load

        return load(self._backend, self._options)

    def interrupt(self) -> None:
        """Interrupt what its driver runs."""
        self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """End it at once; its channel then says so."""
        self._process.kill()

    def close(self) -> int:
        """End the process and wait until it is gone; its exit status, negative for a signal."""
        if self._started is not None and self._goodbye_s:
            self.channel.close()
            status = self._leave()
            if status is not None:
                return status
        return self._end()

    def _end(self) -> int:
        """End the process, if there is one, without taking leave; its exit status."""
        if self._started is None:
            return 0
        channel, process = self._started
        channel.close()
        process.kill()
        return process.wait()

    def _leave(self) -> int | None:
        """Let the process end by itself; its exit status, or None where it does not in time."""
        try:
            return self._process.wait(self._goodbye_s)
        except subprocess.TimeoutExpired:
            self._process.terminate()  # it is busy and does not read its channel
        try:
            return self._process.wait(self._goodbye_s)
        except subprocess.TimeoutExpired:
            return None


def _command(backend: str, options: dict[str, Any], descriptor: int) -> list[str]:
    if backend.startswith(_REMOTE):
        command = interpreter("hybrid_runtime.quantum.relay", "--fd", str(descriptor), "--connect", backend)
        return [*command, "--options", json.dumps(options)]
    driver, separator, address = backend.partition(":")
    if separator:
        options = {"address": address} | options
    command = interpreter("hybrid_runtime.quantum.runtime", "--fd", str(descriptor))
    return [*command, "--driver", driver, "--options", json.dumps(options)]
