"""The preloaded parent of all workers: forks one per request, confined and ready, in a few milliseconds.

::

    dispatcher ──Spawn──▶ fork server ──fork──▶ worker (its channel, output and pidfd go to the dispatcher)
    dispatcher ◀─Spawned, Exited── fork server

It is single-threaded, holds no secrets and never runs a user's code: workers inherit its memory. It ends
when the dispatcher's end of the control socket closes, and by parent-death signal all workers end with it.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import importlib
import io
import os
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

import msgspec

from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.process import die_with_parent, ignore_interrupts
from hybrid_runtime.protocol.forking import Exited, Preloaded, Spawn, Spawned, Trouble
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

# What a worker may use. Isolation proper is sandbox.py's part.
_LIMITS = {
    resource.RLIMIT_AS: 4 << 30,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 1 << 30,
    resource.RLIMIT_NOFILE: 256,
}


class ForkServer:
    """Answers `Spawn` by a worker, and reports each worker's end."""

    def __init__(self, control: socket.socket, scratch: Path) -> None:
        self._control = control
        self._scratch = scratch
        self._folders: dict[int, Path] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def preload(self, modules: list[str]) -> None:
        """Import what workers will want, then report ready."""
        missing = {}
        for name in modules:
            try:
                importlib.import_module(name)
            except ImportError as error:
                missing[name] = str(error)
        # Everything that exists now is shared with every worker: the collector must not touch (and so copy) it.
        gc.collect()
        gc.freeze()
        self._send(Preloaded("process", missing))

    def serve(self) -> None:
        """Fork and reap until the dispatcher is gone."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self._wake_read:
                    os.read(self._wake_read, 4096)
                    self._reap()
                elif not self._answer():
                    return

    def _answer(self) -> bool:
        try:
            packet = self._control.recv(4096)
        except ConnectionResetError:
            return False  # it closed with messages of ours unread
        if not packet:
            return False
        try:
            request = msgspec.msgpack.decode(packet, type=Spawn)
        except msgspec.DecodeError as error:
            raise ProtocolError(f"malformed message to the fork server: {error}") from None
        try:
            self._spawn(request.request)
        except OSError as error:
            self._send(Trouble(request.request, f"cannot start a worker: {error}"))
        return True

    def _spawn(self, request: int) -> None:
        with ExitStack() as held:
            folder = Path(tempfile.mkdtemp(prefix="job-", dir=self._scratch))
            unused = held.enter_context(ExitStack())
            unused.callback(shutil.rmtree, folder, ignore_errors=True)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            held.callback(ours.close)
            held.callback(theirs.close)
            out_read, out_write = _pipe(held)
            err_read, err_write = _pipe(held)
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                _become_worker(theirs.detach(), out_write, err_write, folder, parent)
            unused.pop_all()
            self._folders[pid] = folder
            pidfd = os.pidfd_open(pid)
            held.callback(os.close, pidfd)
            self._send(Spawned(request, pid), [ours.fileno(), out_read, err_read, pidfd])

    def _reap(self) -> None:
        while True:
            try:
                # It is looked at before it is collected: until then its pid, and so its group's, is its own.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            pid, status = self._collect(ended.si_pid)
            folder = self._folders.pop(pid, None)
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            self._send(Exited(pid, os.waitstatus_to_exitcode(status)))

    def _collect(self, pid: int) -> tuple[int, int]:
        """A worker's pid and status; what it started in its process group ends with it."""
        with suppress(ProcessLookupError):  # it did not live long enough to have a group
            os.killpg(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)

    def close(self) -> None:
        """End all workers and remove what they left."""
        for pid in self._folders:
            os.kill(pid, signal.SIGKILL)
        for pid, folder in self._folders.items():
            self._collect(pid)
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.clear()

    def _send(self, message: msgspec.Struct, fds: list[int] | None = None) -> None:
        try:
            socket.send_fds(self._control, [msgspec.msgpack.encode(message)], fds or [])
        except (BrokenPipeError, ConnectionResetError):
            self.close()
            sys.exit(0)


def _pipe(held: ExitStack) -> tuple[int, int]:
    """A pipe that is closed with `held`."""
    ends = os.pipe2(os.O_CLOEXEC)
    for fd in ends:
        held.callback(os.close, fd)
    return ends


def _become_worker(channel_fd: int, out: int, err: int, folder: Path, parent: int) -> NoReturn:
    """In the child of a fork: drop all that is the fork server's, then run one job."""
    try:
        os.setsid()
        die_with_parent(parent)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (out, 1), (err, 2)):
            os.dup2(source, target)
        channel_fd = _keep_only(channel_fd)
        for limit, value in _LIMITS.items():
            hard = resource.getrlimit(limit)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(limit, (value, value))
        os.chdir(folder)
        os.environ["TMPDIR"] = os.environ["HOME"] = str(folder)
        sys.stdin, sys.stdout, sys.stderr = _text(0, "rb"), _text(1, "wb"), _text(2, "wb")
        faulthandler.enable(2)
        faulthandler.register(signal.SIGUSR2, 2, all_threads=False)
        # Imported by the parent already: only the name is new here.
        from hybrid_runtime.classical import worker

        worker.main(SeqPacketChannel.from_fd(channel_fd), folder, "process")
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - a fork must never return into the server's loop
        os.write(2, f"worker could not run: {type(error).__name__}: {error}\n".encode())
        os._exit(70)


def _text(fd: int, mode: str) -> io.TextIOWrapper:
    """A standard stream over this descriptor, sent line by line, that any text can be written to."""
    stream = os.fdopen(fd, mode, closefd=False)
    return io.TextIOWrapper(stream, "utf-8", "backslashreplace", line_buffering=True)


def _keep_only(fd: int) -> int:
    """Close every descriptor but the standard ones and this one, which moves to 3."""
    if fd != 3:
        os.dup2(fd, 3, inheritable=False)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    return 3


def main() -> None:
    """`python -m hybrid_runtime.classical.forkserver --fd N --scratch DIR --parent PID [--preload MODULE]…`."""
    parser = argparse.ArgumentParser(prog="hybrid-runtime-forkserver")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--preload", action="append", default=[])
    arguments = parser.parse_args()
    ignore_interrupts()
    die_with_parent(arguments.parent)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=arguments.fd)
    server = ForkServer(control, arguments.scratch)
    from hybrid_runtime.classical import worker

    server.preload(arguments.preload)
    # Workers are born with their stop signal held back: until they handle it, it would kill them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {worker.STOP_SIGNAL})
    server.serve()
    server.close()


if __name__ == "__main__":
    main()
