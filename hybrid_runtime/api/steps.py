"""Steps of jobs, read from their journals page by page."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hybrid_runtime.dispatcher.frames import HEADER
from hybrid_runtime.dispatcher.journal import JOURNAL_NAME, Stepped
from hybrid_runtime.dispatcher.tail import Tail
from hybrid_runtime.errors import NotFound
from hybrid_runtime.protocol.messages import ResultData
from hybrid_runtime.protocol.replay import decode_canonical
from hybrid_runtime.resources.records import Step

_MOST_INDICES = 200
_EVERY = 256
_results = msgspec.msgpack.Decoder(list[ResultData]).decode


class Journals:
    """The journals of all jobs, and where in them every so many steps begin.

    A journal only grows, so that what was learned of one stays true.
    """

    def __init__(self, data: Path) -> None:
        self._jobs = data / "jobs"
        self._indices: OrderedDict[str, _Index] = OrderedDict()
        self._lock = threading.Lock()

    def steps(self, job_id: str, after: int, limit: int) -> list[Step]:
        """The steps that follow a step.

        Raises:
            JournalError: the journal cannot be read.
        """
        found: list[Step] = []
        for step in self._after(job_id, after):
            found.append(_shown(step))
            if len(found) == limit:
                break
        return found

    def raw(self, job_id: str, number: int) -> bytes:
        """A step's results in MessagePack, as the quantum runtime encoded them.

        Raises:
            NotFound: the job has no such step, or not yet.
            JournalError: the journal cannot be read.
        """
        step = next(self._after(job_id, number - 1), None)
        if step is None or step.number != number:
            raise NotFound(f"job {job_id} has no answered step {number}")
        return bytes(step.items)

    def _after(self, job_id: str, after: int) -> Iterator[Stepped]:
        path = self._jobs / job_id / JOURNAL_NAME
        if not path.exists():
            return  # it has not begun
        index = self._index(job_id)
        with Tail(path) as tail:
            for begun, _, record in tail.records(index.before(after)):
                if isinstance(record, Stepped):
                    index.note(record.number, begun)
                    if record.number > after:
                        yield record

    def _index(self, job_id: str) -> _Index:
        with self._lock:
            index = self._indices.pop(job_id, None) or _Index()
            self._indices[job_id] = index
            if len(self._indices) > _MOST_INDICES:
                self._indices.popitem(last=False)
            return index


class _Index:
    """Where in one journal every so many steps begin."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._offsets: list[int] = []
        self._lock = threading.Lock()

    def before(self, number: int) -> int:
        """An offset from which every step beyond this one is found."""
        with self._lock:
            place = bisect_right(self._numbers, number)
            return self._offsets[place - 1] if place else len(HEADER)

    def note(self, number: int, offset: int) -> None:
        """A step begins there."""
        with self._lock:
            if number >= (self._numbers[-1] if self._numbers else 0) + _EVERY:
                self._numbers.append(number)
                self._offsets.append(offset)


def _shown(step: Stepped) -> Step:
    results = [msgspec.structs.asdict(item) for item in _results(step.items)]
    return Step(
        number=step.number,
        requests=[call.to_dict() for call in decode_canonical(step.request)],
        results=results,
        shots=step.shots,
        duration_s=step.duration_s,
    )
