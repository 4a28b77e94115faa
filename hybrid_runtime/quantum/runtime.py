"""The quantum runtime process: `python -m hybrid_runtime.quantum.runtime --fd 5 --driver qulacs --options {}`.

It lives as long as the channel that it inherits as descriptor `--fd`, and no longer than its parent.

==== =========================================================================
exit meaning
==== =========================================================================
0    the peer closed the channel, or SIGTERM came
1    the peer broke the framing of the channel
2    the command line is wrong
3    the driver could not be opened; a `Failure` with request 0 says why
==== =========================================================================
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.errors import ChannelClosed, HybridRuntimeError, InvalidInput, ProtocolError
from hybrid_runtime.process import die_with_parent, ignore_interrupts, renounce
from hybrid_runtime.protocol import lines
from hybrid_runtime.protocol.messages import encode
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.protocol.watched import WatchedChannel
from hybrid_runtime.quantum.drivers import registry
from hybrid_runtime.quantum.executor import failure
from hybrid_runtime.quantum.service import serve
from hybrid_runtime.quantum.threads import limit_threads

if TYPE_CHECKING:
    from types import FrameType

    from hybrid_runtime.quantum.driver import QuantumDriver

EXIT_OK = 0
EXIT_BROKEN_CHANNEL = 1
EXIT_USAGE = 2
EXIT_NO_DRIVER = 3

_TITLE = Path("/proc/self/comm")  # what `ps` and `top` show, 15 bytes


def main(arguments: list[str] | None = None) -> int:
    """Run one quantum runtime and return the process's exit code."""
    given = _parse(arguments)
    _prepare_process(given.driver, given.options)
    try:
        os.set_inheritable(given.fd, False)  # what a driver starts must not hold the channel open
        channel = _channel(given.fd, given.memory_fd)
    except OSError as error:
        print(f"quantum runtime: --fd {given.fd} is not a socket: {error}", file=sys.stderr)
        return EXIT_USAGE
    try:
        return _run(given, channel)
    except ProtocolError as error:
        print(f"quantum runtime: {error}", file=sys.stderr)
        return EXIT_BROKEN_CHANNEL
    except ChannelClosed:
        return EXIT_OK
    finally:
        channel.close()


def _run(given: argparse.Namespace, channel: SeqPacketChannel) -> int:
    try:
        driver = registry.open(given.driver, _options(given.options))
    except HybridRuntimeError as error:
        channel.send(encode(failure(0, error)))
        return EXIT_NO_DRIVER
    _take_signals(driver)
    # What start-up made stays for good: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    serve(driver, channel, name=given.name, tell_states=given.tell_states)
    return EXIT_OK


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hybrid_runtime.quantum.runtime", description="Run one quantum runtime.")
    parser.add_argument("--fd", type=int, required=True, help="inherited SEQPACKET socket to serve")
    parser.add_argument("--memory-fd", type=int, help="inherited memory that the peer shares")
    parser.add_argument("--driver", required=True, help="name of the driver")
    parser.add_argument("--options", default="{}", help="the driver's options as a JSON object")
    parser.add_argument("--name", help="the backend's name; the driver's own when left out")
    parser.add_argument("--tell-states", action="store_true", help="say when the backend calibrates")
    return parser.parse_args(arguments)


def _channel(fd: int, memory: int | None) -> SeqPacketChannel:
    if memory is None:
        return SeqPacketChannel.from_fd(fd)
    try:
        return WatchedChannel(socket.socket(fileno=fd), lines.map_memory(memory), first=False)
    finally:
        os.close(memory)


def _options(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidInput(f"the driver's options are a JSON object: {error}") from error


def _prepare_process(driver: str, options: str) -> None:
    with suppress(InvalidInput):  # what is wrong with them is said when the driver is opened
        limit_threads(_options(options))
    parent = os.getppid()
    _TITLE.write_bytes(f"quantum-{driver}".encode()[:15])
    renounce(outside=driver in registry.SELF_CONTAINED)
    die_with_parent(parent)
    ignore_interrupts()


def _take_signals(driver: QuantumDriver) -> None:
    """SIGUSR1 interrupts what is running; SIGTERM ends the process after closing the driver."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        driver.interrupt()

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(EXIT_OK)

    signal.signal(signal.SIGUSR1, interrupt)
    signal.signal(signal.SIGTERM, terminate)


if __name__ == "__main__":
    sys.exit(main())
