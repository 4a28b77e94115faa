"""A fork server in miniature: forks workers one after another, each of which runs the program given on stdin.

    small_fork_server.py LEVEL LIMITS-AS-JSON [--preload MODULE]... [--workers N]

Ends with the last worker's exit status, or 128 plus the number of the signal that killed it.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import os
import shutil
import sys
import tempfile
import traceback

import msgspec

from hybrid_runtime.classical.sandbox import Level, Sandbox, SandboxLimits, Seat

KEPT = {0, 1, 2}


def wait_for(pid: int) -> int:
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if status >= 0 else 128 - status


def work(sandbox: Sandbox, seat: Seat, program: str) -> int:
    """In a worker: its exit status."""
    try:
        sandbox.enter(seat, keep_fds=KEPT)
        faulthandler.enable(2)
        exec(compile(program, "program", "exec"), {"__name__": "program", "scratch": seat.scratch})
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - a fork must not return into the loop of its parent
        traceback.print_exc()
        sys.stderr.flush()
        return 1
    return 0


def next_descriptor() -> int:
    """The lowest free number, which grows where descriptors leak."""
    fd = os.dup(0)
    os.close(fd)
    return fd


def serve(sandbox: Sandbox, program: str, workers: int) -> int:
    status, free = 0, next_descriptor()
    for _ in range(workers):
        seat = sandbox.allot()
        begins, let_begin = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(begins, 1)
            os._exit(work(sandbox, seat, program))
        sandbox.forked()
        os.write(let_begin, b"x")
        os.close(begins)
        os.close(let_begin)
        status = wait_for(pid)
        sandbox.release(seat)
    assert next_descriptor() == free
    return status


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("level", type=Level)
    parser.add_argument("limits", type=lambda text: msgspec.json.decode(text, type=SandboxLimits))
    parser.add_argument("--preload", action="append", default=[])
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    program = os.fdopen(0, closefd=False).readline()
    scratch = tempfile.mkdtemp(prefix="hybrid-runtime-test-")
    try:
        sandbox = Sandbox(arguments.level, arguments.limits, scratch=scratch)
        if sandbox.needs_detaching:
            sandbox.detach()
            child = os.fork()
            if child:
                return wait_for(child)
        sandbox.enclose()
        for name in arguments.preload:
            importlib.import_module(name)
        status = serve(sandbox, msgspec.json.decode(program, type=str), arguments.workers)
        assert sandbox.needs_detaching or os.listdir(scratch) == []
        return status
    finally:
        # A fork server at level strict does not see this directory; its parent does.
        shutil.rmtree(scratch, ignore_errors=True)


sys.exit(main())
