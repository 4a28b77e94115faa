"""One runtime, at one isolation level: runs the attacks that come on stdin, each beside another tenant's job.

    runner.py LEVEL

A line in is an attack, a line out is what became of both jobs.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import Any

import msgspec

from hybrid_runtime import JobResult, Limits, LocalRuntime
from hybrid_runtime.job import JobState
from hybrid_runtime.protocol.bundles import Bundle

# What it returns depends on nothing but its seed.
NEIGHBOUR = """
import time
from pathlib import Path

from hybrid_runtime import Circuit, hybrid

TEXT = "version 3.0\\nqubit[2] q\\nbit[2] b\\nH q[0]\\nRx({angle}) q[1]\\nCNOT q[0], q[1]\\nb = measure q"


@hybrid
def neighbour(context):
    secret = context.parameters["secret"]
    Path("secret.txt").write_text(secret)
    circuit, found = Circuit(TEXT, parameters={"angle": 0.0}, shots=64), []
    gap, last = 0.0, time.perf_counter()
    for step in range(context.parameters["steps"]):
        counts = context.run(circuit.bind(angle=step / 10)).counts
        found.append([counts.get(bits, 0) for bits in ("00", "01", "10", "11")])
        assert Path("secret.txt").read_text() == secret
        now = time.perf_counter()
        gap, last = max(gap, now - last), now
        time.sleep(0.002)
    return {"found": found, "longest_gap_s": gap}
"""
SEED = 11


def told(result: JobResult) -> dict[str, Any]:
    error = result.error
    return result.to_dict() | {"kind": error and error.kind, "text": error and error.text, "logs": result.logs}


def run_beside_neighbour(
    client: LocalRuntime, attack: Bundle, limits: Limits, parameters: dict[str, Any]
) -> dict[str, Any]:
    files = {"neighbour.py": NEIGHBOUR.encode()}
    quiet = Bundle(python=attack.python, entry="neighbour.py", files=files)
    neighbour = client.submit(quiet, parameters=parameters, seed=SEED)
    # It holds its worker, and steps, before the attack begins.
    for _ in neighbour.events():
        if neighbour.state is JobState.RUNNING:
            break
    attacked = client.run(attack, limits=limits)
    return {"attack": told(attacked), "neighbour": told(neighbour.result())}


def main() -> None:
    # Were the environment inherited, an attack would find it.
    os.environ["ATTACK"] = "ATTACK" + "-CANARY=1"
    with LocalRuntime(isolation=sys.argv[1], warm=2) as client:
        for line in sys.stdin:
            asked = json.loads(line)
            bundle = msgspec.msgpack.decode(base64.b64decode(asked["bundle"]), type=Bundle)
            ran = run_beside_neighbour(client, bundle, Limits(**asked["limits"]), asked["neighbour"])
            print(json.dumps(ran), flush=True)


if __name__ == "__main__":
    main()
