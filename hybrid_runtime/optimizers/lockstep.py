"""Several generators of circuits run side by side, so that their circuits travel as one step."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import islice
from typing import Any, TypeAlias

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import InvalidInput

Run: TypeAlias = Generator[Any, Any, Any]


def in_lockstep(runs: list[Run]) -> Run:
    """Run all to their ends and return their values in order.

    What they yield in a round is yielded as one list; each gets its part of the answer in the shape that it
    asked in (one circuit: one result; several: a list). One run alone passes unchanged. Something
    that is neither a circuit nor several is yielded by itself. An exception thrown in is raised in each of the
    runs that wait for the answer; the first that does not handle it ends them all.

    Raises:
        InvalidInput: when the answer to a list is not a sequence of the same length.
    """
    if len(runs) == 1:
        return [(yield from runs[0])]
    values: list[Any] = [None] * len(runs)
    wanted: dict[int, Any] = {}

    def advance(index: int, move: Callable[..., Any], *args: Any) -> None:
        wanted.pop(index, None)
        try:
            item = move(*args)
        except StopIteration as end:
            values[index] = end.value
        else:
            wanted[index] = list(item) if isinstance(item, Iterable) and not isinstance(item, str) else item

    try:
        for index, run in enumerate(runs):
            advance(index, run.__next__)
        while wanted:
            group = _next_group(wanted)
            try:
                answers = yield from _ask({index: wanted[index] for index in group})
            except BaseException as error:  # noqa: BLE001 - raised in every run; none may be skipped
                for index in group:
                    advance(index, runs[index].throw, error)
            else:
                for index, answer in answers.items():
                    advance(index, runs[index].send, answer)
    finally:
        for run in runs:
            run.close()
    return values


def _next_group(wanted: dict[int, Any]) -> list[int]:
    """Those to be asked together: all, or the first that wants something which cannot be part of a list."""
    for index, item in wanted.items():
        if not isinstance(item, Circuit | list):
            return [index]
    return list(wanted)


def _ask(wanted: dict[int, Any]) -> Generator[Any, Any, dict[int, Any]]:
    """Yield one list for all and deal its answer out."""
    if len(wanted) == 1:
        [(index, item)] = wanted.items()
        return {index: (yield item)}
    circuits = [circuit for item in wanted.values() for circuit in (item if isinstance(item, list) else [item])]
    results = yield circuits
    if not isinstance(results, Sequence) or len(results) != len(circuits):
        raise InvalidInput(f"{len(circuits)} circuits were asked for: answer with a list of as many results")
    rest = iter(results)
    return {
        index: list(islice(rest, len(item))) if isinstance(item, list) else next(rest) for index, item in wanted.items()
    }
