"""The preloaded parent of all workers: forks one per request, confined and ready, in a few milliseconds.

::

    dispatcher ──Spawn──▶ fork server ──fork──▶ worker (its channel, output and pidfd go to the dispatcher)
    dispatcher ◀─Spawned, Exited── fork server

It is single-threaded, holds no secrets and never runs a user's code: workers inherit its memory. It ends
when the dispatcher's end of the control socket closes, and all workers end with it: at level strict because it is
pid 1 of their pid namespace, at the others by parent-death signal. At level strict the process that the dispatcher
started only waits: it is in the host's pid namespace, and its child is the fork server.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import io
import os
import select
import shutil
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec

from hybrid_runtime.classical import isolation, oneprocess, quota, syscalls
from hybrid_runtime.classical.sandbox import Level, Sandbox, SandboxLimits, Seat
from hybrid_runtime.config import worker_environment
from hybrid_runtime.errors import InvalidInput, ProtocolError
from hybrid_runtime.process import die_with_parent, ignore_interrupts
from hybrid_runtime.protocol import lines
from hybrid_runtime.protocol.forking import Exited, Preloaded, Rest, Rested, Spawned, ToForkServer, Trouble, Unfit
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.protocol.watched import WatchedChannel

_STANDARD_FDS = (0, 1, 2)
# Files that take about as long to remove as a fork does.
_QUICKLY_REMOVED = 100
# What takes long to rehearse is rehearsed when the dispatcher says that there is time. One that is never without a job
# does not: but a server that has made so many workers will make more, and it pays as soon as nobody has wanted anything
# for a moment.
_LONG_LIVED = 4
_MOMENT_S = 0.02


class ForkServer:
    """Answers `Spawn` by a worker, and reports each worker's end."""

    def __init__(self, control: socket.socket, sandbox: Sandbox) -> None:
        self._control = control
        self._sandbox = sandbox
        self._decoder: msgspec.msgpack.Decoder[ToForkServer] = msgspec.msgpack.Decoder(ToForkServer)
        self._seats: dict[int, Seat] = {}
        # What the next worker will find, prepared while nobody asks for one.
        self._next: Seat | None = None
        self._greedy: set[int] = set()
        # How many more workers until the long rehearsal; none after it.
        self._until_long: int | None = _LONG_LIVED
        self._look_at = 0.0
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def preload(self, modules: list[str]) -> None:
        """Import what workers will want, then report ready."""
        from hybrid_runtime.classical import learning  # in our own root directory, as all that follows

        missing = {}
        for name in modules:
            try:
                importlib.import_module(name)
            except ImportError as error:
                missing[name] = str(error)
        _reset_environment()
        _open_streams()
        if self._sandbox.level is not Level.PROCESS:
            oneprocess.insist()
        learning.learn(self._rehearsal_folder())
        self._send(Preloaded(self._sandbox.level.value, missing))

    def _prepare(self) -> Seat:
        """What the next worker will find."""
        if self._next is None:
            self._next = self._sandbox.allot()
            os.environ["TMPDIR"] = os.environ["HOME"] = self._next.scratch
        return self._next

    def serve(self) -> None:
        """Fork and reap until the dispatcher is gone."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            events = poll.poll(self._patience_ms())
            if not events and self._until_long == 0:
                self._rehearse_long()
            for fd, _ in events:
                if fd == self._wake_read:
                    os.read(self._wake_read, 4096)
                    self._reap()
                elif not self._answer():
                    return
            self._end_the_greedy()
            with suppress(OSError):  # whoever asks for the worker next is told
                self._prepare()

    def _patience_ms(self) -> float | None:
        """How long to wait for events: for ever where nobody must be looked after."""
        if self._until_long == 0:
            return _MOMENT_S * 1e3
        return quota.LOOK_EVERY_S * 1e3 if self._seats and self._sandbox.bounds_disk_by_looking else None

    def _rehearse_long(self) -> bool:
        """Whether workers from now on are better than those before."""
        self._until_long = None
        if self._next is None:
            return False  # there is no room for files where a worker could not be given any
        from hybrid_runtime.classical import learning

        return learning.learn_more(self._rehearsal_folder())

    def _rehearsal_folder(self) -> Path:
        return Path(self._prepare().scratch) / "rehearsal"

    def _end_the_greedy(self) -> None:
        """Kill the workers that have taken more of the disk than they may, if it is time to look."""
        now = time.monotonic()
        if not self._sandbox.bounds_disk_by_looking or now < self._look_at:
            return
        self._look_at = now + quota.LOOK_EVERY_S
        limits = self._sandbox.limits
        for pid, seat in self._seats.items():
            if quota.exceeded(seat.scratch, pid, most_bytes=limits.scratch_bytes, most_files=limits.scratch_inodes):
                os.kill(pid, signal.SIGKILL)
                self._greedy.add(pid)

    def _answer(self) -> bool:
        try:
            packet = self._control.recv(4096)
        except ConnectionResetError:
            return False  # it closed with messages of ours unread
        if not packet:
            return False
        try:
            request = self._decoder.decode(packet)
        except msgspec.DecodeError as error:
            raise ProtocolError(f"malformed message to the fork server: {error}") from None
        if isinstance(request, Rest):
            if self._until_long is not None and self._rehearse_long():
                self._send(Rested())
            return True
        try:
            self._spawn(request.request)
        except OSError as error:
            self._send(Trouble(request.request, f"cannot start a worker: {error}"))
        return True

    def _spawn(self, request: int) -> None:
        seat = self._prepare()
        with ExitStack() as held:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            held.callback(ours.close)
            held.callback(theirs.close)
            out_read, out_write = _pipe(held)
            err_read, err_write = _pipe(held)
            memory = [lines.new_memory()] if lines.available() else []
            for fd in memory:
                held.callback(os.close, fd)
            pid = syscalls.fork()
            if pid == 0:
                _become_worker(_channel(theirs, memory), out_write, err_write, self._sandbox, seat)
            self._next = None
            self._seats[pid] = seat
            if self._until_long:
                self._until_long -= 1
            self._sandbox.forked()
            pidfd = os.pidfd_open(pid)
            held.callback(os.close, pidfd)
            self._send(Spawned(request, pid), [ours.fileno(), out_read, err_read, pidfd, *memory])

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
            seat = self._seats.pop(pid, None)
            if seat is not None:
                self._release(seat)
                told = os.waitstatus_to_exitcode(status)
                if pid in self._greedy:
                    self._greedy.discard(pid)
                    told = -signal.SIGXFSZ
                self._send(Exited(pid, told))

    def _release(self, seat: Seat) -> None:
        """Remove what a worker has left; much is left to a process of its own, so that others need not wait."""
        if self._sandbox.release(seat, most=_QUICKLY_REMOVED) or syscalls.fork():
            return
        try:
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            self._sandbox.release(seat)
        finally:
            os._exit(0)

    def _collect(self, pid: int) -> tuple[int, int]:
        """A worker's pid and status; what it started in its process group ends with it."""
        with suppress(ProcessLookupError):  # it did not live long enough to have a group
            os.killpg(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)

    def close(self) -> None:
        """End all workers and remove what they left."""
        for pid in self._seats:
            os.kill(pid, signal.SIGKILL)
        for pid, seat in self._seats.items():
            self._collect(pid)
            self._sandbox.release(seat)
        self._seats.clear()
        if self._next is not None:
            self._sandbox.release(self._next)
            self._next = None

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


def _channel(sock: socket.socket, memory: list[int]) -> SeqPacketChannel:
    """A worker's end of the channel to its dispatcher; its memory belongs to no other worker."""
    return WatchedChannel(sock, lines.map_memory(memory[0]), first=False) if memory else SeqPacketChannel(sock)


def _become_worker(channel: SeqPacketChannel, out: int, err: int, sandbox: Sandbox, seat: Seat) -> NoReturn:
    """In the child of a fork: drop all that is the fork server's, then run one job."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        # Of its own, too: what is set at an open file, such as its flags, shows to all who share it.
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in zip((null, out, err), _STANDARD_FDS, strict=True):
            os.dup2(source, target)
        # Imported by the parent already: only the name is new here.
        from hybrid_runtime.classical import worker

        sandbox.enter(seat, keep_fds={*_STANDARD_FDS, channel.fileno()})
        worker.main(channel, Path(seat.scratch), sandbox.level.value)
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - a fork must never return into the server's loop
        os.write(2, f"worker could not run: {type(error).__name__}: {error}\n".encode())
        os._exit(70)


def _open_streams() -> None:
    """Standard streams for workers, which put files of their own in the place of these descriptors."""
    sys.stdin, sys.stdout, sys.stderr = _text(0, "rb"), _text(1, "wb"), _text(2, "wb")
    faulthandler.enable(2)
    faulthandler.register(signal.SIGUSR2, 2, all_threads=False)


def _text(fd: int, mode: str) -> io.TextIOWrapper:
    """A standard stream over this descriptor, sent line by line, that any text can be written to."""
    stream = os.fdopen(fd, mode, closefd=False)
    return io.TextIOWrapper(stream, "utf-8", "backslashreplace", line_buffering=True)


def _probe(level: Level, scratch: str) -> str | None:
    """Why this host cannot give the level, found out by a child: that costs milliseconds, a new interpreter 100."""
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        os._exit(isolation.rehearse(level, scratch, theirs))
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for left in Path(scratch).iterdir():
        shutil.rmtree(left, ignore_errors=True)
    return None if status == 0 else isolation.reason(status, said)


def _enclosed(wanted: str | None, scratch: str, control: socket.socket) -> Sandbox:
    """The sandbox of this level, entered as far as a fork server does; from here on in another process, perhaps.

    Raises:
        InvalidInput: the level cannot be had.
    """
    level = isolation.choose(wanted, partial(_probe, scratch=scratch))
    sandbox = Sandbox(level, SandboxLimits(), scratch=scratch)
    if sandbox.needs_detaching:
        sandbox.detach()
        _go_on_as_child(control)
    sandbox.enclose()
    return sandbox


def _go_on_as_child(control: socket.socket) -> None:
    """Fork, and return in the child only; this process waits for the child's end, and takes it along with its own."""
    alive, held = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child:
        control.close()
        os.close(alive)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(status if status >= 0 else 128 - status)
    os.close(held)
    # A parent in another pid namespace has no number here.
    die_with_parent(os.getppid())
    # It may have died before: then nobody holds the other end of the pipe.
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)
    os.close(alive)


def _reset_environment() -> None:
    """Drop what only this process's start needed, or what an imported package has set for itself."""
    os.environ.clear()
    os.environ.update(worker_environment())


def _wait_for_end(control: socket.socket) -> None:
    """Read until the dispatcher is gone: a socket closed with requests unread would take our last word along."""
    try:
        while control.recv(4096):
            pass
    except ConnectionResetError:
        return


def main() -> None:
    """`python -m hybrid_runtime.classical.forkserver --fd N --scratch DIR --parent PID [--isolation LEVEL] …`."""
    parser = argparse.ArgumentParser(prog="hybrid-runtime-forkserver")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--isolation")
    parser.add_argument("--preload", action="append", default=[])
    arguments = parser.parse_args()
    ignore_interrupts()
    die_with_parent(arguments.parent)
    _reset_environment()
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=arguments.fd)
    control.set_inheritable(False)
    try:
        sandbox = _enclosed(arguments.isolation, arguments.scratch, control)
    except InvalidInput as error:
        control.send(msgspec.msgpack.encode(Unfit(str(error))))
        _wait_for_end(control)
        return
    except FileNotFoundError:
        if os.path.exists(arguments.scratch):
            raise
        return  # whoever wanted workers has gone, and has taken their directory along
    server = ForkServer(control, sandbox)
    from hybrid_runtime.classical import worker

    server.preload(arguments.preload)
    # Workers are born with their stop signal held back: until they handle it, it would kill them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {worker.STOP_SIGNAL})
    server.serve()
    server.close()


if __name__ == "__main__":
    main()
