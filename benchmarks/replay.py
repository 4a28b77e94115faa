"""How long does a step take that is answered from the journal?"""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from hybrid_runtime.dispatcher.journal import Began, Defined, Fsync, Journal, Stepped, read
from hybrid_runtime.local import LocalRuntime
from hybrid_runtime.protocol.bundles import Bundle
from hybrid_runtime.protocol.messages import CircuitCall
from hybrid_runtime.protocol.replay import canonical
from hybrid_runtime.values import encode_value

if TYPE_CHECKING:
    from benchmarks.conftest import Record

STEPS = 1_000_000
WALKS = """
from hybrid_runtime import Circuit, hybrid

TURN = Circuit("version 3.0; qubit q; bit b; Rx({t}) q; b = measure q", parameters=["t"])

@hybrid
def unread(context):
    for number in range(context.parameters["steps"]):
        yield TURN.bind(t=float(number))

@hybrid
def generator(context):
    zeros = 0
    for number in range(context.parameters["steps"]):
        result = yield TURN.bind(t=float(number))
        zeros += result.counts["0"]
    return zeros

@hybrid
def blocking(context):
    return sum(context.run(TURN.bind(t=float(number))).counts["0"] for number in range(context.parameters["steps"]))
"""


@pytest.mark.parametrize("name", ["unread", "generator", "blocking"])
def test_step(null_runtime: LocalRuntime, tmp_path: Path, name: str, record: Record) -> None:
    """A million steps of one circuit, whose results the algorithm reads or not: the whole time, by their number."""
    walk = Bundle(python="", entry="walks.py", name=name, files={"walks.py": WALKS.encode()})
    null_runtime.run(walk, parameters={"steps": 1}, journal=tmp_path / "one.bin").raise_for_error()
    times = []
    for number in range(2):
        path = tmp_path / f"{number}.bin"
        lengthen(tmp_path / "one.bin", path, f"{name}-{number}")
        start = time.perf_counter()
        result = null_runtime.resume(walk, path, fsync="never").result().raise_for_error()
        times.append((time.perf_counter() - start) / result.steps)
        assert result.steps == STEPS
    record(times)


def lengthen(source: Path, target: Path, job_id: str) -> None:
    """Make of the journal of one step that of an interrupted run of very many."""
    records = list(read(source))
    (began,) = (one for one in records if isinstance(one, Began))
    (program,) = (one for one in records if isinstance(one, Defined))
    (step,) = (one for one in records if isinstance(one, Stepped))
    journal = Journal(target, Fsync.NEVER)
    journal.append(structs.replace(began, job_id=job_id, parameters=encode_value({"steps": STEPS})))
    journal.append(program)
    for number in range(STEPS):
        call = CircuitCall(0, began.shots, 1, struct.pack("<d", number))
        request = canonical([call], {0: program.hash})
        journal.append(structs.replace(step, number=number + 1, request=request))
    journal.close()
