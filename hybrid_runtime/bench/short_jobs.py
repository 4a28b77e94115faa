"""Jobs that do next to nothing, in a file as short as a user's first: their beginning and their end are measured."""

from __future__ import annotations

import time

from hybrid_runtime import Circuit, Context, hybrid

BELL = Circuit("""
version 3.0
qubit[2] q
bit[2] b
H q[0]
CNOT q[0], q[1]
b = measure q
""")


@hybrid
def first_circuit(context: Context) -> None:
    """One step: what there is before it is initialization, what there is after it termination."""
    context.run(BELL)


@hybrid
def unhurried(context: Context) -> None:
    """Two steps with time between them, in which the pool can replace the worker that this job took."""
    context.run(BELL)
    time.sleep(context.parameters["pause_s"])
    context.run(BELL)
