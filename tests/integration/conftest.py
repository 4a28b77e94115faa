"""Runtimes with real processes, and a look at these processes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hybrid_runtime
from hybrid_runtime import LocalRuntime

PATIENCE_S = 30.0
# What a worker cannot do without: the rest takes most of the time in which a runtime starts.
QUICK = ("cloudpickle",)
# Where scripts find the package that is under test.
PACKAGE = Path(hybrid_runtime.__file__).parent.parent


@pytest.fixture(scope="module")
def client() -> Iterator[LocalRuntime]:
    """One runtime with the emulator for all tests of a module."""
    with LocalRuntime() as client:
        yield client


@pytest.fixture
def scripted() -> Iterator[Callable[..., LocalRuntime]]:
    """Makes runtimes whose backend gives these answers."""
    made: list[LocalRuntime] = []

    def make(*answers: Any, **settings: Any) -> LocalRuntime:
        options = {"answers": list(answers), "repeat": True}
        made.append(LocalRuntime("scripted", options=options, preload=QUICK, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def children(pid: int) -> list[int]:
    """The processes that this one has started and that live."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, path.read_text().split())
        except OSError:
            continue  # it has ended while it was looked at
    return found


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    below = children(pid)
    return below + [other for child in below for other in descendants(child)]


def find(pid: int, module: str) -> int:
    """The process below this one that runs a module of ours, once it is there."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for child in children(pid):
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if module.encode() in command:
                return child
    raise AssertionError(f"no process runs {module}")


class Watch:
    """Processes that are to end; each is held, so that its number cannot come to mean another."""

    def __init__(self, pids: list[int]) -> None:
        self._held = {}
        for pid in pids:
            try:
                self._held[pid] = os.pidfd_open(pid)
            except ProcessLookupError:
                continue  # it has ended already

    def wait_all_ended(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        for pid, fd in self._held.items():
            left = max(0.0, deadline - time.monotonic())
            assert select.select([fd], [], [], left)[0], f"process {pid} lives on"

    def close(self) -> None:
        for fd in self._held.values():
            os.close(fd)


@pytest.fixture
def watch() -> Iterator[Callable[[list[int]], Watch]]:
    """Watches processes."""
    made: list[Watch] = []

    def make(pids: list[int]) -> Watch:
        made.append(Watch(pids))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def run_script(tmp_path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a user's script in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str) -> subprocess.Popen[str]:
        file = tmp_path / "script.py"
        file.write_text(textwrap.dedent(text))
        process = subprocess.Popen(
            [sys.executable, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A user's script finds the modules beside it; the checks keep Python from that for themselves.
            env=os.environ | {"PYTHONPATH": str(PACKAGE), "PYTHONSAFEPATH": ""},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
