"""A worker that waits for its job goes through one beforehand, so that the real one finds its memory at hand.

After a fork each page is copied when it is first written to, and much of what a job needs is written to: reference
counts alone see to that. A rehearsal takes a few milliseconds while nobody waits, and saves as many from the time
between a bundle and its first circuit. The fork server goes through one, too: what is cached then, every worker is
born with.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.limits import Limits
from hybrid_runtime.protocol.bundles import Bundle, encode_bundle
from hybrid_runtime.protocol.messages import Capabilities, Load, ResultData, Results, encode
from hybrid_runtime.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODULE = "rehearsal_of_a_worker"
_SOURCE = b'''
from hybrid_runtime import Circuit, Context, Done, HybridAlgorithm, hybrid

class Rehearsal(HybridAlgorithm):
    def initialize(self, context):
        context.metric("rehearsal", context.parameters["theta"])
        return Circuit("""version 3.0
qubit[2] q
bit[2] b
Ry({theta}) q[0]
Rx(0.5) q[1]
CNOT q[0], q[1]
b = measure q
""", parameters={"theta": 0.25})

    def execute(self, results):
        return Done(results.counts)
'''
_RESULTS = msgspec.Raw(msgspec.msgpack.encode([ResultData({"00": 1}, 1, 0.0, 0)]))
_BACKEND = Capabilities(name="rehearsal", driver="rehearsal", qubits=2, max_shots=1, operations=())


class Stage:
    """A channel to nobody: a job comes, and the answer to its step, and what is sent is not heard."""

    def __init__(self) -> None:
        entry = f"{_MODULE}.py"
        bundle = encode_bundle(Bundle(python="", entry=entry, files={entry: _SOURCE}))
        load = Load(_MODULE, bundle, encode_value({"theta": 0.25}), 0, 1, Limits(), _BACKEND)
        self._coming = iter([load, Results(1, _RESULTS)])

    def send(self, data: bytes) -> None:
        """Take a message."""

    def receive(self) -> bytes:
        """The next message."""
        return encode(next(self._coming))

    def receive_nowait(self) -> None:
        """Nothing comes by itself."""


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A stage for a worker in this folder; nothing of what it does there is left behind."""
    paths = list(sys.path)
    try:
        yield Stage()
    finally:
        sys.path[:] = paths
        for path in [path for path in sys.path_importer_cache if path.startswith(str(folder))]:
            del sys.path_importer_cache[path]
        sys.modules.pop(_MODULE, None)
        shutil.rmtree(folder, ignore_errors=True)
