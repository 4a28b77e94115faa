"""Exact results, which emulators can compute and devices cannot: what both ends of an execution refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid_runtime.errors import CircuitRejected

if TYPE_CHECKING:
    from hybrid_runtime.protocol.messages import Capabilities, CircuitCall


def check_exact(call: CircuitCall, *, observed: bool, backend: Capabilities) -> None:
    """Refuse a call for an exact result where it contradicts itself or is beyond the backend.

    Args:
        call: A call with 0 shots, or of a program with an observable.
        observed: Whether the program has one.
        backend: Where it is to run.

    Raises:
        CircuitRejected: it is refused.
    """
    if call.raw:
        raise CircuitRejected("an exact result has no shots that could be given raw")
    if observed and call.shots:
        raise CircuitRejected(f"an observable is evaluated exactly, without shots, not with {call.shots}")
    if observed and not backend.observables:
        raise CircuitRejected(
            f"backend {backend.name!r} does not evaluate observables: measure each term with shots, its X and Y turned "
            "to Z at the end of the circuit, and use expectation() of the results"
        )
    if not observed and not backend.exact:
        raise CircuitRejected(f"backend {backend.name!r} does not compute exact probabilities: name a number of shots")
