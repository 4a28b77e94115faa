"""Does anything leak? Many jobs on one runtime, of which every third crashes, hangs or floods.

    python benchmarks/endurance.py [JOBS]

Prints what the runtime holds before, in between and after: processes, descriptors, mounts, scratch directories,
memory; and jobs per second in each tenth, which must not decay.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from hybrid_runtime import JobResult, Limits, LocalRuntime
from hybrid_runtime.local import Job
from hybrid_runtime.node import scratch_of
from hybrid_runtime.protocol.bundles import Bundle

AT_ONCE = 4
ALGORITHM = b"""
import ctypes, os, time
from pathlib import Path

from hybrid_runtime import Circuit, hybrid

BELL = "version 3.0\\nqubit[2] q\\nbit[2] b\\nH q[0]\\nCNOT q[0], q[1]\\nb = measure q"


@hybrid
def algorithm(context):
    Path("left").mkdir()
    Path("left/file").write_bytes(bytes(1 << 16))
    context.run(Circuit(BELL, shots=10))
    match context.parameters["way"]:
        case "crash":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "hang":
            while True:
                try:
                    time.sleep(100)
                except BaseException:
                    continue
        case "flood":
            for number in range(200):
                print("x" * 1000)
                context.metric(f"m{number}", 1.0)
    return context.parameters["way"]
"""
MISBEHAVIOURS = ("crash", "hang", "flood", "exit")
LIMITS = Limits(think_s=0.15, finalize_s=0.05)


class Held(NamedTuple):
    """What a runtime holds: counts, and kilobytes of memory that no file is behind."""

    processes: int
    descriptors: int
    mounts: int
    scratch: int
    own_kib: int


class Runtime:
    """A client, and a view of the processes behind it."""

    def __init__(self, client: LocalRuntime) -> None:
        self.client = client
        self.isolation = ""
        version = ".".join(map(str, sys.version_info[:2]))
        self.bundle = Bundle(python=version, entry="a.py", files={"a.py": ALGORITHM})

    def submit(self, number: int) -> tuple[str, Job]:
        """Give it the job of this number; every third misbehaves."""
        way = MISBEHAVIOURS[number // 3 % len(MISBEHAVIOURS)] if number % 3 == 2 else "well"
        return way, self.client.submit(self.bundle, parameters={"way": way}, limits=LIMITS if way == "hang" else None)

    def run(self, count: int) -> list[tuple[str, JobResult]]:
        """Run so many jobs, some at once; how each was to behave, and its result."""
        under_way: deque[tuple[str, Job]] = deque()
        ended = []
        for number in range(count):
            under_way.append(self.submit(number))
            if len(under_way) >= AT_ONCE:
                way, job = under_way.popleft()
                ended.append((way, job.result()))
        ended += [(way, job.result()) for way, job in under_way]
        self.isolation = ended[-1][1].isolation
        return ended

    def lasting(self) -> list[int]:
        """The processes that outlive a job: all but the workers."""
        node = self.client._node.pid
        own = _children(node)
        # At level strict the fork server is the child of the process that the dispatcher started.
        servers = [pid for pid in own if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        inner = [child for pid in servers for child in _children(pid)] if self.isolation == "strict" else []
        return [node, *own, *inner]

    def held(self) -> Held:
        """What it holds now."""
        pids = self.lasting()
        return Held(
            processes=len(_descendants(self.client._node.pid)),
            descriptors=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
            mounts=sum(len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines()) for pid in pids),
            scratch=len(list(scratch_of(self.client._node.root, self.client._node.pid).iterdir())),
            own_kib=sum(_own_kib(pid) for pid in pids),
        )

    def settled(self, *, patience_s: float = 20.0) -> Held:
        """What it holds once the last jobs' workers are gone and the warm ones are there."""
        deadline = time.monotonic() + patience_s
        before, same = self.held_or(Held(0, 0, 0, 0, 0)), 0
        while same < 200 and time.monotonic() < deadline:
            now = self.held_or(before)
            same = same + 1 if now[:4] == before[:4] else 0
            before = now
        return before

    def held_or(self, otherwise: Held) -> Held:
        """What it holds now; `otherwise` where a process ended while it was looked at."""
        try:
            return self.held()
        except OSError:
            return otherwise._replace(processes=-1)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        found += _children(one)
    return found


def _own_kib(pid: int) -> int:
    # Not what is private: that depends on how many workers there are to share it with.
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with LocalRuntime("null", warm=2) as client:
        runtime = Runtime(client)
        runtime.run(60)
        print("after 60 jobs:", runtime.settled())
        for tenth in range(10):
            start = time.perf_counter()
            runtime.run(count // 10)
            rate = count / 10 / (time.perf_counter() - start)
            print(f"tenth {tenth + 1}: {rate:.1f} jobs/s, {runtime.settled()}", flush=True)


if __name__ == "__main__":
    main()
