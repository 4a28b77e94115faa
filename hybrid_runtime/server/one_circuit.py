"""The algorithm of a pure quantum job: runs the one circuit that it is given.

It runs in a worker like any other: a circuit's text is a user's, and parsers can be made to crash by what they read.
"""

from __future__ import annotations

from typing import Any

from hybrid_runtime import Circuit, Context, hybrid


@hybrid
def one_circuit(context: Context) -> dict[str, Any]:
    """Run the circuit; its counts, its probabilities and what they were measured with."""
    text, language = context.parameters["circuit"], context.parameters["language"]
    result = context.run(Circuit(text, language=language))
    return {
        "counts": result.counts,
        "probabilities": result.probabilities,
        "shots_requested": result.shots_requested,
        "shots_done": result.shots_done,
        "duration_s": result.duration_s,
        "seed": result.seed,
        "backend": result.backend,
    }
