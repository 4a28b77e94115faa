"""A file that shows each step's stages as a waterfall, in Chrome's trace format: open it at https://ui.perfetto.dev.

Each job is a process there, with three tracks: its algorithm, the dispatcher, and the quantum runtime. A job's
lines are added when it ends. The list's closing bracket may be missing, as the format allows, so the file of a
runtime that was killed can still be opened.
"""

from __future__ import annotations

import itertools
import json
import math
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# About 500 bytes of file each; whoever looks at single steps has enough of them.
MOST_STEPS = 100_000

_ALGORITHM, _DISPATCHER, _QUANTUM = 1, 2, 3
_TRACKS = {_ALGORITHM: "algorithm", _DISPATCHER: "dispatcher", _QUANTUM: "quantum runtime"}


class StepTimes(NamedTuple):
    """When each stage of one step ended, in seconds.

    Attributes:
        received: The worker's request was here.
        checked: It was decoded, checked, and on its way or in the queue.
        asked: It was sent to the quantum runtime.
        arrived: The quantum runtime's answer was here.
        delivered: The results were sent to the worker.
        quantum_s: How long the backend says that it took.
    """

    received: float
    checked: float
    asked: float
    arrived: float
    delivered: float
    quantum_s: float


class JobTrace:
    """The times of one job's steps, kept as numbers until the job ends.

    Attributes:
        received: When the newest message came from the worker.
        checked: When the dispatcher was done with it.
        asked: When the newest request was sent to the quantum runtime.
        steps: Steps that are over.
    """

    __slots__ = ("_times", "asked", "checked", "job_id", "loaded", "received", "steps")

    def __init__(self, job_id: str, loaded: float) -> None:
        self.job_id = job_id
        self.loaded = self.received = self.checked = self.asked = loaded
        self.steps = 0
        self._times = array("d")

    def answered(self, arrived: float, delivered: float, quantum_s: float) -> None:
        """A step is over; `quantum_s` is what the backend said about all steps so far."""
        if self.steps < MOST_STEPS:
            self._times.extend((self.received, self.checked, self.asked, arrived, delivered, quantum_s))
        self.steps += 1

    def times(self) -> Iterator[StepTimes]:
        """The steps that were kept, in order."""
        width = len(StepTimes._fields)
        before_s = 0.0
        for start in range(0, len(self._times), width):
            received, checked, asked, arrived, delivered, quantum_s = self._times[start : start + width]
            yield StepTimes(received, checked, asked, arrived, delivered, quantum_s - before_s)
            before_s = quantum_s


class Waterfall:
    """The file.

    Args:
        path: Where it is written; what is there is replaced.
        origin: The time that is shown as 0, on the clock of the jobs' times.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, origin: float) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._origin = origin
        self._jobs = itertools.count(1)
        self._separator = "[\n"

    def add(self, trace: JobTrace, ended: float) -> None:
        """Write down a job that has ended.

        Raises:
            OSError: it cannot be written.
        """
        for event in self._events(trace, next(self._jobs), ended):
            self._file.write(self._separator)
            self._file.write(json.dumps(event, separators=(",", ":")))
            self._separator = ",\n"
        self._file.flush()

    def close(self) -> None:
        """Complete the file.

        Raises:
            OSError: it cannot be written.
        """
        with self._file:
            self._file.write("[]\n" if self._separator == "[\n" else "\n]\n")

    def _events(self, trace: JobTrace, job: int, ended: float) -> Iterator[dict[str, Any]]:
        yield {"ph": "M", "name": "process_name", "pid": job, "args": {"name": f"job {trace.job_id}"}}
        for track, name in _TRACKS.items():
            yield {"ph": "M", "name": "thread_name", "pid": job, "tid": track, "args": {"name": name}}
            yield {"ph": "M", "name": "thread_sort_index", "pid": job, "tid": track, "args": {"sort_index": track}}

        def stage(track: int, name: str, start: float, end: float, **args: Any) -> dict[str, Any]:
            at, until = ((moment - self._origin) * 1e6 for moment in (start, end))
            event = {"ph": "X", "name": name, "pid": job, "tid": track, "ts": round(at, 3)}
            return event | {"dur": round(max(until - at, 0.0), 3), "args": args}

        since, name = trace.loaded, "initialize"
        for number, step in enumerate(trace.times(), 1):
            yield stage(_ALGORITHM, name, since, step.received, before_step=number)
            queued = step.checked < step.asked
            yield stage(_DISPATCHER, "check", step.received, min(step.checked, step.asked), step=number)
            if queued:
                yield stage(_DISPATCHER, "queue", step.checked, step.asked, step=number)
            yield stage(_QUANTUM, "execute", step.asked, step.arrived, step=number, backend_us=_us(step.quantum_s))
            yield stage(_DISPATCHER, "deliver", step.arrived, step.delivered, step=number)
            since, name = step.delivered, "think"
        if trace.steps <= MOST_STEPS:
            yield stage(_ALGORITHM, "terminate" if trace.steps else name, since, ended)
        else:
            text = f"the first {MOST_STEPS} of {trace.steps} steps are shown"
            yield {"ph": "i", "s": "p", "name": text, "pid": job, "tid": _ALGORITHM, "ts": _us(since - self._origin)}


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 3) if math.isfinite(seconds) else 0.0
