"""A worker that waits for its job goes through one beforehand, so that the real one finds its memory at hand.

After a fork each page is copied when it is first written to, and much of what a job needs is written to: reference
counts alone see to that. A rehearsal takes a few milliseconds while nobody waits, and saves as many from the time
between a bundle and its first circuit.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from hybrid_runtime.classical.loader import load_algorithm
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.protocol.bundles import Bundle, decode_bundle, encode_bundle
from hybrid_runtime.protocol.messages import CircuitCall, Step, encode
from hybrid_runtime.values import decode_value, encode_value

if TYPE_CHECKING:
    from pathlib import Path

_MODULE = "rehearsal_of_a_worker"
_SOURCE = b'''
from hybrid_runtime import Circuit, Done, HybridAlgorithm

class Rehearsal(HybridAlgorithm):
    def initialize(self, context):
        return Circuit("""version 3.0
qubit[2] q
bit[2] b
Ry({theta}) q[0]
Rx(0.5) q[1]
CNOT q[0], q[1]
b = measure q
""", parameters={"theta": 0.25})

    def execute(self, results):
        return Done(results)
'''


def rehearse(folder: Path) -> None:
    """Load an algorithm, compile its circuit and encode a step, below this folder, and leave nothing of it behind."""
    entry = f"{_MODULE}.py"
    bundle = encode_bundle(Bundle(python="", entry=entry, files={entry: _SOURCE}))
    paths = list(sys.path)
    try:
        algorithm = load_algorithm(decode_bundle(bundle), folder)
        compiled = Compiler().compile(algorithm().initialize(None))
        encode(Step(1, [CircuitCall(0, 1, 1, compiled.values)], [(0, compiled.program)]))
        decode_value(encode_value({"rehearsal": [0.5]}))
    finally:
        sys.path[:] = paths
        sys.path_importer_cache.pop(str(folder), None)
        sys.modules.pop(_MODULE, None)
        shutil.rmtree(folder, ignore_errors=True)
