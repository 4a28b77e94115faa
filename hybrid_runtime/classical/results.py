"""From what travels to what an algorithm sees: the results of a step."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.protocol.messages import ResultData, ResultItem, ResultTable
from hybrid_runtime.protocol.results import Table
from hybrid_runtime.result import QuantumResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.circuit import Circuit

_decode = msgspec.msgpack.Decoder(list[ResultItem]).decode


def quantum_results(
    items: list[ResultItem], circuits: Sequence[Circuit], shots: int | None, backend: str
) -> list[QuantumResult]:
    """The result of each circuit.

    Args:
        items: The answer to the step.
        circuits: The step's circuits, in its order.
        shots: Shots of circuits that name none; None for exact results.
        backend: The backend's name.

    Raises:
        ProtocolError: there are not as many results as circuits.
    """
    found = _each(items, len(circuits), backend)
    settings, requested = None, 0
    for result, circuit in zip(found, circuits, strict=True):
        if circuit.settings is not settings:
            settings = circuit.settings
            requested = int(settings.shots_asked(shots) or 0)
        result.shots_requested = requested
    return found


def _each(items: list[ResultItem], circuits: int, backend: str) -> list[QuantumResult]:
    """The results of so many circuits, without the shots that were asked for."""
    found: list[QuantumResult] = []
    for item in items:
        if isinstance(item, ResultTable):
            table = Table(item)
            rows = range(len(table.seeds))
            found.extend(map(_Row, repeat((table, backend)), rows, repeat(item.shots_done), repeat(item.duration_s)))
        else:
            found.append(_result(item, backend))
    if len(found) != circuits:
        raise ProtocolError(f"{circuits} circuits were answered by {len(found)} results")
    return found


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
            (result,) = _each(items, 1, self.backend)
            self._counts, self._exact = result._counts, result._exact
            self.shots_done, self.duration_s = result.shots_done, result.duration_s
            self.raw, self.seed, self.value = result.raw, result.seed, result.value


class _Row(_Unread):
    """One of the results that came in one table."""

    __slots__ = ("_row",)

    def __init__(self, table: tuple[Table, str], row: int, shots: int, duration_s: float) -> None:
        self._unread = table
        self._row = row
        self.shots_done = shots
        self.duration_s = duration_s

    def _make(self, unread: tuple[Table, str]) -> None:
        table, self.backend = unread
        row, values, exact = self._row, table.values, table.probabilities
        self._counts = table.counts, row
        self._exact = None if exact is None else (exact, row)
        self.raw, self.seed = None, table.seeds[row]
        self.value = None if values is None else values[row]


def _result(item: ResultData, backend: str) -> QuantumResult:
    return QuantumResult(
        counts=item.counts,
        shots_requested=0,
        shots_done=item.shots_done,
        raw=item.raw,
        duration_s=item.duration_s,
        seed=item.seed,
        backend=backend,
        value=item.value,
        probabilities=item.probabilities,
    )
