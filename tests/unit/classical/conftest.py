"""Runs programs in real sandboxes, as different users and as if on different hosts."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest

import hybrid_runtime
from hybrid_runtime.classical import bpf
from hybrid_runtime.classical.bpf import Program

HERE = Path(__file__).parent
ENVIRONMENT = {
    "PYTHONPATH": str(Path(hybrid_runtime.__file__).parents[1]),
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Ended(NamedTuple):
    """How a program ended."""

    status: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The JSON that it printed."""
        assert self.status == 0, self
        return json.loads(self.out)


class Host:
    """Starts processes as a user of some host."""

    def __init__(self, *changes: str) -> None:
        self.changes = changes

    def command(self, *arguments: str) -> list[str]:
        command = [sys.executable, *arguments]
        if self.changes:
            command = [sys.executable, str(HERE / "another_host.py"), *self.changes, "--", *command]
        return command

    def run(self, *arguments: str, program: str | None = None) -> Ended:
        """Run this interpreter with these arguments."""
        done = subprocess.run(
            self.command(*arguments), env=ENVIRONMENT, input=program, capture_output=True, text=True, cwd="/"
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def python(self, program: str) -> Ended:
        """Run a program, unconfined."""
        return self.run("-c", dedent(program))

    def confine(self, level: str, program: str, *options: str, **limits: int) -> Ended:
        """Run `program` in a worker at this isolation level."""
        server = [str(HERE / "small_fork_server.py"), level, json.dumps(limits), *options]
        return self.run(*server, program=json.dumps(dedent(program)) + "\n")

    @contextmanager
    def waiting_worker(self, level: str) -> Iterator[int]:
        """The pid of a worker that has entered its sandbox and waits."""
        program = "import sys\nprint('ready', flush=True)\nsys.stdin.read()"
        server = self.command(str(HERE / "small_fork_server.py"), level, "{}")
        pipe = subprocess.PIPE
        with subprocess.Popen(server, env=ENVIRONMENT, stdin=pipe, stdout=pipe, text=True, cwd="/") as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(program) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ready\n"
            pid = process.pid
            while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                pid = int(children[0])
            yield pid


@pytest.fixture(params=[pytest.param((), id="root", marks=needs_root), pytest.param(("--nobody",), id="nobody")])
def host(request: pytest.FixtureRequest) -> Host:
    """This host, as root and as an unprivileged user."""
    return Host(*request.param)


@pytest.fixture
def nobody() -> Host:
    """This host, as an unprivileged user."""
    return Host("--nobody")


@pytest.fixture
def host_with() -> Callable[..., Host]:
    """Makes other hosts: see the options of another_host.py."""
    return Host


@pytest.fixture(params=["strict", "landlock"])
def level(request: pytest.FixtureRequest) -> str:
    """The isolation levels that hide the host."""
    return str(request.param)


@pytest.fixture
def as_root() -> None:
    """Skips a test that only root can run."""
    if os.geteuid() != 0:
        pytest.skip("needs root")


def _run_filter(program: Program, architecture: int, number: int, *arguments: int) -> int:
    """What a filter returns for a system call, as the kernel would find it."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    code = list(struct.iter_unpack("=HBBI", program.code))
    place, value = 0, 0
    while True:
        operation, if_true, if_false, operand = code[place]
        place += 1
        match operation:
            case bpf.LOAD:
                (value,) = struct.unpack_from("=I", data, operand)
            case bpf.AND:
                value &= operand
            case bpf.JUMP:
                place += operand
            case bpf.JUMP_IF_EQUAL:
                place += if_true if value == operand else if_false
            case bpf.JUMP_IF_AT_LEAST:
                place += if_true if value >= operand else if_false
            case bpf.RETURN:
                return operand
            case _:
                raise AssertionError(f"instruction {operation:#x} is not one that the assembler uses")


@pytest.fixture(scope="session")
def verdict() -> Callable[..., int]:
    """A machine that runs a filter: program, architecture, number and arguments in, verdict out."""
    return _run_filter
