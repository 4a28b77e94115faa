"""Waits for a job on a server and shows it meanwhile; whoever leaves does not stop it."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import HybridRuntimeError, ServerError
from hybrid_runtime.job import JobState
from hybrid_runtime.protocol.control import Log, Progress

if TYPE_CHECKING:
    from hybrid_runtime.cli.progress import View
    from hybrid_runtime.client.sync import Job
    from hybrid_runtime.resources.records import Event

_TICK_S = 0.1
# A place in the queue is nothing that happens to the job: it is asked for.
_ASK_EVERY_S = 3.0
_WAITING = (JobState.PLANNED, JobState.QUEUED, JobState.PAUSED)


class Watched:
    """A job of a server as the views of `qi-run run` see one, made from its events.

    Attributes:
        job_id: Its id.
        state: Its state.
        metrics: Every value it reported, by name.
    """

    def __init__(self, job_id: str, state: JobState) -> None:
        self.job_id = job_id
        self.state = state
        self.metrics: dict[str, list[float]] = {}
        self._steps = 0
        self._shots = 0

    def take(self, event: Event) -> Progress | Log | None:
        """Take in what happened; the same for a view.

        Raises:
            ServerError: the event is not understood.
        """
        try:
            return self._taken(event.type, event.data)
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError(f"the event {event.type!r} is not understood: {error!r}; update this client") from None

    def _taken(self, kind: str, data: dict[str, Any]) -> Progress | Log | None:
        if kind == "log":
            return Log(self.job_id, data["stream"], [str(line) for line in data["lines"]])
        points: list[tuple[str, float]] = []
        if kind == "progress":
            self._steps, self._shots = int(data["steps"]), int(data["shots"])
        elif kind == "metrics":
            # What is not finite is null in JSON.
            points = [(str(name), math.nan if value is None else float(value)) for name, value in data["points"]]
            for name, value in points:
                self.metrics.setdefault(name, []).append(value)
        elif kind == "restarted":
            self.metrics.clear()
        elif kind in ("state", "ended"):
            self.state = JobState(data["state"])
        else:
            return None  # a kind of a newer server, which says nothing that is shown here
        return Progress(self.job_id, self.state, self._steps, self._shots, points)


class _Reader(threading.Thread):
    """Reads a job's events, so that the screen can be drawn while none comes."""

    def __init__(self, job: Job) -> None:
        super().__init__(daemon=True)
        self._job = job
        self.came: queue.SimpleQueue[Event | HybridRuntimeError | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Pass the events on; None after the last one, an error where there can be no more."""
        try:
            for event in self._job.events():
                self.came.put(event)
            self.came.put(None)
        except HybridRuntimeError as error:
            self.came.put(error)


def follow(job: Job, watched: Watched, view: View, *, quiet: bool) -> None:
    """Show a job until it has ended.

    Args:
        job: The job.
        watched: What the view reads.
        view: What shows it.
        quiet: Whether it is left unsaid why the job waits.

    Raises:
        KeyboardInterrupt: the user leaves; the job goes on.
        HybridRuntimeError: the server cannot be asked any more, or never could.
    """
    reader = _Reader(job)
    reader.start()
    waiting = _Waiting(job, watched, view)
    try:
        while True:
            if not quiet:
                waiting.tick()
            view.tick()
            with contextlib.suppress(queue.Empty):
                came = reader.came.get(timeout=_TICK_S)
                if came is None:
                    return
                if isinstance(came, HybridRuntimeError):
                    raise came
                shown = watched.take(came)
                if shown is not None and watched.state not in _WAITING:
                    view.event(shown)
    finally:
        view.close()


class _Waiting:
    """Says why a job is not running yet, whenever that changes."""

    def __init__(self, job: Job, watched: Watched, view: View) -> None:
        self._job = job
        self._watched = watched
        self._view = view
        self._said = ""
        self._next = 0.0

    def tick(self) -> None:
        """Ask and say, when it is time to."""
        if self._watched.state not in _WAITING or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _ASK_EVERY_S
        said = why_waiting(self._job)
        if said != self._said:
            self._said = said
            self._view.note(said)


def why_waiting(job: Job) -> str:
    """One line about a job that does not run: its place in the queue, and what it waits for."""
    info = job.status()
    if info.state not in _WAITING:
        return ""
    place = f", place {info.position} in the queue of {info.backend}" if info.position is not None else ""
    why = f", waiting for {info.waiting_for}" if info.waiting_for else ""
    return f"{info.state.value}{place}{why}"
