"""The service as its operator meets it: started, reloaded, stopped, and refused."""

from __future__ import annotations

import os
import select
import signal
import sys
import textwrap
import venv
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

import hybrid_runtime
from hybrid_runtime.dispatcher.journal import Stepped, read
from tests.serving import Service, descendants, running_service

ONE = """
[backends.emulator]
driver = "qulacs"

[environments.default]
preload = ["numpy", "cloudpickle", "cqasm.v3x"]
"""
TWO = ONE + '\n[backends.other]\ndriver = "qulacs"\n'
BELL_STATE = "version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\nCNOT q[0], q[1]\nb = measure q\n"
WAITING = """
    import time
    from hybrid_runtime import Circuit, HybridAlgorithm

    class Waiting(HybridAlgorithm):
        def initialize(self, context):
            self.context, self.seen = context, 0
            return Circuit("version 3.0\\nqubit[1] q\\nbit[1] b\\nb = measure q\\n")

        def execute(self, results):
            self.seen += 1
            self.context.metric("seen", self.seen)
            time.sleep(0.02)
            return Circuit("version 3.0\\nqubit[1] q\\nbit[1] b\\nb = measure q\\n")

        def finalize(self, history):
            return self.seen
"""
WHERE = """
    import sys
    from hybrid_runtime import hybrid

    @hybrid
    def where(context):
        return sys.prefix
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory, databases, database_kind) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with databases.empty(database_kind, folder) as database, running_service(folder, ONE, database) as one:
        yield one


@pytest.fixture(scope="module")
def waiting(tmp_path_factory) -> Path:
    """An algorithm that goes on until it is told to stop."""
    file = tmp_path_factory.mktemp("algorithm") / "waiting.py"
    file.write_text(textwrap.dedent(WAITING))
    return file


def wait_ended(pids: list[int]) -> None:
    """Wait until none of these processes is there."""
    with ExitStack() as held:
        for pid in pids:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            held.callback(os.close, fd)
            assert select.select([fd], [], [], 30.0)[0], f"process {pid} lives on"


@contextmanager
def locked(database: str) -> Iterator[None]:
    """Hold the lock that whoever writes takes."""
    engine = sa.create_engine(database, isolation_level="AUTOCOMMIT")
    lock, unlock = (
        ("BEGIN IMMEDIATE", "ROLLBACK")
        if engine.dialect.name == "sqlite"
        else ("SELECT pg_advisory_lock(7210651)", "SELECT pg_advisory_unlock(7210651)")
    )
    with closing(engine.connect()) as connection:
        connection.exec_driver_sql(lock)
        yield
        connection.exec_driver_sql(unlock)
    engine.dispose()


# ------------------------------------------------------------------ starting and stopping


def test_the_first_start_tells_a_token_and_later_ones_do_not(tmp_path):
    with running_service(tmp_path, ONE) as one:
        token = one.token
        assert token.startswith("qir_")
        assert one.stop() == 0
        one.token = ""
        one.start()
        assert one.token == ""
        answer = one.http.get("/v1/whoami", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["user"]["name"] == "operator"


def test_the_token_is_nowhere_on_the_disk(service):
    random_part = service.token.rpartition("_")[2].encode()
    files = [path for path in service.data.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if random_part in path.read_bytes()] == []


def test_nobody_else_can_read_the_data(service):
    assert service.data.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_stopped_leaves_no_process_and_no_socket(tmp_path, number):
    with running_service(tmp_path, ONE) as one:
        below = descendants(one.pid)
        os.kill(one.pid, number)
        assert one.ended() == 0
        wait_ended(below)
        assert list((one.data / "run").glob("*.bell")) == []


def test_a_service_whose_supervisor_is_killed_ends_with_it(tmp_path):
    with running_service(tmp_path, ONE) as one:
        below = descendants(one.pid)
        one.kill()
        wait_ended(below)


# ------------------------------------------------------------------ other settings


def test_a_reload_adds_and_removes_backends_and_touches_no_other(tmp_path):
    def backends() -> set[str]:
        return {backend["name"] for backend in one.get("/v1/backends")["items"] if backend["status"] != "offline"}

    with running_service(tmp_path, ONE) as one:
        (before,) = one.processes()["server.runner"]
        one.reload(TWO)
        one.until(lambda: backends() == {"emulator", "other"})
        assert before in one.processes()["server.runner"]
        one.reload(ONE)
        one.until(lambda: backends() == {"emulator"})
        assert one.processes()["server.runner"] == [before]


def test_a_reload_of_a_wrong_file_changes_nothing(tmp_path):
    with running_service(tmp_path, ONE) as one:
        before = one.processes()
        one.reload("nonsense = 1")
        one.until(lambda: "the settings are left as they were" in one.log.read_text())
        assert one.processes() == before


def test_a_backend_that_cannot_start_is_offline_with_the_reason(tmp_path):
    settings = ONE + '\n[backends.broken]\ndriver = "no-such-driver"\n'
    with running_service(tmp_path, settings) as one:
        one.until(lambda: "no-such-driver" in one.get("/v1/backends/broken")["reason"])
        assert one.get("/v1/backends/broken")["status"] == "offline"
        assert one.result(one.submit("emulator", circuit=BELL_STATE))["state"] == "completed"


# ------------------------------------------------------------------ jobs


def test_a_single_circuit_gives_its_counts(service):
    result = service.result(service.submit("emulator", circuit=BELL_STATE, shots=200, seed=1))
    assert (result["state"], result["steps"], result["shots"]) == ("completed", 1, 200)
    assert set(result["result"]["counts"]) == {"00", "11"}
    assert sum(result["result"]["counts"].values()) == 200


def test_a_job_without_shots_gives_exact_probabilities(service):
    job_id = service.submit("emulator", circuit=BELL_STATE, shots=None)
    result = service.result(job_id)
    assert (result["state"], result["steps"], result["shots"]) == ("completed", 1, 0)
    assert result["result"]["probabilities"] == pytest.approx({"00": 0.5, "11": 0.5})
    assert result["result"]["counts"] == {}
    assert service.get(f"/v1/jobs/{job_id}")["shots"] is None


@pytest.mark.parametrize(
    "circuit",
    ["version 3.0\nqubit[1] q\nRx(1/0) q[0]\n", "version 3.0\nnonsense", "version 3.0\nqubit[90] q\n"],
)
def test_a_circuit_that_is_none_fails_and_harms_nobody(service, circuit):
    result = service.result(service.submit("emulator", circuit=circuit, language="cqasm3"))
    assert result["state"] == "failed"
    assert result["error"]["text"]
    assert service.result(service.submit("emulator", circuit=BELL_STATE))["state"] == "completed"


def test_a_running_job_is_cancelled_and_finalizes(service, waiting):
    job = service.submit("emulator", bundle=service.upload(waiting))
    service.wait(job, lambda job: job["steps"] >= 3)
    service.post(f"/v1/jobs/{job}/cancel", {"kill": False})
    result = service.result(job)
    assert (result["state"], result["stop_reason"]) == ("completed", "cancelled")
    assert result["result"] >= 3


def test_a_running_job_is_killed(service, waiting):
    job = service.submit("emulator", bundle=service.upload(waiting))
    service.wait(job, lambda job: job["steps"] >= 3)
    service.post(f"/v1/jobs/{job}/cancel", {"kill": True})
    result = service.result(job)
    assert (result["state"], result["error"]["kind"]) == ("cancelled", "JobCancelled")


def test_a_job_that_was_paused_goes_on_where_it_was(service, waiting):
    job = service.submit("emulator", bundle=service.upload(waiting), limits={"steps": 40})
    service.wait(job, lambda job: job["steps"] >= 3)
    service.post(f"/v1/jobs/{job}/pause", {})
    paused = service.wait(job, lambda job: job["state"] == "paused")
    assert 3 <= paused["steps"] < 40
    service.post(f"/v1/jobs/{job}/resume", {})
    result = service.result(job)
    assert (result["state"], result["stop_reason"], result["steps"]) == ("completed", "steps", 40)
    assert result["metrics"]["seen"] == [float(number) for number in range(1, 41)]


def test_a_job_is_cancelled_though_everything_is_killed_right_after_it_was_asked_for(tmp_path, waiting):
    with running_service(tmp_path, ONE) as one:
        job = one.submit("emulator", bundle=one.upload(waiting))
        one.wait(job, lambda job: job["steps"] >= 3)
        one.post(f"/v1/jobs/{job}/cancel", {"kill": False})
        one.kill()
        one.start()
        assert one.result(job)["stop_reason"] == "cancelled"


def test_jobs_go_on_while_the_database_is_locked(service, waiting):
    job = service.submit("emulator", bundle=service.upload(waiting), limits={"steps": 100})
    service.wait(job, lambda job: job["steps"] >= 3)
    with locked(service.database):
        journal = service.data / "jobs" / job / "journal.bin"
        service.until(lambda: sum(isinstance(record, Stepped) for record in read(journal)) >= 90)
    result = service.result(job)
    assert (result["steps"], len(result["metrics"]["seen"])) == (100, 100)


# ------------------------------------------------------------------ environments


def test_algorithms_run_in_the_interpreter_of_their_environment(tmp_path):
    other = tmp_path / "other"
    venv.create(other, with_pip=False, symlinks=True)
    (packages,) = other.glob("lib/python*/site-packages")
    # It finds there what the tests' own interpreter has.
    own = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "shared.pth").write_text("\n".join([*own, str(Path(hybrid_runtime.__file__).parent.parent)]))
    (packages / "of_this_environment-4.5.dist-info").mkdir()
    (packages / "of_this_environment-4.5.dist-info" / "METADATA").write_text(
        "Name: of-this-environment\nVersion: 4.5\n"
    )
    file = tmp_path / "where.py"
    file.write_text(
        "import sys\nfrom hybrid_runtime import hybrid\n\n@hybrid\ndef where(context):\n    return sys.prefix\n"
    )
    with running_service(tmp_path, ONE + f'python = "{other}/bin/python"\n') as one:
        result = one.result(one.submit("emulator", bundle=one.upload(file)))
        assert (result["error"], result["result"]) == (None, str(other))
        (environment,) = one.get("/v1/environments")["items"]
        assert environment["packages"]["of-this-environment"] == "4.5"
