"""What a runner does about one job: a state machine, without any input or output.

Every method takes what happened and returns what to do about it; the runner does it.

::

    WAITING ──handed──▶ RUNNING ──Ended───▶ gone, with a result
       ▲                   │ ────Paused──▶ gone, its journal keeps it
       └─dispatcher lost───┘
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from hybrid_runtime.errors import ErrorData
from hybrid_runtime.protocol.control import Cancel, Pause

# A job under which the dispatcher dies that often, without a step between, is not given to another one.
MOST_DEATHS = 3


class Tell(NamedTuple):
    """Send this to the dispatcher."""

    message: Cancel | Pause


class GiveUp(NamedTuple):
    """The job ends here, with this error and what its journal holds."""

    error: ErrorData
    cancelled: bool = False


class SetPaused(NamedTuple):
    """The job is paused: its user resumes it."""


class Release(NamedTuple):
    """The job goes on, from its journal, when a runner is there again."""

    reason: str


class Forget(NamedTuple):
    """The job is somebody else's: nothing more is said of it."""


Action: TypeAlias = Tell | GiveUp | SetPaused | Release | Forget


class Phase(StrEnum):
    """Who has the job."""

    WAITING = "waiting"  # the runner: there is no dispatcher, or the journal is still in use by the last one
    RUNNING = "running"  # the dispatcher
    GONE = "gone"


class Run:
    """One claimed job.

    Args:
        job_id: Its name.
        begun: Whether there is a journal with a part of it.
    """

    def __init__(self, job_id: str, *, begun: bool) -> None:
        self.job_id = job_id
        self.begun = begun
        self.phase = Phase.WAITING
        self._cancel: bool | None = None  # asked for while it waited; whether to kill
        self._pausing = False
        self._leaving = ""  # why it is to be released
        self._lost = False
        self._deaths = 0
        self._steps = self._steps_at_death = 0

    def on_handed(self) -> list[Action]:
        """The dispatcher has been given the job."""
        self.phase = Phase.RUNNING
        self.begun = True
        if self._cancel is None:
            return []
        kill, self._cancel = self._cancel, None
        return [Tell(Cancel(self.job_id, kill))]

    def on_refused(self, error: ErrorData) -> list[Action]:
        """It cannot be given to any dispatcher."""
        self.phase = Phase.GONE
        return [GiveUp(error)]

    def on_steps(self, steps: int) -> None:
        """So many steps are done."""
        self._steps = steps

    def on_cancel(self, kill: bool) -> list[Action]:
        """Its user wants it to stop: gracefully, or at once."""
        if self.phase is Phase.RUNNING:
            return [Tell(Cancel(self.job_id, kill))]
        if kill or not self.begun:
            self.phase = Phase.GONE
            text = "the job was killed by its user" if kill else "cancelled before it was started"
            return [GiveUp(ErrorData(kind="JobCancelled", text=text, family="JobCancelled"), cancelled=True)]
        self._cancel = False  # it has something to finalize, which takes a worker
        return []

    def on_pause(self) -> list[Action]:
        """Its user wants it to pause."""
        if self.phase is Phase.RUNNING:
            self._pausing = True
            return [Tell(Pause(self.job_id))]
        self.phase = Phase.GONE
        return [SetPaused()]

    def on_leave(self, reason: str) -> list[Action]:
        """The runner is about to end, and is to leave the job as it is."""
        self._leaving = reason
        if self.phase is Phase.RUNNING:
            return [] if self._pausing else [Tell(Pause(self.job_id))]
        self.phase = Phase.GONE
        return [Release(reason)]

    def on_lease_lost(self) -> list[Action]:
        """Somebody else has the job now: what it still does here counts for nothing."""
        self._lost = True
        if self.phase is Phase.RUNNING:
            return [Tell(Pause(self.job_id))]
        self.phase = Phase.GONE
        return [Forget()]

    def on_paused(self) -> list[Action]:
        """The dispatcher has let go of it."""
        self.phase = Phase.GONE
        if self._lost:
            return [Forget()]
        return [SetPaused()] if self._pausing or not self._leaving else [Release(self._leaving)]

    def on_ended(self) -> bool:
        """The dispatcher says that it is over: whether that counts."""
        self.phase = Phase.GONE
        return not self._lost

    def on_dispatcher_lost(self, why: str) -> list[Action]:
        """The dispatcher has died, and with it the worker; the journal has what it has."""
        if self.phase is not Phase.RUNNING:
            return []
        if self._lost or self._pausing or self._leaving:
            return self.on_paused()
        self.phase = Phase.WAITING
        self._deaths = self._deaths + 1 if self._steps <= self._steps_at_death else 1
        self._steps_at_death = self._steps
        if self._deaths < MOST_DEATHS:
            return []
        self.phase = Phase.GONE
        text = f"the dispatcher died {self._deaths} times under this job ({why})"
        return [GiveUp(ErrorData(kind="InternalError", text=text))]
