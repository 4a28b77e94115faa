"""How long a job takes to begin and to end, and the pool to replace the worker it took."""

from __future__ import annotations

import select
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.bench.placement import ALGORITHMS
from hybrid_runtime.bench.quantiles import Quantiles, quantiles
from hybrid_runtime.classical.pool import Pool
from hybrid_runtime.errors import InternalError
from hybrid_runtime.local import PRELOAD, Client

if TYPE_CHECKING:
    from hybrid_runtime.bench.plan import Plan

# The runtime is left alone for so long before each job, and each job thinks for so long: by then the pool has
# replaced the last worker, and what is measured is not how quickly jobs can follow each other.
_PAUSE_S = 0.03
_WORKER_TIMEOUT_S = 30.0


class Refill(msgspec.Struct, frozen=True):
    """How quickly workers are made: from the request for one until it is ready for a job."""

    ready_s: Quantiles
    workers_per_s: float


def jobs(client: Client, plan: Plan) -> tuple[Quantiles, Quantiles, str]:
    """Warm initialization, termination, and the isolation level of the workers."""
    initialize, terminate, isolation = [], [], ""
    for number in range(plan.jobs + 2):
        time.sleep(_PAUSE_S)
        result = client.run(f"{ALGORITHMS}:unhurried", parameters={"pause_s": _PAUSE_S}).raise_for_error()
        isolation = result.isolation
        if number > 1:  # the first had to wait for everything to load, the second for the worker it found young
            initialize.append(result.timing.initialize_s)
            terminate.append(result.timing.terminate_s)
    return quantiles(initialize), quantiles(terminate), isolation


def cold(plan: Plan) -> Quantiles:
    """From nothing to the first circuit: a fresh process tree for each."""
    taken = []
    for _ in range(plan.cold_starts):
        start = time.perf_counter()
        with Client("null") as client:
            timing = client.run(f"{ALGORITHMS}:first_circuit").raise_for_error().timing
            ended = time.perf_counter()
        taken.append(ended - start - (timing.total_s - timing.initialize_s))
    return quantiles(taken)


def refill(plan: Plan) -> Refill:
    """Workers made one after the other, each on demand."""
    with tempfile.TemporaryDirectory(prefix="hybrid-runtime-") as folder:
        pool = Pool(Path(folder), warm=0, preload=PRELOAD)
        try:
            _make_worker(pool)  # which waits for the preloading
            start = time.perf_counter()
            taken = [_make_worker(pool) for _ in range(plan.refills)]
            rate = plan.refills / (time.perf_counter() - start)
        finally:
            pool.close()
    return Refill(quantiles(taken), rate)


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
