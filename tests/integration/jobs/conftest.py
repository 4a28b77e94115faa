"""A store on each database, and people who use it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.access import Principal
from hybrid_runtime.jobs.policy import Policy
from hybrid_runtime.jobs.reports import Claimed
from hybrid_runtime.jobs.store import Store
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.bundles import Bundle, encode_bundle
from hybrid_runtime.resources.accounts import Member, ProjectRole, Role, TokenRequest, UserRequest
from hybrid_runtime.resources.backends import Environment
from hybrid_runtime.resources.jobs import Job, JobRequest
from hybrid_runtime.resources.records import Result
from tests.databases import KINDS, Databases

CIRCUIT = "version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\nb = measure q"
BACKEND = "emulator"


class Clock:
    """A time that moves when a test says so, and a little at each look."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.0

    def __call__(self) -> float:
        self.at += 1e-6
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += seconds


class World:
    """A store with an admin, `ann` and `bob` in projects of their own, and a backend."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        store.migrate()
        self.secret = store.accounts.bootstrap() or ""
        self.admin = store.accounts.authenticate(self.secret)
        self.ann = self.user("ann")
        self.bob = self.user("bob")
        self._numbers = itertools.count()
        self.serve()

    def user(self, name: str, role: Role = Role.USER) -> Principal:
        self.store.accounts.add_user(self.admin, UserRequest(name=name, role=role))
        return self.store.accounts.authenticate(self.token(name))

    def token(self, name: str) -> str:
        return self.store.accounts.add_token(self.admin, TokenRequest(user=name)).secret

    def join(self, who: Principal, project: str, role: ProjectRole = ProjectRole.MEMBER) -> None:
        self.store.projects.set_member(self.admin, project, Member(user=who.user, role=role))

    def serve(self, backend: str = BACKEND) -> None:
        self.store.runs.announce(backend, {}, Environment(name="python-3.11", python="3.11.2", packages={}))

    def submit(self, who: Principal | None = None, **request: Any) -> Job:
        if "bundle" not in request and "algorithm" not in request:
            request = {"circuit": CIRCUIT} | request
        given: dict[str, Any] = {"backend": BACKEND} | request
        return self.store.jobs.submit(who or self.ann, JobRequest(**given))

    def bundle(self, who: Principal | None = None, **fields: Any) -> str:
        content: dict[str, Any] = {
            "python": "3.11",
            "entry": "a.py",
            "files": {"a.py": b"# %d" % next(self._numbers)},
        } | fields
        return self.store.bundles.put(who or self.ann, encode_bundle(Bundle(**content))).sha256

    def claim(self, owner: str = "one") -> Claimed:
        claimed = self.store.runs.claim(BACKEND, owner, 10.0)
        assert claimed is not None
        return claimed

    def run(self, steps: int = 0) -> Claimed:
        """Claim a job and bring it to running."""
        claimed = self.claim()
        self.store.runs.report(claimed.job_id, claimed.fence, state=JobState.RUNNING, steps=steps)
        return claimed

    def finish(self, claimed: Claimed, state: JobState = JobState.COMPLETED, **fields: Any) -> Result:
        given: dict[str, Any] = {
            "job_id": claimed.job_id,
            "state": state,
            "stop_reason": StopReason.DONE,
            "result": {"energy": -1.5},
            "error": None,
            "steps": 3,
            "shots": 30,
            "metrics": {},
            "backend": BACKEND,
            "seed": claimed.seed,
            "isolation": "strict",
            "timing": {},
        }
        result = Result(**given | fields)
        self.store.runs.finish(claimed.job_id, claimed.fence, result)
        return result

    def state(self, job_id: str) -> JobState:
        return self.store.jobs.get(self.admin, job_id).state


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path, databases: Databases) -> Iterator[str]:
    """An empty database of each kind."""
    with databases.empty(request.param, tmp_path) as empty:
        yield empty


@pytest.fixture
def make_world(url: str, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes the world of a test with a policy of its own."""
    made: list[World] = []

    def make(**policy: Any) -> World:
        clock = Clock()
        made.append(World(Store(url, data=tmp_path / "data", policy=Policy(**policy), clock=clock), clock))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
