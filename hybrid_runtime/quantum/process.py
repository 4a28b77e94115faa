"""Starts a quantum runtime as a process of its own, and gives the channel to it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from hybrid_runtime.config import child_environment
from hybrid_runtime.process import interpreter
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel


class QuantumProcess:
    """A quantum runtime that lives as long as this object.

    Args:
        driver: Name of its driver; see `quantum.drivers.registry`.
        options: The driver's options.
    """

    def __init__(self, driver: str, options: dict[str, Any] | None = None) -> None:
        self.channel, theirs = SeqPacketChannel.pair()
        command = interpreter("hybrid_runtime.quantum.runtime", "--fd", str(theirs.fileno()))
        command += ["--driver", driver, "--options", json.dumps(options or {})]
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def close(self) -> None:
        """End the process and wait until it is gone."""
        self.channel.close()
        self._process.kill()
        self._process.wait()
