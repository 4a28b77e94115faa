"""How long a job takes to begin and to end, and the pool to replace the worker it took."""

from __future__ import annotations

import select
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from hybrid_runtime.bench.placement import SHORT_JOBS
from hybrid_runtime.classical.pool import Pool
from hybrid_runtime.errors import InternalError
from hybrid_runtime.local import PRELOAD, LocalRuntime

# The runtime is left alone for so long before each job, and each job thinks for so long: by then the pool has
# replaced the last worker, and what is measured is not how quickly jobs can follow each other.
_PAUSE_S = 0.03
_WORKER_TIMEOUT_S = 30.0


class Jobs(NamedTuple):
    """Seconds of each job, and the isolation level of the workers."""

    initialize: list[float]
    terminate: list[float]
    isolation: str


def jobs(client: LocalRuntime, count: int) -> Jobs:
    """Jobs on a runtime that is up and has had time to replace the last worker."""
    initialize, terminate, isolation = [], [], ""
    for number in range(count + 2):
        time.sleep(_PAUSE_S)
        result = client.run(f"{SHORT_JOBS}:unhurried", parameters={"pause_s": _PAUSE_S}).raise_for_error()
        isolation = result.isolation
        if number > 1:  # the first had to wait for everything to load, the second for the worker it found young
            initialize.append(result.timing.initialize_s)
            terminate.append(result.timing.terminate_s)
    return Jobs(initialize, terminate, isolation)


def cold(count: int) -> list[float]:
    """Seconds from nothing to the first circuit: a fresh process tree for each."""
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        with LocalRuntime("null") as client:
            timing = client.run(f"{SHORT_JOBS}:first_circuit").raise_for_error().timing
            ended = time.perf_counter()
        taken.append(ended - start - (timing.total_s - timing.initialize_s))
    return taken


def refill(count: int) -> tuple[list[float], float]:
    """Workers made one after the other, each on demand: the seconds of each, and workers in a second."""
    with tempfile.TemporaryDirectory(prefix="hybrid-runtime-") as folder:
        pool = Pool(Path(folder), warm=0, preload=PRELOAD)
        try:
            _make_worker(pool)  # which waits for the preloading
            start = time.perf_counter()
            taken = [_make_worker(pool) for _ in range(count)]
            rate = count / (time.perf_counter() - start)
        finally:
            pool.close()
    return taken, rate


def _make_worker(pool: Pool) -> float:
    """Have a worker made; the seconds until it said that it is ready. Then it is ended."""
    start = time.perf_counter()
    while (worker := pool.lease_nowait()) is None:
        if not select.select([pool.fileno()], [], [], _WORKER_TIMEOUT_S)[0]:
            raise InternalError(f"the fork server made no worker within {_WORKER_TIMEOUT_S:g} s")
        pool.on_readable()
    worker.channel.receive(_WORKER_TIMEOUT_S)
    taken = time.perf_counter() - start
    worker.kill()
    worker.close()
    return taken
