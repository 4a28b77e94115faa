"""From what travels to what an algorithm sees: the results of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.protocol.messages import ResultData, ResultItem, ResultTable
from hybrid_runtime.protocol.results import Table
from hybrid_runtime.result import QuantumResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.circuit import Circuit


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
    found: list[QuantumResult] = []
    for item in items:
        if isinstance(item, ResultTable):
            found += _tabled(item, backend)
        else:
            found.append(_result(item, backend))
    if len(found) != len(circuits):
        raise ProtocolError(f"{len(circuits)} circuits were answered by {len(found)} results")
    settings, requested = None, 0
    for result, circuit in zip(found, circuits, strict=True):
        if circuit.settings is not settings:
            settings = circuit.settings
            requested = int(settings.shots_asked(shots) or 0)
        result.shots_requested = requested
    return found


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


def _tabled(item: ResultTable, backend: str) -> list[QuantumResult]:
    table = Table(item)
    counts, exact, values = table.counts, table.probabilities, table.values
    shots, duration_s = item.shots_done, item.duration_s
    return [
        QuantumResult(
            counts=(counts, row),
            shots_requested=0,
            shots_done=shots,
            duration_s=duration_s,
            seed=seed,
            backend=backend,
            value=None if values is None else values[row],
            probabilities=None if exact is None else (exact, row),
        )
        for row, seed in enumerate(table.seeds)
    ]
