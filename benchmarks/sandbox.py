"""What does isolation cost? Starting, using and ending workers, at each level that the host gives, in one run.

    python benchmarks/sandbox.py [REPETITIONS]

Medians and 99th percentiles. `ready` is when a worker can be given a job; it has `memory of its own` once it has
rehearsed and waits. For `warm initialization` there is a pause between jobs, in which the worker that was used is
replaced: without one, jobs come faster than workers and meet none that is warm. `workers/s` are made as a pool does
that wants several. `hop` is a system call of the kind that a step makes, 100 000 times in the worker: the difference
between the levels is what the filter costs. On a machine that does other things the figures say little.
"""

from __future__ import annotations

import select
import statistics
import sys
import tempfile
import time
from pathlib import Path

from hybrid_runtime import LocalRuntime
from hybrid_runtime.classical.isolation import available
from hybrid_runtime.classical.pool import Pool, WorkerHandle
from hybrid_runtime.protocol.bundles import Bundle

TIMEOUT_S = 30.0
CALLS = 100_000
AT_ONCE = 4
PAUSE_S = 0.03
ROUNDS = 5
ALGORITHM = f"""
import os, time

from hybrid_runtime import hybrid


@hybrid
def algorithm(context):
    read, write = os.pipe()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range({CALLS} // 2):
            os.write(write, b"x")
            os.read(read, 1)
        times.append((time.perf_counter() - start) / {CALLS})
    return min(times)
""".encode()


def leased(pool: Pool) -> WorkerHandle:
    """A worker, as soon as there is one."""
    while (worker := pool.lease_nowait()) is None:
        if not select.select([pool.fileno()], [], [], TIMEOUT_S)[0]:
            raise TimeoutError("no worker came")
        pool.on_readable()
    return worker


def own_kib(worker: WorkerHandle) -> int:
    """Memory that is this worker's alone, seen from outside."""
    rollup = Path(f"/proc/{pid_of(worker)}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in rollup if line.startswith(("Private_Clean", "Private_Dirty")))


def pid_of(worker: WorkerHandle) -> int:
    """Its pid in our namespace."""
    lines = Path(f"/proc/self/fdinfo/{worker._pidfd}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))


def wait_until_it_waits(worker: WorkerHandle) -> None:
    """Until it has rehearsed, and sleeps where it reads its channel."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if "skb" in Path(f"/proc/{pid_of(worker)}/wchan").read_text():
            return
        time.sleep(0.001)
    raise TimeoutError("a worker does not come to wait for its job")


def starts_and_ends(level: str, count: int) -> dict[str, list[float]]:
    """Seconds from request to ready and from kill to gone, and megabytes, of workers made one after the other."""
    ready, gone, memory = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(Path(folder), warm=0, level=level)
        try:
            for number in range(count + 5):
                start = time.perf_counter()
                worker = leased(pool)
                worker.channel.receive(TIMEOUT_S)
                taken = time.perf_counter() - start
                wait_until_it_waits(worker)
                size = own_kib(worker) / 1024
                start = time.perf_counter()
                worker.kill()
                select.select([worker._pidfd], [], [], TIMEOUT_S)
                if number >= 5:
                    ready.append(taken)
                    memory.append(size)
                    gone.append(time.perf_counter() - start)
                worker.close()
        finally:
            pool.close()
    return {"fork to ready (ms)": ready, "kill to gone (ms)": gone, "own memory (MiB)": memory}


def rate(level: str, count: int) -> dict[str, list[float]]:
    """Workers in a second where several are on their way at once; each is ended as soon as it is ready."""
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(Path(folder), warm=AT_ONCE, level=level)
        try:
            pool.wait_ready(AT_ONCE)
            rates = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                for _ in range(count // ROUNDS):
                    worker = leased(pool)
                    pool.refill()
                    worker.channel.receive(TIMEOUT_S)
                    worker.kill()
                    worker.close()
                rates.append(count // ROUNDS / (time.perf_counter() - start))
        finally:
            pool.close()
    return {"workers/s": rates}


def jobs(level: str, count: int) -> dict[str, list[float]]:
    """Seconds from handing the bundle over to the first message of the algorithm, and of one system call."""
    bundle = Bundle(python=".".join(map(str, sys.version_info[:2])), entry="a.py", files={"a.py": ALGORITHM})
    first = b"from hybrid_runtime import hybrid, Circuit\n@hybrid\ndef algorithm(context):\n    context.run(Circuit("
    text = b'"version 3.0\\nqubit[1] q\\nbit[1] b\\nH q[0]\\nb = measure q"))\n'
    warm = Bundle(python=bundle.python, entry="a.py", files={"a.py": first + text})
    with LocalRuntime("null", isolation=level, warm=2) as client:
        client.run(warm)
        started = []
        for _ in range(count):
            time.sleep(PAUSE_S)
            started.append(client.run(warm).timing.initialize_s)
        calls = [client.run(bundle).value for _ in range(3)]
    return {"warm initialization (ms)": started, "hop (us)": calls}


def measured(level: str, count: int) -> dict[str, list[float]]:
    """Everything about one level."""
    return starts_and_ends(level, count) | rate(level, count) | jobs(level, count // 4)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for level, why in available().items():
        if why is not None:
            print(f"{level}: {why}")
            continue
        for name, values in measured(level, count).items():
            scale = 1e3 if "(ms)" in name else 1e6 if "(us)" in name else 1.0
            ordered = sorted(value * scale for value in values)
            p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
            print(f"{level:9} {name:26} p50 {statistics.median(ordered):8.3f}  p99 {p99:8.3f}", flush=True)


if __name__ == "__main__":
    main()
