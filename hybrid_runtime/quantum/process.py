"""Starts what answers for a backend as a process of its own, and gives the channel to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

from hybrid_runtime.config import child_environment
from hybrid_runtime.process import interpreter
from hybrid_runtime.protocol import lines
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.protocol.watched import WatchedChannel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    """

    def __init__(self, backend: str, options: Mapping[str, Any] | None = None, more: Sequence[str] = ()) -> None:
        self._goodbye_s = _GOODBYE_S if _REMOTE in backend else 0.0
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [*_command(backend, dict(options or {}), theirs.fileno()), *more]
        memory = [lines.new_memory()] if lines.available() and not backend.startswith(_REMOTE) else []
        for fd in memory:
            command += ["--memory-fd", str(fd)]
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno(), *memory],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self.channel = SeqPacketChannel(ours)
        for fd in memory:
            self.channel = WatchedChannel(ours, lines.map_memory(fd), first=True)
            os.close(fd)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def interrupt(self) -> None:
        """Interrupt what its driver runs."""
        self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """End it at once; its channel then says so."""
        self._process.kill()

    def close(self) -> int:
        """End the process and wait until it is gone; its exit status, negative for a signal."""
        self.channel.close()
        status = self._leave() if self._goodbye_s else None
        if status is not None:
            return status
        self._process.kill()
        return self._process.wait()

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
