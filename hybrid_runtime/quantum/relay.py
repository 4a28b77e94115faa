"""The relay process: stands in for a remote quantum runtime.

`python -m hybrid_runtime.quantum.relay --fd 5 --connect tcp://HOST:PORT --options {}`

To its dispatcher it is a quantum runtime like any other. It keeps every program and every request without an
answer; when the link breaks or the remote quantum runtime is started again, it connects again, defines the
programs again and asks again. A request is answered exactly once: by the remote quantum runtime, or by a
`Failure` of the relay's own when time is up.

It ends as `quantum.runtime` does, with the same exit codes; 3 means that there is no remote quantum runtime.
"""

from __future__ import annotations

import argparse
import math
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.errors import BackendFailed, ChannelClosed, HybridRuntimeError, InvalidInput, ProtocolError, as_data
from hybrid_runtime.process import die_with_parent, ignore_interrupts
from hybrid_runtime.protocol.address import Address, parse_address, resolve
from hybrid_runtime.protocol.curve import load_client_keys
from hybrid_runtime.protocol.framing import Heartbeat
from hybrid_runtime.protocol.messages import (
    PROTOCOL_VERSION,
    Execute,
    Failure,
    Forget,
    Serving,
    Withdraw,
    decode,
    decoder,
    encode,
)
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.protocol.sessions import RawDefine, ToRelay
from hybrid_runtime.quantum.relayed import Down, Relayed
from hybrid_runtime.quantum.remote_link import RemoteLink

if TYPE_CHECKING:
    from types import FrameType

EXIT_OK = 0
EXIT_BROKEN_CHANNEL = 1
EXIT_USAGE = 2
EXIT_NO_BACKEND = 3

_TITLE = Path("/proc/self/comm")

_now = time.monotonic


class RelayOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of a backend `tcp://HOST:PORT`; times in seconds.

    Attributes:
        keys: Folder with the keys; None for a quantum runtime that asks for none.
        connect_s: How long to try at the start.
        reconnect_s: How long a request waits for a link that broke.
        heartbeat_s: How often the link is tested.
        dead_after_s: How long without an answer until the link counts as broken.
    """

    keys: str | None = None
    connect_s: float = 10.0
    reconnect_s: float = 60.0
    heartbeat_s: float = 1.0
    dead_after_s: float = 5.0

    def __post_init__(self) -> None:
        for name in ("connect_s", "reconnect_s", "heartbeat_s", "dead_after_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise InvalidInput(f"option {name} is a number of seconds above 0, not {value}")


class Relay:
    """Carries messages between a dispatcher and a remote quantum runtime.

    Args:
        local: The channel to the dispatcher.
        address: Where the remote quantum runtime listens.
        options: How patient to be.
    """

    def __init__(self, local: SeqPacketChannel, address: Address, options: RelayOptions) -> None:
        self._local = local
        self._address = address
        self._connect_s = options.connect_s
        self._relayed = Relayed(options.reconnect_s)
        self._decoder = decoder(ToRelay)
        self._served = False
        self._told_down = False
        keys = load_client_keys(Path(options.keys)) if options.keys else None
        heartbeat = Heartbeat(options.heartbeat_s, options.dead_after_s)
        self._link = RemoteLink(address, keys, heartbeat, self._on_up)

    def run(self) -> None:
        """Relay until the dispatcher closes its channel.

        Raises:
            ChannelClosed: it has.
            ProtocolError: it broke the framing.
            BackendFailed: there is no remote quantum runtime at the address.
        """
        while True:
            self._wait(min(self._link.tick(), self._check_time()))
            self._take_local()
            while (answer := self._link.receive()) is not None:
                message, data = answer
                if self._relayed.answered(message.request):
                    self._local.send(data)

    def _wait(self, patience_s: float) -> None:
        poll = select.poll()
        for descriptor in (self._local.fileno(), self._link.fileno()):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        poll.poll(math.ceil(patience_s * 1000))

    def _take_local(self) -> None:
        while (data := self._local.receive_nowait()) is not None:
            try:
                message = decode(self._decoder, data)
            except ProtocolError as error:
                self._local.send(encode(Failure(0, as_data(error))))
                continue
            kept = bytes(data)
            if isinstance(message, RawDefine):
                self._relayed.define(message.program, kept)
            elif isinstance(message, Execute):
                self._relayed.execute(message, kept, _now())
            elif isinstance(message, Forget):
                self._relayed.forget(message.programs)
            elif not self._link.up:
                self._give_up(message)
            self._link.send(kept)

    def _give_up(self, withdraw: Withdraw) -> None:
        failure = self._relayed.failed(withdraw.request, "the request was withdrawn while the link was down")
        if failure is not None:
            self._local.send(encode(failure))

    def _on_up(self) -> None:
        capabilities = self._link.capabilities
        if not self._served and capabilities is not None:
            self._served = True
            self._local.send(encode(Serving(PROTOCOL_VERSION, capabilities)))
        if self._told_down:
            self._told_down = False
            _say(f"{self._address} is there again")
        for kept in self._relayed.again():
            self._link.send(kept)

    def _check_time(self) -> float:
        """Answer the requests whose time is up; the seconds until the next call."""
        now = _now()
        link, relayed = self._link, self._relayed
        down = None
        if link.down_since is not None:
            down = Down(link.down_since, f"{self._address}: {link.trouble}", link.hopeless)
        if down is not None and self._served and not self._told_down:
            self._told_down = True
            _say(f"{down.trouble}; connecting again")
        if down is not None and not self._served:
            left = 0.0 if down.hopeless else down.since + self._connect_s - now
            if left <= 0:
                advice = "start it there with qi-run quantum-runtime, or check the address"
                raise BackendFailed(f"no quantum runtime can be used at {down.trouble}; {advice}")
            return left
        for number, failure in relayed.overdue(now, down):
            self._local.send(encode(failure))
            link.send(encode(Withdraw(number)))
        return relayed.patience(now, down)

    def close(self) -> None:
        """Tell the remote quantum runtime that nobody waits for its answers any more."""
        for number in self._relayed.unanswered():
            self._link.send(encode(Withdraw(number)))
        self._link.close()


def main(arguments: list[str] | None = None) -> int:
    """Run one relay and return the process's exit code."""
    given = _parse(arguments)
    die_with_parent(os.getppid())
    ignore_interrupts()
    signal.signal(signal.SIGTERM, _terminate)
    _TITLE.write_bytes(b"quantum-relay")
    try:
        os.set_inheritable(given.fd, False)
        local = SeqPacketChannel.from_fd(given.fd)
    except OSError as error:
        _say(f"--fd {given.fd} is not a socket: {error}")
        return EXIT_USAGE
    try:
        return _run(given, local)
    except ProtocolError as error:
        _say(str(error))
        return EXIT_BROKEN_CHANNEL
    except ChannelClosed:
        return EXIT_OK
    finally:
        local.close()


def _run(given: argparse.Namespace, local: SeqPacketChannel) -> int:
    try:
        address = parse_address(given.connect)
        resolve(address)  # a name that does not exist is the user's to correct, now
        relay = Relay(local, address, _options(given.options))
    except HybridRuntimeError as error:
        local.send(encode(Failure(0, as_data(error))))
        return EXIT_NO_BACKEND
    try:
        relay.run()
    except BackendFailed as error:
        local.send(encode(Failure(0, as_data(error))))
    finally:
        relay.close()
    return EXIT_NO_BACKEND


def _options(text: str) -> RelayOptions:
    try:
        return msgspec.json.decode(text, type=RelayOptions)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"options of a remote backend: {error}") from error


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hybrid_runtime.quantum.relay", description="Relay to one quantum runtime.")
    parser.add_argument("--fd", type=int, required=True, help="inherited SEQPACKET socket to serve")
    parser.add_argument("--connect", required=True, help="tcp://HOST:PORT of the remote quantum runtime")
    parser.add_argument("--options", default="{}", help="the relay's options as a JSON object")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    print(f"relay: {text}", file=sys.stderr, flush=True)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(EXIT_OK)


if __name__ == "__main__":
    sys.exit(main())
