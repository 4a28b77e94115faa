"""The process that runs one backend's jobs: claims them, drives a dispatcher, and writes down what happens.

`python -m hybrid_runtime.server.runner --backend NAME --data DIR --parent PID --ready-fd N`

::

    database ──claims, commands──▶ runner ──Submit, Cancel, Pause──▶ dispatcher
    database ◀─reports, results─── runner ◀─Progress, Log, Ended──── dispatcher

It keeps nothing that is not in the database or in a journal, so that it may be killed at any time: the next one takes
over what was running, and goes on from the journals.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import tempfile
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec import to_builtins

from hybrid_runtime.classical.cleaning import remove_tree
from hybrid_runtime.errors import NotFound
from hybrid_runtime.jobs.bells import Bell
from hybrid_runtime.resources.backends import BackendStatus
from hybrid_runtime.server.attempts import Attempts
from hybrid_runtime.server.beginning import Beginning
from hybrid_runtime.server.child import Start, begin, open_store
from hybrid_runtime.server.desk import LEASE_S, Desk
from hybrid_runtime.server.dispatching import Dispatching
from hybrid_runtime.server.environments import published
from hybrid_runtime.server.folder import Lock
from hybrid_runtime.server.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hybrid_runtime.jobs.store import Store

# A lost ring of the doorbell costs so much.
LOOK_EVERY_S = 0.5
WRITE_EVERY_S = 0.1
BEAT_EVERY_S = 2.0
# Short jobs make a backend busy and idle many times a second.
TELL_EVERY_S = 0.25
RENEW_EVERY_S = LEASE_S / 4
# A runner that was told to end, or whose supervisor was killed, needs a moment to be gone.
_LOCK_PATIENCE_S = 15.0
# Steps that are under way when the service ends are awaited so long.
_LEAVE_PATIENCE_S = 10.0
_WHY_LEFT = "the service was stopped; the job goes on from its journal when it is started again"

_log = logging.getLogger(__name__)
_now = time.monotonic


class Runner:
    """Runs the jobs of one backend until it is told to end."""

    def __init__(self, start: Start, store: Store, bell: Bell, signals: Signals) -> None:
        name = start.arguments.backend
        settings = start.settings.backends[name]
        self._name = name
        self._say_ready = start.say_ready
        self._store = store
        self._bell = bell
        self._signals = signals
        self._environment = (settings.environment, start.settings.environments[settings.environment])
        others = [start.settings.backends[other] for other in settings.failover]
        self._dispatching = Dispatching(settings, self._environment[1], others)
        self._desk = Desk(
            name,
            settings.jobs,
            store=store,
            folder=start.folder,
            beginning=Beginning(start.settings.limits, settings.fsync, store.bundles.read),
            dispatching=self._dispatching,
            owner=f"{name}-{os.getpid()}",
        )
        self._announced = False
        self._due = {"write": 0.0, "renew": 0.0, "look": 0.0, "beat": 0.0}
        self._beaten = 0.0
        self._try = Attempts()

    def run(self) -> None:
        """Run jobs until SIGTERM."""
        ended = not self._begin()
        while not ended:
            self._dispatching.start_if_due()
            rung = self._wait()
            self._desk.hear()
            if self._dispatching.serving and not self._announced:
                self._announced = self._try(self._announce)
                self._due["beat"] = 0.0
            if self._desk.ended:
                self._try(self._desk.write)
                rung = True
            self._every("write", WRITE_EVERY_S, self._desk.write)
            self._every("renew", RENEW_EVERY_S, self._desk.renew)
            self._every("look", LOOK_EVERY_S, self._look, now=rung)
            if self._desk.status() != self._desk.told_status:
                self._due["beat"] = min(self._due["beat"], self._beaten + TELL_EVERY_S)
            self._every("beat", BEAT_EVERY_S, self._beat)
            self._desk.hand()
            ended = bool(self._signals.take())
        self._leave()

    def _begin(self) -> bool:
        """Take over what a former runner left, and find out what there is, while the dispatcher loads.

        Returns:
            Whether it could be done before this process was told to end.
        """
        self._dispatching.start_if_due()
        self._published = published(*self._environment)
        while not (self._try(self._introduce) and self._try(self._desk.take_over)):
            if select.select([self._signals], [], [], LOOK_EVERY_S)[0]:
                return False
        self._say_ready()
        return True

    def _introduce(self) -> None:
        """Be known, so that jobs are taken for this backend; what it can do follows when its dispatcher says so."""
        try:
            self._desk.beat()
        except NotFound:
            self._announce()
            self._desk.beat()

    def _announce(self) -> None:
        """Say what the backend can do, and what algorithms find there."""
        capabilities = to_builtins(self._dispatching.capabilities) or {}
        self._store.runs.announce(self._name, capabilities, self._published)

    def _look(self) -> None:
        """See what the database has for this runner."""
        self._desk.obey()
        self._desk.claim()

    def _beat(self) -> None:
        self._beaten = _now()
        self._desk.beat()

    def _leave(self) -> None:
        """Have every job leave as soon as its step is answered, and say so."""
        self._desk.stop(_WHY_LEFT)
        until = _now() + _LEAVE_PATIENCE_S
        while self._desk.busy and _now() < until and self._dispatching.present:
            self._wait()
            self._desk.hear()
        self._dispatching.close()
        self._try(self._desk.write)
        self._try(lambda: self._store.runs.heartbeat(self._name, BackendStatus.OFFLINE, "its runner was stopped"))

    def _wait(self) -> bool:
        """Wait until there is something to do; whether the doorbell was rung."""
        poll = select.poll()
        poll.register(self._bell.fileno(), select.POLLIN)
        poll.register(self._signals.fileno(), select.POLLIN)
        fd = self._dispatching.fileno()
        if fd is not None:
            poll.register(fd, select.POLLIN)
        due = [when for name, when in self._due.items() if name != "write" or self._desk.busy]
        wake = min(*due, self._dispatching.start_at, self._desk.next_hand(), _now() + LOOK_EVERY_S)
        ready = [number for number, _ in poll.poll(max(0.0, wake - _now()) * 1000)]
        if self._bell.fileno() not in ready:
            return False
        self._bell.answer()
        return True

    def _every(self, name: str, interval_s: float, work: Callable[[], None], *, now: bool = False) -> None:
        if now or _now() >= self._due[name]:
            self._try(work)
            self._due[name] = _now() + interval_s


def main() -> None:
    """Serve one backend."""
    parser = argparse.ArgumentParser(prog="hybrid-runtime-runner")
    parser.add_argument("--backend", required=True)
    start = begin(parser)
    backend = start.arguments.backend
    with ExitStack() as held:
        signals = held.enter_context(Signals(signal.SIGTERM))
        held.enter_context(Lock.patiently(start.folder.runner_lock(backend), _LOCK_PATIENCE_S))
        store = open_store(start)
        held.callback(store.close)
        _keep_apart(start.folder.nodes(backend))
        bell = Bell(start.folder.bell(backend))
        held.callback(bell.close)
        Runner(start, store, bell, signals).run()


def _keep_apart(folder: Path) -> None:
    """Have dispatchers keep what they need here: what a killed one left is found and removed."""
    remove_tree(str(folder))
    folder.mkdir(mode=0o700)
    tempfile.tempdir = str(folder)


if __name__ == "__main__":
    main()
