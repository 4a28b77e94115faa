"""How many jobs a second does the REST API accept, for how long, with the client on the same machine?

`python benchmarks/submissions.py [--seconds 20] [--connections 8] [--batch N] [--database URL]`

The API runs in a process of its own, with SQLite in a temporary folder unless a database is named. The client sends one
request after the other over each connection and keeps every id; at the end the database has to have all of them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import selectors
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from hybrid_runtime.api.serving import serve
from hybrid_runtime.api.settings import ApiSettings
from hybrid_runtime.bench.quantiles import quantiles
from hybrid_runtime.errors import NotFound
from hybrid_runtime.jobs.access import Principal
from hybrid_runtime.jobs.store import Store
from hybrid_runtime.resources.backends import Environment

_JOB = {"backend": "null", "circuit": "version 3.0\nqubit[1] q\nbit[1] b\nH q[0]\nb = measure q", "shots": 100}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--batch", type=int, default=0, help="jobs in one request; 0 sends them one by one")
    parser.add_argument("--database", default="")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.database or f"sqlite:///{folder}/jobs.sqlite"
        measure(url, Path(folder), arguments)


def measure(url: str, folder: Path, arguments: argparse.Namespace) -> None:
    """Submit for as long as asked, print what came of it."""
    store = Store(url, data=folder)
    store.migrate()
    secret = store.accounts.bootstrap()
    store.runs.announce("null", {"name": "null"}, Environment(name="default", python="3.11", packages={}))
    store.close()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    ready = multiprocessing.Event()
    process = multiprocessing.Process(target=_serve, args=(url, folder, listening, ready))
    process.start()
    try:
        ready.wait(30)
        client = Client(listening.getsockname(), str(secret), arguments.batch)
        client.run(arguments.connections, arguments.seconds)
    finally:
        process.terminate()
        process.join()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    store = Store(url, data=folder)
    who = store.accounts.authenticate(str(secret))
    kept = sum(_kept(store, who, job_id) for job_id in client.accepted)
    store.close()
    client.report(kept, used.ru_utime + used.ru_stime)


def _kept(store: Store, who: Principal, job_id: str) -> bool:
    try:
        return store.jobs.get(who, job_id).id == job_id
    except NotFound:
        return False


def _serve(url: str, folder: Path, listening: socket.socket, ready: Any) -> None:
    store = Store(url, data=folder)
    serve(store, ApiSettings(data=folder, rate_per_s=1e6, burst=1_000_000), listening, ready.set)
    store.close()


class Client:
    """Keeps every connection busy."""

    def __init__(self, address: tuple[str, int], secret: str, batch: int) -> None:
        self._address = address
        self._selector = selectors.DefaultSelector()
        body = json.dumps({"jobs": [_JOB] * batch} if batch else _JOB).encode()
        path = "/v1/jobs/batch" if batch else "/v1/jobs"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self.accepted: list[str] = []
        self.delays: list[float] = []
        self.seconds = 0.0

    def run(self, connections: int, seconds: float) -> None:
        """Submit until the time is over and all answers are there."""
        begun = time.perf_counter()
        until = begun + seconds
        busy: dict[socket.socket, tuple[float, bytearray]] = {}
        for _ in range(connections):
            sock = socket.create_connection(self._address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(sock, selectors.EVENT_READ)
            sock.sendall(self._request)
            busy[sock] = (time.perf_counter(), bytearray())
        while busy:
            for key, _ in self._selector.select():
                ready: Any = key.fileobj
                sent, answer = busy[ready]
                data = ready.recv(1 << 20)
                if not data:
                    raise SystemExit(f"the API closed a connection: {bytes(answer)[:500]!r}")
                answer += data
                body = _body(answer)
                if body is None:
                    continue
                now = time.perf_counter()
                self.delays.append(now - sent)
                self._keep(body)
                if now < until:
                    ready.sendall(self._request)
                    busy[ready] = (time.perf_counter(), bytearray())
                else:
                    self._selector.unregister(ready)
                    ready.close()
                    del busy[ready]
        self.seconds = time.perf_counter() - begun

    def _keep(self, body: bytes) -> None:
        answer = json.loads(body)
        if "id" not in answer and "jobs" not in answer:
            raise SystemExit(f"refused: {answer}")
        self.accepted += [job["id"] for job in answer.get("jobs", [answer])]

    def report(self, kept: int, cpu_s: float) -> None:
        """Print what was measured."""
        count = len(self.accepted)
        delay = quantiles(self.delays)
        print(f"{count} jobs in {self.seconds:.1f} s: {count / self.seconds:.0f} jobs/s")
        print(f"a request takes {delay.p50 * 1e3:.1f} ms (p50), {delay.p99 * 1e3:.1f} ms (p99)")
        print(f"the API used {cpu_s / count * 1e3:.2f} ms of processor time for each job, with its start")
        print(f"{len(set(self.accepted))} jobs have an id of their own, {kept} of them are in the database")


def _body(answer: bytearray) -> bytes | None:
    """The body of an answer that is complete."""
    head, end, body = bytes(answer).partition(b"\r\n\r\n")
    if not end:
        return None
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return body if len(body) == length else None


if __name__ == "__main__":
    main()
