"""A real API: uvicorn in a process of its own, on a real socket, with a real store."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from hybrid_runtime.jobs.access import Principal
from hybrid_runtime.jobs.store import Store
from hybrid_runtime.protocol.bundles import Bundle, content_hash, encode_bundle
from hybrid_runtime.resources.accounts import Role, TokenRequest, UserRequest
from hybrid_runtime.resources.backends import BackendStatus, Environment

PATIENCE_S = 30.0
CIRCUIT = "version 3.0\nqubit[1] q\nbit[1] b\nH q[0]\nb = measure q"


@dataclass
class Api:
    """A running API, and the store behind it as a runner has it."""

    url: str
    folder: Path
    store: Store
    process: subprocess.Popen[str]
    admin: Principal
    secrets: dict[str, str]
    clients: dict[str | None, httpx.Client] = field(default_factory=dict)

    def client(self, user: str | None = "ada") -> httpx.Client:
        """The HTTP client of a user; of nobody for None."""
        if user not in self.clients:
            headers = {} if user is None else {"Authorization": f"Bearer {self.secrets[user]}"}
            # No TLS is spoken, and reading certificates would take longer than most tests.
            self.clients[user] = httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_S, verify=False)
        return self.clients[user]

    def who(self, user: str) -> Principal:
        return self.store.accounts.authenticate(self.secrets[user])

    def add_user(self, name: str, role: Role = Role.USER) -> None:
        self.store.accounts.add_user(self.admin, UserRequest(name=name, role=role))
        self.secrets[name] = self.store.accounts.add_token(self.admin, TokenRequest(user=name)).secret

    def stop(self) -> int:
        """End the process as a supervisor does; its exit status."""
        for client in self.clients.values():
            client.close()
        self.clients.clear()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.stop()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.store.close()


def bundle(name: str = "algorithm") -> bytes:
    """A bundle as it is uploaded."""
    source = f"def {name}(context):\n    return 1\n".encode()
    return encode_bundle(Bundle(name=name, entry="algorithm.py", python="3.11", files={"algorithm.py": source}))


def start(folder: Path, url: str, **settings: Any) -> Api:
    """An API with its data in this folder and this database, which is empty."""
    store = Store(url, data=folder)
    store.migrate()
    secret = store.accounts.bootstrap()
    assert secret is not None
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    arguments = [url, str(folder), str(listening.fileno()), json.dumps(settings)]
    command = [sys.executable, str(Path(__file__).with_name("api_process.py")), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=[listening.fileno()])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    # What is accepted inherits it: an answer's body does not wait until its head is acknowledged.
    assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    listening.close()
    admin = store.accounts.authenticate(secret)
    api = Api(address, folder, store, process, admin, {"admin": secret})
    api.add_user("ada")
    api.add_user("bob")
    api.add_user("olga", Role.OPERATOR)
    environment = Environment(name="default", python="3.11", packages={"numpy": "2.4.6"})
    store.runs.announce("qulacs", {"name": "qulacs", "qubits": 20}, environment)
    store.runs.heartbeat("qulacs", BackendStatus.IDLE, "waits for jobs")
    return api


def upload(client: httpx.Client, data: bytes | None = None) -> str:
    """Upload a bundle; its SHA-256."""
    data = bundle() if data is None else data
    sha256 = content_hash(data)
    answer = client.put(f"/v1/bundles/{sha256}", content=data, headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code in (200, 201), answer.text
    return sha256


def submit(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """Submit a circuit, unless the fields say otherwise; the job."""
    answer = client.post("/v1/jobs", json={"backend": "qulacs", "circuit": CIRCUIT, **fields})
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


def head(api: Api, method: str, path: str, *lines: str) -> bytes:
    """The head of a request of ada's."""
    authorization = f"Authorization: Bearer {api.secrets['ada']}"
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", authorization, *lines, "", ""]).encode()


@contextmanager
def connected(api: Api, sent: bytes) -> Iterator[socket.socket]:
    """A connection over which these bytes were sent."""
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as sock:
        sock.sendall(sent)
        yield sock


def read_all(sock: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    answer = b""
    while data := sock.recv(65536):
        answer += data
    return answer
