"""Whatever is killed, every accepted job comes to its right end, with one result.

The jobs are random walks whose every step depends on the results before: a step that was lost, repeated or run with
another seed shows in their value.
"""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from hybrid_runtime import LocalRuntime
from hybrid_runtime.dispatcher.journal import Stepped, read
from tests.serving import Service, running_service

QUEUED, RUNNING = 50, 4
SETTINGS = f"""
[backends.emulator]
driver = "qulacs"
jobs = {RUNNING}

[environments.default]
preload = ["numpy", "cloudpickle", "cqasm.v3x"]
"""
WALK = """
    import time
    from hybrid_runtime import Circuit, hybrid

    CIRCUIT = Circuit(
        "version 3.0\\nqubit[1] q\\nbit[1] b\\nRy({theta}) q[0]\\nb = measure q\\n", parameters=["theta"]
    )

    @hybrid
    def walk(context):
        theta = 1.0
        for step in range(context.parameters["steps"]):
            theta += context.run(CIRCUIT.bind(theta=theta)).expectation("Z") + context.rng.normal()
            context.metric("theta", theta)
            time.sleep(0.02)
        return theta
"""
# How the jobs that run at the moment of the kill, and those that are queued, are told apart.
LONG, SHORT = {"steps": 100}, {"steps": 3}
SEEDS = 5


@pytest.fixture(scope="module")
def walk(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("walk") / "walk.py"
    file.write_text(textwrap.dedent(WALK))
    return file


@pytest.fixture(scope="module")
def undisturbed(walk) -> dict[tuple[int, int], float]:
    """The value of each job, by its steps and seed, when nothing is killed."""
    found = {}
    with LocalRuntime("qulacs") as runtime:
        for parameters in (LONG, SHORT):
            for seed in range(SEEDS):
                result = runtime.run(str(walk), parameters=parameters, seed=seed, shots=100)
                found[parameters["steps"], seed] = result.raise_for_error().value
    return found


@pytest.fixture
def service(tmp_path, databases, database_kind) -> Iterator[Service]:
    with databases.empty(database_kind, tmp_path) as database, running_service(tmp_path, SETTINGS, database) as one:
        yield one


def submit_all(service: Service, walk: Path) -> dict[str, tuple[int, int]]:
    """Queue all jobs, the long ones first; what each is, by its name."""
    bundle = service.upload(walk)
    asked = [(LONG["steps"], number % SEEDS) for number in range(RUNNING)]
    asked += [(SHORT["steps"], number % SEEDS) for number in range(QUEUED)]
    requests = [
        {"backend": "emulator", "bundle": bundle, "parameters": {"steps": steps}, "seed": seed, "shots": 100}
        for steps, seed in asked
    ]
    jobs = dict(zip(service.submit_many(requests), asked, strict=True))
    for job in list(jobs)[:RUNNING]:
        service.wait(job, lambda job: job["state"] == "running" and job["steps"] >= 3)
    return jobs


def kill(service: Service, victims: list[str]) -> None:
    """Kill the processes of these modules, and the supervisor for `supervisor`, as much at once as can be."""
    processes = service.processes()
    pids = [pid for victim in victims for pid in processes.get(victim, [])]
    assert len(pids) >= len(victims) - ("supervisor" in victims)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    if "supervisor" in victims:
        service.kill()
        service.start()


def check(service: Service, jobs: dict[str, tuple[int, int]], undisturbed: dict[tuple[int, int], float]) -> None:
    """All jobs have come to the end that they would have had, each once."""
    results = {job: service.result(job) for job in jobs}
    assert {job: (result["state"], result["error"]) for job, result in results.items()} == dict.fromkeys(
        jobs, ("completed", None)
    )
    assert {job: result["result"] for job, result in results.items()} == {
        job: undisturbed[what] for job, what in jobs.items()
    }
    for job, (steps, _) in jobs.items():
        assert results[job]["steps"] == steps
        assert len(results[job]["metrics"]["theta"]) == steps
    assert ends_of(service) == dict.fromkeys(jobs, 1)


def ends_of(service: Service) -> dict[str, int]:
    """How often each job came to an end, by the audit log."""
    query = (
        "SELECT name, count(*) FROM audit WHERE subject = 'job' AND action IN ('completed', 'failed', 'cancelled') "
        "GROUP BY name"
    )
    engine = sa.create_engine(service.database)
    with closing(engine.connect()) as connection:
        found: dict[str, int] = dict(connection.execute(sa.text(query)).all())
    engine.dispose()
    return found


@pytest.mark.parametrize(
    "victims",
    [
        ["server.api"],
        ["server.manager"],
        ["server.runner"],
        ["node"],
        ["quantum.runtime"],
        ["supervisor"],
        ["server.api", "server.manager", "server.runner", "node", "quantum.runtime", "supervisor"],
    ],
    ids=lambda victims: victims[0] if len(victims) == 1 else "all",
)
def test_every_accepted_job_comes_to_its_right_end_once(service, walk, undisturbed, victims):
    jobs = submit_all(service, walk)
    kill(service, victims)
    check(service, jobs, undisturbed)


def test_a_service_that_is_stopped_goes_on_with_its_jobs_when_it_is_started_again(service, walk, undisturbed):
    jobs = submit_all(service, walk)
    assert service.stop() == 0
    service.start()
    check(service, jobs, undisturbed)


def test_a_fork_goes_on_from_steps_that_are_not_executed_again(service, walk, undisturbed):
    bundle = service.upload(walk)
    first = service.submit("emulator", bundle=bundle, parameters=SHORT, seed=1, shots=100)
    service.result(first)
    fork = service.post(f"/v1/jobs/{first}/fork", {"step": 2})["id"]
    result = service.result(fork)
    assert (result["result"], result["steps"]) == (undisturbed[SHORT["steps"], 1], SHORT["steps"])
    records = [list(read(service.data / "jobs" / job / "journal.bin")) for job in (first, fork)]
    steps = [[record for record in one if isinstance(record, Stepped)] for one in records]
    # What took the backend's time was copied with the seconds that it took; a step run anew takes others.
    durations = [[step.duration_s for step in one] for one in steps]
    assert durations[0][:2] == durations[1][:2]
    assert durations[0][2] != durations[1][2]
