"""`qi-run serve`: starts the processes of the service, and starts again whichever ends.

::

    supervisor ─┬─ api       REST and events, on the supervisor's socket
                ├─ manager   housekeeping
                └─ runner    one for each backend: drives a dispatcher with its workers and quantum runtime

They meet in the database and the data folder only, so each may be killed at any time. The listening socket is the
supervisor's: while the api is started again, clients wait a moment instead of being refused.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.config import child_environment
from hybrid_runtime.errors import HybridRuntimeError
from hybrid_runtime.process import interpreter
from hybrid_runtime.server import plan
from hybrid_runtime.server.brake import Brake
from hybrid_runtime.server.folder import DataFolder, write_whole
from hybrid_runtime.server.signals import Signals

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from hybrid_runtime.server.settings import Settings

# Jobs are paused within the first; a process that takes longer than both is killed.
STOP_PATIENCE_S = 20.0
# A backend that is not known by then is left to come up later.
READY_PATIENCE_S = 15.0

_log = logging.getLogger(__name__)
_now = time.monotonic


class Child:
    """One process of the service, through all its lives."""

    def __init__(self, part: plan.Part, command: list[str], pass_fds: list[int]) -> None:
        self.part = part
        self.brake = Brake()
        self.process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.started = 0.0
        self.start_at = 0.0
        self.kill_at = float("inf")
        self.stopping = False
        self._command = command
        self._pass_fds = pass_fds

    def start(self) -> None:
        """Start it."""
        self.started = _now()
        self.start_at = float("inf")
        self.process = subprocess.Popen(
            self._command,
            pass_fds=self._pass_fds,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # The terminal's Ctrl-C is the supervisor's: it tells its children in its own way.
            start_new_session=True,
        )
        self.pidfd = os.pidfd_open(self.process.pid)

    def stop(self) -> None:
        """Ask it to end; `kill_at` is when patience does."""
        self.stopping = True
        self.start_at = float("inf")
        if self.process is not None:
            self.kill_at = _now() + STOP_PATIENCE_S
            self.process.terminate()

    def reap(self) -> int:
        """It has ended: its exit status."""
        assert self.process is not None
        status = self.process.wait()
        os.close(self.pidfd)
        self.process, self.pidfd, self.kill_at = None, -1, float("inf")
        return status


class Supervisor:
    """Keeps the processes of one service running until it is told to stop.

    Args:
        settings: What to run.
        folder: The data folder, prepared and locked.
        listening: The socket of the REST API.
        reread: Reads the settings again.
        ready: Called once, when the api answers and every backend is known.
    """

    def __init__(
        self,
        settings: Settings,
        folder: DataFolder,
        listening: socket.socket,
        *,
        reread: Callable[[], Settings],
        ready: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._listening = listening
        self._reread = reread
        self._tell_ready: Callable[[], None] | None = ready
        self._unready: set[str] = set()
        self._ready_by = _now() + READY_PATIENCE_S
        self._children: dict[str, Child] = {}
        self._stopping = False
        self._poll = select.poll()
        self._ready_read, self._ready_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or, on a terminal, SIGHUP."""
        with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            self._poll.register(signals.fileno(), select.POLLIN)
            self._poll.register(self._ready_read, select.POLLIN)
            try:
                self._apply(self._settings)
                while self._children:
                    self._wait(signals)
            finally:
                self._kill_all()
        os.close(self._ready_read)
        os.close(self._ready_write)

    def _wait(self, signals: Signals) -> None:
        now = _now()
        wake = min((min(child.start_at, child.kill_at) for child in self._children.values()), default=now)
        if self._tell_ready is not None:
            wake = min(wake, self._ready_by)
        for fd, _ in self._poll.poll(max(0.0, min(wake - now, 60.0)) * 1000):
            if fd == signals.fileno():
                for number in signals.take():
                    self._on_signal(number)
            elif fd == self._ready_read:
                self._on_ready()
            else:
                self._on_end(fd)
        self._on_time(_now())

    def _on_signal(self, number: signal.Signals) -> None:
        if number is signal.SIGHUP and not self._on_terminal():
            self._reload()
        elif self._stopping:
            _log.warning("told to stop again: ending what has not ended by itself")
            self._kill_all()
        else:
            _log.info("stopping: running jobs are paused, and go on at the next start")
            self._stopping = True
            for child in list(self._children.values()):
                self._stop(child)

    @staticmethod
    def _on_terminal() -> bool:
        """Whether a hangup means that somebody has closed the window."""
        return os.isatty(2)

    def _on_ready(self) -> None:
        self._unready -= set(os.read(self._ready_read, 4096).decode().split())
        self._check_ready(_now())

    def _check_ready(self, now: float) -> None:
        # A backend that does not come up is no reason to keep users from the others.
        if self._tell_ready is not None and (
            not self._unready or (plan.API not in self._unready and now >= self._ready_by)
        ):
            self._tell_ready()
            self._tell_ready = None

    def _on_end(self, pidfd: int) -> None:
        child = next(one for one in self._children.values() if one.pidfd == pidfd)
        self._poll.unregister(pidfd)
        status = child.reap()
        name = child.part.name
        if child.stopping:
            _log.info("%s has ended", name)
            del self._children[name]
            part = plan.parts(self._settings).get(name)
            if part is not None and not self._stopping:
                self._add(part)
            return
        child.start_at = child.brake.ended(child.started, _now())
        wait = child.start_at - _now()
        _log.error("%s %s; it is started again%s", name, how(status), f" in {wait:.1f} s" if wait > 0 else "")

    def _on_time(self, now: float) -> None:
        for child in list(self._children.values()):
            if now >= child.start_at:
                self._start(child)
            if now >= child.kill_at and child.process is not None:
                _log.error("%s does not end when it is told to: it is killed", child.part.name)
                child.process.kill()
                child.kill_at = float("inf")
        self._check_ready(now)

    # ------------------------------------------------------------------ processes

    def _apply(self, settings: Settings) -> None:
        """Run what these settings ask for; what they do not touch goes on undisturbed."""
        old = {name: child.part for name, child in self._children.items()}
        new = plan.parts(settings)
        self._settings = settings
        write_whole(self._folder.settings, msgspec.json.encode(settings))
        change = plan.change(old, new)
        for name in (*change.stop, *change.renew):
            self._stop(self._children[name])
        if self._tell_ready is not None:
            self._unready |= set(change.start)
        for name in (*change.renew, *change.start):
            if name not in self._children:  # else its end is awaited first
                self._add(new[name])

    def _add(self, part: plan.Part) -> None:
        arguments = [*part.arguments, "--data", str(self._folder.path), "--parent", str(os.getpid())]
        arguments += ["--ready-fd", str(self._ready_write)]
        fds = [self._ready_write]
        if part.name == plan.API:
            arguments += ["--fd", str(self._listening.fileno())]
            fds.append(self._listening.fileno())
        child = self._children[part.name] = Child(part, interpreter(part.module, *arguments), fds)
        self._start(child)

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:
            child.start_at = child.brake.ended(_now(), _now())
            _log.error("%s cannot be started: %s", child.part.name, error.strerror)
            return
        self._poll.register(child.pidfd, select.POLLIN)
        assert child.process is not None
        _log.debug("%s started as process %d", child.part.name, child.process.pid)

    def _stop(self, child: Child) -> None:
        child.stop()
        if child.process is None:
            del self._children[child.part.name]

    def _kill_all(self) -> None:
        for child in self._children.values():
            if child.process is not None:
                child.process.kill()

    # ------------------------------------------------------------------ reload

    def _reload(self) -> None:
        if self._stopping:
            return
        try:
            settings = self._reread()
        except HybridRuntimeError as error:
            _log.error("the settings are left as they were: %s", error)
            return
        for name in plan.refused(self._settings, settings):
            _log.error("%s cannot be changed while the service runs: start it anew for that", name)
            settings = msgspec.structs.replace(settings, **{name: getattr(self._settings, name)})
        _log.info("settings read again")
        self._apply(settings)


def how(status: int) -> str:
    """An exit status in words."""
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
