"""One example of each resource, for the OpenAPI description: made of the types themselves, so that it fits them."""

from __future__ import annotations

from typing import Any

import msgspec

from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.resources.accounts import (
    Member,
    NewToken,
    Project,
    ProjectRole,
    Role,
    Token,
    Usage,
    User,
    Whoami,
)
from hybrid_runtime.resources.algorithms import Algorithm, AlgorithmVersion, Bundle
from hybrid_runtime.resources.audit import AuditEntry
from hybrid_runtime.resources.backends import Backend, BackendStatus, Environment
from hybrid_runtime.resources.jobs import Failure, Job, JobChange, JobKind, Priority, QueueEntry
from hybrid_runtime.resources.records import LogLine, MetricPoint, Result, Step

_AT = 1779804000.0
_JOB = "20260526-140000-7f3a9c"
_SHA256 = "9f" * 32
_PACKAGES = {"numpy": "2.4.6", "scipy": "1.17.0"}

_USER = User(name="ada", role=Role.USER, created_at=_AT)
_TOKEN = Token(
    id="5c1d9e0277aa41bc",
    user="ada",
    label="laptop",
    created_at=_AT,
    expires_at=_AT + 2592000.0,
    last_used_at=_AT + 60.0,
)

_ALL = [
    _USER,
    _TOKEN,
    NewToken(token=_TOKEN, secret="qir_5c1d9e0277aa41bc_SECRET"),
    Whoami(user=_USER, projects=["ada", "chemistry"], token=_TOKEN),
    Member(user="ada", role=ProjectRole.OWNER),
    Project(name="chemistry", created_at=_AT, members=[Member(user="ada", role=ProjectRole.OWNER)]),
    Usage(user="ada", project="chemistry", jobs=12, steps=1450, shots=1484800, qpu_s=61.5, wall_s=92.0),
    Bundle(
        sha256=_SHA256,
        size=1834,
        python="3.11",
        entry="vqe:vqe",
        name="vqe",
        packages=_PACKAGES,
        pure_source=True,
    ),
    AlgorithmVersion(version=1, bundle=_SHA256, created_at=_AT, created_by="ada"),
    Algorithm(
        name="vqe",
        project="chemistry",
        versions=[AlgorithmVersion(version=1, bundle=_SHA256, created_at=_AT, created_by="ada")],
    ),
    Backend(
        name="qulacs",
        status=BackendStatus.EXECUTING,
        accepting=True,
        reason="runs jobs",
        since=_AT,
        queued=3,
        running=1,
        last_heartbeat=_AT + 60.0,
        capabilities={"name": "qulacs", "qubits": 20},
        environments=["default"],
    ),
    Environment(name="default", python="3.11", packages=_PACKAGES),
    Job(
        id=_JOB,
        kind=JobKind.HYBRID,
        name="scan 17",
        project="chemistry",
        user="ada",
        backend="qulacs",
        state=JobState.RUNNING,
        priority=Priority.NORMAL,
        seed=1234567,
        shots=1024,
        limits={"steps": 200},
        environment="default",
        bundle=_SHA256,
        algorithm="vqe@1",
        created_at=_AT,
        started_at=_AT + 2.0,
        ended_at=None,
        steps=17,
        shots_done=17408,
        qpu_s=0.7,
        position=None,
        waiting_for=None,
        stop_reason=None,
        error=None,
        attempts=1,
    ),
    Failure(kind="ValueError", text="no such bond", traceback="vqe.py, line 12, in vqe"),
    JobChange(state=JobState.QUEUED, at=_AT, by="ada", reason="submitted"),
    QueueEntry(position=1, job_id=_JOB, user="ada", priority=Priority.NORMAL, queued_at=_AT, waiting_for="its turn"),
    Result(
        job_id=_JOB,
        state=JobState.COMPLETED,
        stop_reason=StopReason.DONE,
        result={"energy": -1.1456},
        error=None,
        steps=42,
        shots=43008,
        metrics={"energy": [-1.01, -1.1456]},
        backend="qulacs",
        seed=1234567,
        isolation="strict",
        timing={"wall_s": 3.1, "qpu_s": 1.7},
    ),
    Step(
        number=17,
        requests=[{"program": "b4e1", "shots": 1024, "rows": 1, "values": [0.3]}],
        results=[{"counts": {"00": 510, "11": 514}, "shots_done": 1024, "duration_s": 0.04, "seed": 9, "raw": None}],
        shots=1024,
        duration_s=0.04,
    ),
    LogLine(sequence=1, at=_AT, stream="stdout", text="begins"),
    MetricPoint(sequence=1, at=_AT, name="energy", value=-1.01),
    AuditEntry(id=5, at=_AT, by="operator", subject="backend", name="qulacs", action="drained", reason="maintenance"),
]


def examples() -> dict[str, Any]:
    """An example for each schema, by the schema's name; a page holds one item."""
    found = {type(one).__name__: msgspec.to_builtins(one) for one in _ALL}
    pages = {f"Page_{name}_": {"items": [one], "next": None} for name, one in found.items()}
    return {**found, **pages, "Jobs": {"jobs": [found["Job"]]}, "Health": {"status": "ok", "reasons": []}}
