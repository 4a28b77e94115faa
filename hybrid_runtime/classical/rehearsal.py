"""A worker that waits for its job goes through one beforehand, so that the real one finds its memory at hand.

After a fork each page is copied when it is first written to, and much of what a job needs is written to: reference
counts alone see to that. A rehearsal takes a few milliseconds while nobody waits, and saves as many from the time
between a bundle and its first circuit, and from that between the last results and the end. The fork server goes through
some, too, of a lifecycle class and of a function: what is cached then, every worker is born with. One that goes on
making workers also goes through a long rehearsal, with an optimizer.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
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
_ENTRY = f"{_MODULE}.py"
_FOLDER = "bundle"
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

@hybrid
def rehearsal(context):
    result = context.run(Circuit("""version 3.0
qubit[2] q
bit[2] b
H q[0]
CNOT q[0], q[1]
b = measure q
"""))
    return result.probabilities
'''
_LONG_SOURCE = b'''
from hybrid_runtime import Circuit, hybrid
from hybrid_runtime.optimize import minimize

@hybrid
def rehearsal(context):
    circuit = Circuit("""version 3.0
qubit[2] q
bit[2] b
Ry({theta}) q[0]
Rx({phi}) q[1]
CNOT q[0], q[1]
b = measure q
""", parameters={"theta": 0.0, "phi": 0.0})

    def energy(x):
        value = (x[0] - 1.0) ** 2 + x[1] ** 2 + context.run(circuit.bind(theta=x[0], phi=x[1])).expectation("ZZ")
        context.metric("energy", value)
        return value

    return minimize(energy, [0.1, 0.2], method="COBYLA", options={"maxiter": 40}).fun
'''


def _load(source: bytes, name: str) -> bytes:
    bundle = encode_bundle(Bundle(python="", entry=_ENTRY, name=name, files={_ENTRY: source}))
    backend = Capabilities(name="rehearsal", driver="rehearsal", qubits=2, max_shots=1, operations=())
    return encode(Load(_MODULE, bundle, encode_value({"theta": 0.25}), 0, 1, Limits(), backend))


# Made once, before the fork: a worker that makes them takes memory for that. The long one takes thirty milliseconds,
# and scipy.
LIFECYCLE, FUNCTION, LONG = _load(_SOURCE, "Rehearsal"), _load(_SOURCE, "rehearsal"), _load(_LONG_SOURCE, "rehearsal")
SHORT = (LIFECYCLE, FUNCTION)
_RESULTS = msgspec.Raw(msgspec.msgpack.encode([ResultData({"00": 1}, 1, 0.0, 0)]))


class Stage:
    """A channel to nobody: a job comes, and an answer to each of its steps, and what is sent is not heard."""

    def __init__(self, job: bytes) -> None:
        self._job = job
        self._number = -1

    def send(self, data: bytes) -> None:
        """Take a message."""

    def receive(self) -> bytes:
        """The next message."""
        self._number += 1
        return encode(Results(self._number, _RESULTS)) if self._number else self._job

    def receive_nowait(self) -> None:
        """Nothing comes by itself."""

    def wait_closed(self) -> None:
        """Nobody is there who could close it."""


@contextmanager
def staged(folder: Path, job: bytes) -> Iterator[Stage]:
    """A stage for a worker in this folder; nothing of what it does there is left behind."""
    paths = list(sys.path)
    try:
        yield Stage(job)
    finally:
        sys.path[:] = paths
        sys.path_importer_cache.pop(str(folder / _FOLDER), None)
        sys.modules.pop(_MODULE, None)
        # Name by name: looking for what to remove takes memory. What is not there, the rehearsal had no room for.
        with suppress(OSError):
            os.unlink(folder / _FOLDER / _ENTRY)
            os.rmdir(folder / _FOLDER)
            os.rmdir(folder)
