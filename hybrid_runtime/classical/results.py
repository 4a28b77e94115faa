"""From what travels to what an algorithm sees: the results of a step."""

from __future__ import annotations

from collections import deque
from functools import lru_cache, partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.protocol.messages import CircuitCall, ResultData, ResultItem, ResultTable
from hybrid_runtime.protocol.results import Table, rows_of
from hybrid_runtime.result import QuantumResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.context import Answered

_decode = msgspec.msgpack.Decoder(list[ResultItem]).decode
_new = object.__new__


def answered(items: Sequence[ResultItem], calls: Sequence[CircuitCall], backend: str) -> Answered:
    """The result of each circuit; those of many rows can be made again as often as they are wanted.

    Args:
        items: The answer to the step.
        calls: What the step asked for.
        backend: The backend's name.

    Raises:
        ProtocolError: there are not as many results as circuits.
    """
    if len(items) == len(calls) == calls[0].rows == 1 and type(only := items[0]) is ResultData:
        return [_result(only, calls[0].shots, backend)], only.shots_done, only.duration_s, None
    found: list[QuantumResult] = []
    shots, duration_s = 0, 0.0
    waiting = iter(calls)
    rows = requested = 0
    for item in items:
        if not rows:
            call = next(waiting, None)
            if call is None:
                break
            rows, requested = call.rows, call.shots
        given = rows_of(item)
        if not 0 < given <= rows:
            break
        rows -= given
        shots += given * item.shots_done
        duration_s += given * item.duration_s
        if isinstance(item, ResultTable):
            found += _rows(item, given, requested, backend)
        else:
            found.append(_result(item, requested, backend))
    else:
        if not rows and next(waiting, None) is None:
            few = len(items) == len(found)
            return found, shots, duration_s, None if few else partial(_again, items, _without_values(calls), backend)
    circuits, results = sum(call.rows for call in calls), sum(map(rows_of, items))
    raise ProtocolError(f"{circuits} circuits were answered by {results} results, which do not fit them")


def _again(items: Sequence[ResultItem], calls: Sequence[CircuitCall], backend: str) -> list[QuantumResult]:
    return answered(items, calls, backend)[0]


def _without_values(calls: Sequence[CircuitCall]) -> list[CircuitCall]:
    """What has to be kept of calls to make their results."""
    return [CircuitCall(call.program, call.shots, call.rows) for call in calls]


def _rows(table: ResultTable, count: int, requested: int, backend: str) -> list[QuantumResult]:
    """The results in a table, none of them read yet."""
    shared = _Shared(Table(table), requested, table.shots_done, table.duration_s, backend)
    # A loop in Python, and a call of `__init__` for each, would take several times as long as this.
    rows: list[QuantumResult] = list(map(_new, repeat(_Row, count)))
    deque(map(_Row._unread.__set__, rows, repeat(shared)), maxlen=0)
    deque(map(_Row._row.__set__, rows, _numbers(count)), maxlen=0)
    return rows


@lru_cache(maxsize=2)
def _numbers(count: int) -> tuple[int, ...]:
    """So many from 0: the same objects each time, for each takes memory."""
    return tuple(range(count))


class _Unread(QuantumResult):
    """A result that is made when it is first looked at: of many, few ever are."""

    __slots__ = ("_unread",)
    _unread: Any

    @property
    def counts(self) -> dict[str, int]:
        """As of any result: what most look at first."""
        if self._unread is not None:
            self._look()
        counts = self._counts
        return counts if type(counts) is dict else super().counts

    def __getattr__(self, name: str) -> Any:
        """What has no value yet.

        Raises:
            ProtocolError: it cannot be made of what came.
        """
        if name not in QuantumResult.__slots__ or self._unread is None:
            raise AttributeError(f"{QuantumResult.__name__!r} object has no attribute {name!r}")
        self._look()
        return getattr(self, name)

    def _look(self) -> None:
        self._make(self._unread)
        self._unread = None

    def _make(self, unread: Any) -> None:
        """Set every attribute that was not set from the beginning."""
        raise NotImplementedError


class RecordedResult(_Unread):
    """The result of a step from a job's past.

    Args:
        items: The answer to the step, which had one circuit.
        shots: The shots asked for.
        used: The shots and the seconds that the step took.
        backend: The backend's name.
    """

    __slots__ = ()

    def __init__(self, items: msgspec.Raw, shots: int, used: tuple[int, float], backend: str) -> None:
        self._unread = items
        self.shots_requested = shots
        self.shots_done, self.duration_s = used
        self.backend = backend

    def _make(self, unread: msgspec.Raw) -> None:
        items = _decode(unread)
        item = items[0] if len(items) == 1 else None
        if type(item) is ResultData:
            self._counts, self._exact = item.counts, item.probabilities
            self.shots_done, self.duration_s = item.shots_done, item.duration_s
            self.raw, self.seed, self.value = item.raw, item.seed, item.value
        else:
            (result,) = _again(items, [CircuitCall(0, self.shots_requested)], self.backend)
            self._counts, self._exact = result._counts, result._exact
            self.shots_done, self.duration_s = result.shots_done, result.duration_s
            self.raw, self.seed, self.value = result.raw, result.seed, result.value


class _Shared(NamedTuple):
    """What the rows of one table have in common."""

    table: Table
    shots_requested: int
    shots_done: int
    duration_s: float
    backend: str


class _Row(_Unread):
    """One of the results that came in one table: to be read from there, at this index."""

    __slots__ = ("_row",)
    _row: Any

    def _make(self, unread: _Shared) -> None:
        row = self._row
        table, self.shots_requested, self.shots_done, self.duration_s, self.backend = unread
        self._counts = table.counts, row
        self._exact = None if table.probabilities is None else (table.probabilities, row)
        self.raw, self.seed = None, table.seeds[row]
        self.value = None if table.values is None else table.values[row]


def _result(item: ResultData, requested: int, backend: str) -> QuantumResult:
    # Attribute by attribute, which takes half as long as a call with so many keywords.
    result = _new(QuantumResult)
    result._counts, result._exact = item.counts, item.probabilities
    result.shots_requested, result.shots_done = requested, item.shots_done
    result.raw, result.seed, result.value = item.raw, item.seed, item.value
    result.duration_s, result.backend = item.duration_s, backend
    return result
