"""A real `qi-run serve` for tests: its own data folder, a free port, and nothing left behind.

`running_service` is what fixtures are made of; `service` in `tests/conftest.py` is one for many tests.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

import hybrid_runtime
from hybrid_runtime.bundle import bundle_file
from hybrid_runtime.process import die_with_parent
from hybrid_runtime.protocol.bundles import content_hash, encode_bundle

# For a service to come up or to end on a busy machine; no test depends on how long it takes.
PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.05
_PACKAGE = Path(hybrid_runtime.__file__).parent.parent


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    below: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            below += map(int, path.read_text().split())
        except OSError:
            continue  # it has ended while it was looked at
    return below + [other for child in below for other in descendants(child)]


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


class Service:
    """One service; it can be killed and started again on the same data.

    Args:
        data: The data folder.
        settings: Lines of a settings file.
        database: The URL of its database; that in its data folder when empty.

    Attributes:
        database: The URL of its database.
        url: Where it listens, while it runs.
        token: The operator's token.
        http: Speaks to it as its operator.
    """

    def __init__(self, data: Path, settings: str = "", database: str = "") -> None:
        self.data = data
        self.database = database or f"sqlite:///{data / 'jobs.sqlite'}"
        self._database = database
        self.url = ""
        self.token = ""
        self.file = data.with_name(f"{data.name}.toml")
        self._set(settings)
        self.http = httpx.Client()
        self._process: subprocess.Popen[bytes] | None = None
        self.log = data.with_name(f"{data.name}.log")

    @property
    def pid(self) -> int:
        """The supervisor's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers."""
        read, write = os.pipe()
        # The first start takes a free port; later ones the same, as a service on a host would.
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        place = ["--data", str(self.data), "--config", str(self.file), "--listen", listen, "--ready-fd", str(write)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hybrid_runtime", "serve", *place],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=[write],
                env=os.environ | {"PYTHONPATH": str(_PACKAGE)},
                start_new_session=True,
                # Also where these tests are killed, nothing of it is left.
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        os.close(write)
        told = _line(read, self._process)
        os.close(read)
        if not told:
            self.kill()
            raise AssertionError(f"the service did not come up:\n{self.log.read_text()}")
        listening: dict[str, Any] = json.loads(told)
        self.url = listening["url"]
        self.token = listening["token"] or self.token
        self.http.close()
        headers = {"Authorization": f"Bearer {self.token}"}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_S)

    def upload(self, file: Path) -> str:
        """Upload the bundle of a file; its hash."""
        content = encode_bundle(bundle_file(str(file)))
        sha256 = content_hash(content)
        headers = {"Content-Type": "application/octet-stream"}
        self.http.put(f"/v1/bundles/{sha256}", content=content, headers=headers).raise_for_status()
        return sha256

    def submit(self, backend: str, **request: Any) -> str:
        """Queue a job; its name."""
        job_id: str = self.post("/v1/jobs", {"backend": backend, **request})["id"]
        return job_id

    def submit_many(self, requests: Sequence[dict[str, Any]]) -> list[str]:
        """Queue jobs as one batch; their names."""
        return [job["id"] for job in self.post("/v1/jobs/batch", {"jobs": [*requests]})["jobs"]]

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as it stands."""
        return self.get(f"/v1/jobs/{job_id}")

    def result(self, job_id: str) -> dict[str, Any]:
        """A job's result, once there is one."""
        self.wait(job_id, lambda job: job["ended_at"] is not None)
        return self.get(f"/v1/jobs/{job_id}/result")

    def wait(self, job_id: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job once this holds of it."""
        seen: list[dict[str, Any]] = []

        def holds() -> bool:
            try:
                seen[:] = [self.job(job_id)]
            except httpx.TransportError:
                return False  # the api was killed while it answered
            return until(seen[0])

        self.until(holds)
        return seen[0]

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until this holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"that never came to be; the end of the log:\n{self.log.read_text()[-5000:]}")
            time.sleep(_LOOK_EVERY_S)

    def get(self, path: str) -> dict[str, Any]:
        """What is there."""
        return self._told(self.http.get(path))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What comes of it."""
        return self._told(self.http.post(path, json=body))

    @staticmethod
    def _told(answer: httpx.Response) -> dict[str, Any]:
        assert answer.is_success, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def processes(self) -> dict[str, list[int]]:
        """What runs below the supervisor, by module."""
        found: dict[str, list[int]] = {}
        for pid in descendants(self.pid):
            command = _command(pid)
            module = next((part for part in command if part.startswith("hybrid_runtime.")), "")
            if module:
                found.setdefault(module.removeprefix("hybrid_runtime."), []).append(pid)
        return found

    def reload(self, settings: str) -> None:
        """Have it read other settings."""
        self._set(settings)
        os.kill(self.pid, signal.SIGHUP)

    def _set(self, settings: str) -> None:
        named = f"database = {json.dumps(self._database)}\n" if self._database else ""
        self.file.write_text(named + settings)

    def stop(self) -> int:
        """Have it end as an operator would; its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self.ended()

    def kill(self) -> None:
        """Kill the supervisor alone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ended(self) -> int:
        """Wait until it has ended; its exit status."""
        assert self._process is not None
        try:
            return self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the service did not end:\n{self.log.read_text()}") from None


def _line(read: int, process: subprocess.Popen[bytes]) -> bytes:
    """What the service tells once it answers; empty where it ends before."""
    line = b""
    until = time.monotonic() + PATIENCE_S
    while not line.endswith(b"\n") and time.monotonic() < until and process.poll() is None:
        if select.select([read], [], [], 0.2)[0]:
            part = os.read(read, 65536)
            if not part:
                break
            line += part
    return line if line.endswith(b"\n") else b""


@contextmanager
def running_service(folder: Path, settings: str = "", database: str = "") -> Iterator[Service]:
    """A service in a folder of its own, ended afterwards with all that it started."""
    one = Service(folder / "data", settings, database)
    one.start()
    try:
        yield one
    finally:
        if one._process is not None and one._process.poll() is None:
            one.stop()
        one.http.close()
