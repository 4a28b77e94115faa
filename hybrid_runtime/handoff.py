"""How long a message to another process and back takes on this host, looked for and slept for.

`python -m hybrid_runtime.handoff FD MEMORY` is the other process, which gives back whatever it is sent.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import NamedTuple

from hybrid_runtime.config import child_environment
from hybrid_runtime.errors import ChannelClosed, InternalError
from hybrid_runtime.process import interpreter
from hybrid_runtime.protocol import lines
from hybrid_runtime.protocol.watched import WatchedChannel

_MESSAGE = bytes(64)
_ROUNDS = 150
_PATIENCE_S = 0.0005
_TIMEOUT_S = 10.0


class Handoff(NamedTuple):
    """Seconds for one message there and one back; medians.

    Attributes:
        looking_s: Between processes that look for their messages.
        waking_s: Between processes that sleep until they are woken.
    """

    looking_s: float
    waking_s: float


def measure() -> Handoff:
    """Measure it, in about a tenth of a second.

    Raises:
        InternalError: the other process failed.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    memory = lines.new_memory()
    try:
        channel = WatchedChannel(ours, lines.map_memory(memory), first=True)
        with subprocess.Popen(
            interpreter(__name__, str(theirs.fileno()), str(memory)),
            pass_fds=[theirs.fileno(), memory],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        ):
            theirs.close()
            try:
                channel.send(_MESSAGE)
                channel.receive(_TIMEOUT_S)  # it is up
                waking_s = _round_s(channel)
                channel.grant(_PATIENCE_S)
                return Handoff(_round_s(channel), waking_s)
            except (ChannelClosed, TimeoutError) as error:
                raise InternalError(f"the hand-off between two processes cannot be measured: {error}") from error
            finally:
                channel.close()
    finally:
        theirs.close()
        os.close(memory)


def _round_s(channel: WatchedChannel) -> float:
    taken = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        channel.send(_MESSAGE)
        channel.receive(_TIMEOUT_S)
        taken.append(time.perf_counter() - start)
    return sorted(taken)[_ROUNDS // 2]


def main() -> None:
    """Be the other process, until this one closes the channel."""
    fd, memory = map(int, sys.argv[1:])
    channel = WatchedChannel(socket.socket(fileno=fd), lines.map_memory(memory), first=False)
    try:
        while True:
            channel.send(bytes(channel.receive()))
    except ChannelClosed:
        channel.close()


if __name__ == "__main__":
    main()
