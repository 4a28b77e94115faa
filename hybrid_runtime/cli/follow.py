"""Waits for a job: shows its events, and stops it when its user asks."""

from __future__ import annotations

from hybrid_runtime.cli.progress import View
from hybrid_runtime.cli.signals import Interrupts
from hybrid_runtime.errors import JobCancelled
from hybrid_runtime.local import Job

# How often signals and the clock are looked at while nothing happens.
_TICK_S = 0.1


def follow(job: Job, view: View, interrupts: Interrupts) -> None:
    """Show the job until it ends. The first interrupt stops it gracefully, the second kills it.

    Raises:
        JobCancelled: a third one came: the runtime does not answer, and is not waited for.
    """
    heeded = 0
    try:
        while True:
            if interrupts.count > heeded:
                heeded += 1
                _stop(job, view, heeded)
                continue
            if _show(job, view, interrupts, heeded):
                return
            view.tick()
    finally:
        view.close()


def _show(job: Job, view: View, interrupts: Interrupts, heeded: int) -> bool:
    """Show events until there is none for a moment, or an interrupt; whether the job has ended."""
    try:
        for event in job.events(_TICK_S):
            view.event(event)
            view.tick()
            if interrupts.count > heeded:
                return False
    except TimeoutError:
        return False
    return True


def _stop(job: Job, view: View, count: int) -> None:
    if count == 1:
        view.note("stopping: the algorithm may finalize; press Ctrl-C again to kill it")
    elif count == 2:
        view.note("killing the algorithm")
    else:
        raise JobCancelled("left at the third Ctrl-C, without waiting for the runtime")
    job.cancel(kill=count > 1)
