"""What the client is told of running jobs: what they print at once, the rest at most every tenth of a second."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.timers import Timers
from hybrid_runtime.protocol.control import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hybrid_runtime.dispatcher.jobs import Job
    from hybrid_runtime.dispatcher.output import Output
    from hybrid_runtime.protocol.control import FromDispatcher


class Reports:
    """Reports of all jobs.

    Args:
        tell: Sends a message to the client.
        epoll: What the loop waits on.
        handlers: What the loop calls, by descriptor.

    Attributes:
        timers: When reports that wait are due, by the job's name.
    """

    def __init__(
        self, tell: Callable[[FromDispatcher], None], epoll: select.epoll, handlers: dict[int, Callable[[int], None]]
    ) -> None:
        self.timers = Timers()
        self._tell = tell
        self._epoll = epoll
        self._handlers = handlers

    def watch(self, job: Job) -> None:
        """Pass on what the job prints from now on."""
        for output in job.outputs:
            self._epoll.register(output.fd, select.EPOLLIN)
            self._handlers[output.fd] = lambda _, output=output: self._on_output(job, output)  # type: ignore[misc]

    def begun(self, job: Job) -> None:
        """Report that the job has begun: with its first step, or a bit later, for its worker begins at this moment."""
        job.report_timed = True
        self.timers.add(job.report_at, job.job_id)

    def unwatch(self, job: Job) -> None:
        """Its output is about to be closed."""
        for output in job.outputs:
            if self._handlers.pop(output.fd, None):
                self._epoll.unregister(output.fd)

    def _on_output(self, job: Job, output: Output) -> None:
        lines, more = output.read()
        self.log(job, output.name, lines)
        if not more:
            self._epoll.unregister(output.fd)
            del self._handlers[output.fd]

    def drain(self, job: Job) -> None:
        """Pass on all that the job has printed."""
        for output in job.outputs:
            self.log(job, output.name, output.drain())

    def log(self, job: Job, stream: str, lines: list[str]) -> None:
        """Pass on these lines, if there are any."""
        if lines:
            self._tell(Log(job.job_id, stream, lines))

    def now(self, job: Job, now: float) -> None:
        """Report how the job is doing."""
        for message in job.news(now):
            self._tell(message)

    def soon(self, job: Job, now: float) -> None:
        """Tell the client what is new: a change of state now, the rest when the last report is long enough ago."""
        if now >= job.report_at or job.machine.state is not job.told_state:
            self.now(job, now)
        elif not job.report_timed and job.machine.notes.waiting:
            job.report_timed = True
            self.timers.add(job.report_at, job.job_id)

    def expire(self, jobs: Mapping[str, Job], now: float) -> None:
        """Send the reports that are due."""
        for name in self.timers.due(now):
            job = jobs.get(name)
            if job is not None:
                job.report_timed = False
                if now < job.report_at:
                    self.soon(job, now)
                elif job.machine.notes.waiting or job.unheard_of:
                    self.now(job, now)
