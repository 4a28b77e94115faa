"""The jobs that a runner has in its hands: between the database, the dispatcher and the journals.

What to do about each is `runs.Run`'s to decide; here it is done. The database may be out of reach for a while: jobs go
on, and what there is to be written waits.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.journal import JOURNAL_NAME
from hybrid_runtime.dispatcher.locking import is_free
from hybrid_runtime.errors import Conflict, HybridRuntimeError, LeaseLost, Unavailable, as_data
from hybrid_runtime.protocol.control import Ended, FromDispatcher, Log, Paused, Progress, Restarted
from hybrid_runtime.resources.backends import BackendStatus
from hybrid_runtime.server.beginning import keep_wall_left
from hybrid_runtime.server.news import News
from hybrid_runtime.server.results import kept_of, result_of
from hybrid_runtime.server.runs import Action, Forget, GiveUp, Phase, Release, Run, SetPaused, Tell

if TYPE_CHECKING:
    from pathlib import Path

    from hybrid_runtime.jobs.reports import Claimed, Report
    from hybrid_runtime.jobs.store import Store
    from hybrid_runtime.protocol.messages import Capabilities
    from hybrid_runtime.resources.records import Result
    from hybrid_runtime.server.beginning import Beginning
    from hybrid_runtime.server.dispatching import Dispatching
    from hybrid_runtime.server.folder import DataFolder

LEASE_S = 30.0
# What hinders a job from beginning is looked at again after these times: a journal that its last dispatcher still has,
# and a disk that is full.
_IN_USE_S = 0.1
_NO_SPACE_S = 5.0

_log = logging.getLogger(__name__)
_now = time.monotonic


class Held:
    """One job: what was claimed, what is to be done about it, and what is to be written about it."""

    def __init__(self, claimed: Claimed, folder: Path) -> None:
        self.claimed = claimed
        self.folder = folder
        self.journal = folder / JOURNAL_NAME
        self.run = Run(claimed.job_id, begun=self.journal.exists())
        self.news = News()
        self.hand_at = 0.0


class Desk:
    """All jobs of one runner.

    Args:
        backend: The backend's name.
        most: Jobs that may run at the same time.
        store: The database.
        folder: Where journals are.
        beginning: Makes what a dispatcher is given.
        dispatching: The dispatcher.
        owner: The runner's name in leases.

    Attributes:
        told_status: What was last said of the backend.
    """

    def __init__(
        self,
        backend: str,
        most: int,
        *,
        store: Store,
        folder: DataFolder,
        beginning: Beginning,
        dispatching: Dispatching,
        owner: str,
    ) -> None:
        self._backend = backend
        self._most = most
        self._store = store
        self._folder = folder
        self._beginning = beginning
        self._dispatching = dispatching
        self._owner = owner
        self._held: dict[str, Held] = {}
        # Jobs that have left, and what is to be written about that; each once the rest of its news is.
        self._leaving: list[tuple[Held, Result | SetPaused | Release]] = []
        self.told_status: tuple[BackendStatus, str] | None = None
        # Not written because the database did not answer.
        self._unwritten: list[Report] = []
        self._obeyed: set[int] = set()

    @property
    def busy(self) -> bool:
        """Whether jobs are here."""
        return bool(self._held)

    @property
    def ended(self) -> bool:
        """Whether jobs have left, and it is not written yet."""
        return bool(self._leaving)

    def next_hand(self) -> float:
        """When a job that waits is to be tried again; infinite when none is."""
        waiting = [held.hand_at for held in self._held.values() if held.run.phase is Phase.WAITING]
        return min(waiting, default=float("inf")) if self._dispatching.serving else float("inf")

    # ------------------------------------------------------------------ from the database

    def take_over(self) -> None:
        """Take all jobs of the backend that are under way; those that are here already get their new fence."""
        for claimed in self._store.runs.take_over(self._backend, self._owner, LEASE_S):
            held = self._held.get(claimed.job_id)
            if held is None:
                self._hold(claimed)
            else:
                held.claimed = claimed

    def claim(self) -> None:
        """Take on as many jobs as may run."""
        while self._dispatching.serving and len(self._held) < self._most:
            claimed = self._store.runs.claim(self._backend, self._owner, LEASE_S)
            if claimed is None:
                return
            self._hold(claimed)
            self.hand()

    def _hold(self, claimed: Claimed) -> None:
        _log.info("job %s of %s is here, for the %d. time", claimed.job_id, claimed.user, claimed.attempts)
        self._held[claimed.job_id] = Held(claimed, self._folder.job(claimed.job_id))

    def obey(self) -> None:
        """Do what users ask about their jobs."""
        commands = self._store.runs.commands(self._backend)
        self._obeyed &= {command.id for command in commands}
        for command in commands:
            # A command stays until it has had its effect: a runner that dies before finds it again.
            if command.id in self._obeyed:
                continue
            held = self._held.get(command.job_id)
            if held is None:
                self._store.runs.acknowledge(command.id)
                continue
            self._obeyed.add(command.id)
            if command.kind == "pause":
                self._act(held, held.run.on_pause())
            else:
                self._act(held, held.run.on_cancel(command.kind == "kill"))

    def renew(self) -> None:
        """Keep the leases, and let go of jobs whose lease is lost."""
        fences = {name: held.claimed.fence for name, held in self._held.items()}
        if fences:
            self._let_go(self._store.runs.renew(self._owner, fences, LEASE_S))

    def _let_go(self, lost: set[str]) -> None:
        for name in lost:
            held = self._held.get(name)
            if held is not None:
                _log.warning("the lease of job %s is lost: what it does here counts for nothing", name)
                self._act(held, held.run.on_lease_lost())

    # ------------------------------------------------------------------ to the dispatcher

    def hand(self) -> None:
        """Give the dispatcher the jobs that wait for it."""
        backend = self._dispatching.capabilities
        if backend is None or not self._dispatching.serving:
            return
        for held in list(self._held.values()):
            if held.run.phase is Phase.WAITING and _now() >= held.hand_at:
                self._hand(held, backend)

    def _hand(self, held: Held, backend: Capabilities) -> None:
        name = held.claimed.job_id
        try:
            if not is_free(held.journal):
                held.hand_at = _now() + _IN_USE_S
                return
            submit = self._beginning.of(held.claimed, held.folder, backend)
        except (OSError, Unavailable) as error:
            # No space for its folder, or no database: that is no fault of the job.
            _log.error("job %s cannot begin: %s; it is tried again", name, error)
            held.hand_at = _now() + _NO_SPACE_S
            return
        except HybridRuntimeError as error:
            self._act(held, held.run.on_refused(as_data(error)))
            return
        if isinstance(submit, Ended):
            held.run.on_ended()
            held.news.metrics = kept_of(held.journal).metrics
            self._end(held, submit)
            return
        if submit.resume:
            held.news.begin_anew("it goes on from its journal")
        self._dispatching.send(submit)
        self._act(held, held.run.on_handed())

    # ------------------------------------------------------------------ from the dispatcher

    def hear(self) -> None:
        """Take in what the dispatcher says."""
        for message in self._dispatching.messages():
            held = self._held.get(message.job_id)  # type: ignore[union-attr]
            if held is not None:
                self._hear(held, message)
        if not self._dispatching.present:
            self._on_dispatcher_lost()
        elif self._dispatching.failing and not self._running():
            self._dispatching.close()

    def _hear(self, held: Held, message: FromDispatcher) -> None:
        if isinstance(message, Progress):
            held.run.on_steps(message.steps)
            held.news.on_progress(message)
        elif isinstance(message, Log):
            held.news.on_log(message)
        elif isinstance(message, Restarted):
            held.news.begin_anew("its worker was lost; it goes on from its journal")
        elif isinstance(message, Paused):
            keep_wall_left(held.folder, message.wall_left_s)
            self._act(held, held.run.on_paused())
        elif isinstance(message, Ended):
            self._on_ended(held, message)

    def _on_ended(self, held: Held, ended: Ended) -> None:
        if self._dispatching.failing and not ended.isolation and ended.error is not None:
            # It never had a worker: another dispatcher may do better.
            self._act(held, held.run.on_dispatcher_lost(ended.error.text))
        elif held.run.on_ended():
            self._end(held, ended)
        else:
            del self._held[held.claimed.job_id]

    def _on_dispatcher_lost(self) -> None:
        for held in list(self._held.values()):
            self._act(held, held.run.on_dispatcher_lost(self._dispatching.why))

    def _running(self) -> int:
        return sum(held.run.phase is Phase.RUNNING for held in self._held.values())

    # ------------------------------------------------------------------ what follows

    def _act(self, held: Held, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Tell):
                self._dispatching.send(action.message)
            elif isinstance(action, GiveUp):
                kept = kept_of(held.journal)
                held.news.metrics = kept.metrics
                self._end(held, kept.given_up(held.claimed.job_id, action.error, cancelled=action.cancelled))
            elif isinstance(action, Forget):
                del self._held[held.claimed.job_id]
            else:
                self._leave(held, action)

    def _end(self, held: Held, ended: Ended) -> None:
        held.news.qpu_s = ended.timing.quantum_s
        self._leave(held, result_of(ended, held.news.metrics, self._backend, held.claimed.seed))

    def _leave(self, held: Held, how: Result | SetPaused | Release) -> None:
        del self._held[held.claimed.job_id]
        self._leaving.append((held, how))

    def stop(self, reason: str) -> None:
        """Have every job leave, to go on later."""
        for held in list(self._held.values()):
            self._act(held, held.run.on_leave(reason))

    # ------------------------------------------------------------------ to the database

    def write(self) -> None:
        """Write down what is new."""
        told = [*self._held.values(), *(held for held, _ in self._leaving)]
        for held in told:
            self._unwritten += held.news.take(held.claimed.job_id, held.claimed.fence)
        if self._unwritten:
            lost = self._write_reports()
            self._unwritten = []
            self._let_go(lost)
        while self._leaving:
            held, how = self._leaving[0]
            try:
                self._write_end(held.claimed, how)
            except LeaseLost:
                _log.warning("job %s has ended here without its lease: that counts for nothing", held.claimed.job_id)
            self._leaving.pop(0)

    def _write_reports(self) -> set[str]:
        """Write all reports; the jobs whose lease is lost."""
        runs = self._store.runs
        try:
            return runs.report_many(self._unwritten)
        except Conflict:
            # One of them says what cannot be: it must not keep the others from being written.
            lost = set()
            for report in self._unwritten:
                try:
                    lost |= runs.report_many([report])
                except Conflict as error:
                    _log.error("a report of job %s is left out: %s", report.job_id, error)
            return lost

    def _write_end(self, claimed: Claimed, how: Result | SetPaused | Release) -> None:
        runs = self._store.runs
        if isinstance(how, SetPaused):
            runs.paused(claimed.job_id, claimed.fence)
        elif isinstance(how, Release):
            runs.release(claimed.job_id, claimed.fence, how.reason)
        else:
            runs.finish(claimed.job_id, claimed.fence, how)
            _log.info("job %s is %s after %d steps", claimed.job_id, how.state, how.steps)

    def status(self) -> tuple[BackendStatus, str]:
        """What the backend is doing, and why."""
        if not self._dispatching.serving:
            return BackendStatus.OFFLINE, self._dispatching.why
        return (BackendStatus.EXECUTING if self._running() else BackendStatus.IDLE), ""

    def beat(self) -> None:
        """Say how the backend is doing."""
        told = self.status()
        self._store.runs.heartbeat(self._backend, *told)
        self.told_status = told
