"""Remote quantum runtimes as processes, and clients that speak to them message by message."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.address import parse_address
from hybrid_runtime.protocol.messages import (
    PROTOCOL_VERSION,
    CircuitCall,
    Define,
    Execute,
    decode,
    decoder,
    encode,
)
from hybrid_runtime.protocol.remote import RemoteChannel
from hybrid_runtime.protocol.sessions import Attach, FromRemote

PATIENCE_S = 60.0

BELL = Program(
    2,
    2,
    0,
    (
        Operation("H", (0,)),
        Operation("CNOT", (0, 1)),
        Operation("measure", (0,), (), 0),
        Operation("measure", (1,), (), 1),
    ),
)

_hosts = itertools.count(1)


def own_host() -> str:
    """An address of this host that no other test uses: a port on it stays free while its server is started again."""
    pid = os.getpid()
    return f"127.{10 + (pid >> 8) % 200}.{pid % 256}.{next(_hosts) % 250 + 1}"


class Server:
    """A remote quantum runtime in a process of its own, as `qi-run quantum-runtime` starts it."""

    def __init__(self, driver: str, options: dict | None, *more: str, address: str | None = None) -> None:
        command = [sys.executable, "-m", "hybrid_runtime", "quantum-runtime", "--driver", driver]
        command += ["--bind", address or f"tcp://{own_host()}:0", "--options", json.dumps(options or {}), *more]
        self.arguments: tuple[Any, ...] = (driver, options, *more)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[-1]

    def line(self) -> str:
        """The next line it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def again(self) -> Server:
        """Another one like it, at the same address."""
        return Server(*self.arguments, address=self.address)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it in good order; its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        assert self.process.stdout is not None
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture
def server() -> Iterator:
    """Start remote quantum runtimes; they end with the test."""
    started = []

    def make(driver="null", options=None, *more, like=None):
        started.append(Server(driver, options, *more) if like is None else like.again())
        return started[-1]

    yield make
    for each in started:
        each.close()


class Caller:
    """A client that speaks for itself, without a relay. Program 1 is the bell pair."""

    def __init__(self, address: str, session: str, keys=None) -> None:
        self.channel = RemoteChannel(parse_address(address), keys)
        self.channel.wait_opened(PATIENCE_S)
        self.send(Attach(PROTOCOL_VERSION, session))
        self.attached = self.next()
        self.send(Define(1, BELL))

    def send(self, message) -> None:
        self.channel.send(encode(message))

    def next(self, timeout_s=PATIENCE_S):
        return decode(decoder(FromRemote), self.channel.receive(timeout_s))

    def ask(self, request, *, shots=10, rows=1, timeout_s=60.0, raw=False) -> None:
        self.send(Execute(request, [CircuitCall(1, shots, rows, b"", raw)], 7, timeout_s))

    def close(self) -> None:
        self.channel.close()


@pytest.fixture
def caller() -> Iterator:
    """Attach clients; they leave with the test."""
    callers = []

    def make(server, session="session", keys=None):
        callers.append(Caller(server.address, session, keys))
        return callers[-1]

    yield make
    for each in callers:
        each.close()
