"""What do many who watch one job cost its steps?

    python benchmarks/watchers.py [--watchers 200] [--rounds 5] [--steps 20000]

A real `qi-run serve` with the null backend runs the same job again and again, in turns with nobody watching and with
so many event streams open on it. Each stream reads all that it is sent. Prints p50 and p99 of a step for both, their
ratio, and how many events the watchers got.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import selectors
import socket
import statistics
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # for the service that the tests use, too

from tests.serving import Service, running_service

SETTINGS = """
[backends.null]
driver = "null"
"""
ALGORITHM = """
    from hybrid_runtime import Circuit, hybrid

    CIRCUIT = Circuit(
        "version 3.0\\nqubit[2] q\\nbit[2] b\\nRy({theta}) q[0]\\nb = measure q\\n", parameters=["theta"]
    )

    @hybrid
    def steps(context):
        for number in range(context.parameters["steps"]):
            context.run(CIRCUIT.bind(theta=0.001 * number))
            if number % 10 == 0:
                context.metric("number", number)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder), SETTINGS) as service:
        file = Path(folder) / "steps.py"
        file.write_text(textwrap.dedent(ALGORITHM))
        bundle = service.upload(file)
        times: dict[int, list[dict[str, float]]] = {0: [], arguments.watchers: []}
        events = 0
        for _ in range(arguments.rounds):
            for watchers in times:
                result, seen = one_run(service, bundle, arguments.steps, watchers)
                times[watchers].append(result["timing"]["step_s"])
                events += seen
    alone, watched = (middle(one) for one in times.values())
    print(f"steps {arguments.steps}, rounds {arguments.rounds}, medians over the rounds")
    print(f"{0:4} watchers: p50 {alone['p50'] * 1e6:6.1f} us, p99 {alone['p99'] * 1e6:6.1f} us")
    print(f"{arguments.watchers:4} watchers: p50 {watched['p50'] * 1e6:6.1f} us, p99 {watched['p99'] * 1e6:6.1f} us")
    print(f"ratio of p50: {watched['p50'] / alone['p50']:.3f}; events received: {events}")


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in rounds) for name in ("p50", "p99")}


def one_run(service: Service, bundle: str, steps: int, watchers: int) -> tuple[dict[str, Any], int]:
    """The result of one job, and how many events its watchers got together."""
    job = service.submit("null", bundle=bundle, parameters={"steps": steps}, start_after=time.time() + 3.0)
    if not watchers:
        return service.result(job), 0
    # In a process of their own, as they would be: what they do there is not the service's doing.
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=watch, args=(service.url, service.token, job, watchers, theirs))
    process.start()
    seen = ours.recv()
    process.join()
    return service.result(job), seen


def watch(url: str, token: str, job: str, watchers: int, answer: Any) -> None:
    """Read all event streams to their end; sends the number of events."""
    os.nice(19)  # in truth they are on other hosts
    host, _, port = url.removeprefix("http://").rpartition(":")
    request = f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    selector = selectors.DefaultSelector()
    open_streams = events = 0
    for _ in range(watchers):
        stream = socket.create_connection((host, int(port)))
        stream.sendall(request)
        stream.setblocking(False)
        selector.register(stream, selectors.EVENT_READ)
        open_streams += 1
    while open_streams:
        for key, _ in selector.select():
            stream = key.fileobj  # type: ignore[assignment]
            data = stream.recv(1 << 20)
            events += data.count(b"\nid: ") + data.startswith(b"id: ")
            # The end of a chunked answer, or of the connection.
            if not data or data.endswith(b"0\r\n\r\n"):
                selector.unregister(stream)
                stream.close()
                open_streams -= 1
    answer.send(events)


if __name__ == "__main__":
    main()
