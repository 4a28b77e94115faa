"""Errors about circuits, made to say which circuit it is and where in the user's file it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid_runtime.errors import CircuitRejected, ErrorData, HybridRuntimeError, rebuild

if TYPE_CHECKING:
    from pathlib import Path

    from hybrid_runtime.circuit import Circuit


def refusal(error: ErrorData, circuits: list[Circuit], bundle: Path) -> HybridRuntimeError:
    """The exception for a step that was refused."""
    refused = rebuild(error)
    if isinstance(refused, CircuitRejected) and len(circuits) == 1:
        return located(refused, circuits[0], None, bundle)
    return refused


def located(error: CircuitRejected, circuit: Circuit, index: int | None, bundle: Path) -> CircuitRejected:
    """The same error, saying which circuit it is about and where that circuit was made.

    Args:
        error: What is wrong.
        circuit: The circuit.
        index: Its place in the step, where that has several.
        bundle: The folder of the algorithm's files.
    """
    which = "" if index is None else f" (circuit {index} of the step)"
    named = f" {circuit.name!r}" if circuit.name else ""
    origin = circuit.template.origin
    if origin is None:
        return CircuitRejected(f"{error}{which}")
    file = origin[0].removeprefix(f"{bundle}/")
    # The first line says what is wrong; those below it show the place in the circuit's text.
    first, newline, rest = str(error).partition("\n")
    return CircuitRejected(f"{first}{which}; circuit{named} made at {file}, line {origin[1]}{newline}{rest}")
