"""A Bell pair: one circuit, run once.

    qi-run run bell.py
    qi-run run bell.py --shots 10000 --seed 7

The two bits of an entangled pair always agree, so the counts hold `00` and `11` only, each about half of the shots.
"""

from hybrid_runtime import Circuit, hybrid

BELL = Circuit(
    """
    version 3.0
    qubit[2] q
    bit[2] b
    H q[0]
    CNOT q[0], q[1]
    b = measure q
    """
)


@hybrid
def bell(context):
    return context.run(BELL).counts
