"""Processes that die under a job: the job is told, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from hybrid_runtime import Circuit, HybridAlgorithm, LocalRuntime, hybrid
from hybrid_runtime.dispatcher.recovery import MOST_ATTEMPTS
from hybrid_runtime.errors import BackendUnknown, InternalError, InvalidInput, exit_code
from hybrid_runtime.local import MOST_RESTARTS, Job
from hybrid_runtime.process import interpreter
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

from .conftest import QUICK, descendants, find

ONE = Circuit("version 3.0\nqubit q\nbit b\nb = measure q")


class Endless(HybridAlgorithm):
    """Tells of every step, and saves how many there were."""

    def initialize(self, context):
        self.context = context
        return ONE

    def execute(self, result):
        self.context.metric("steps", len(self.context.history.results))
        return ONE

    def finalize(self, history):
        return {"saved": history.steps, "why": history.stop_reason.value}


def until_it_runs(job: Job) -> None:
    """Wait for the job's first metric."""
    for _ in job.events():
        if job.metrics:
            return


def until_it_runs_again(job: Job) -> None:
    """Wait until the job, which was told of before, has begun anew and has got further than it was."""
    steps = job.steps
    for _ in job.events():
        if job.steps > steps and any("goes on from its journal" in line for line in job.logs):
            return


def everything_of(client: LocalRuntime) -> list[int]:
    """All processes of this runtime."""
    return [client._node.pid, *descendants(client._node.pid)]


# ------------------------------------------------------------------ the backend


def test_a_quantum_runtime_that_is_killed_is_started_again_and_its_jobs_go_on(scripted):
    client = scripted({"0": 10})
    job = client.submit(Endless)
    until_it_runs(job)
    lost = find(client._node.pid, "hybrid_runtime.quantum.runtime")
    os.kill(lost, signal.SIGKILL)
    steps = job.steps
    for _ in job.events():
        if job.steps > steps + 1 and find(client._node.pid, "hybrid_runtime.quantum.runtime") != lost:
            break
    job.cancel()
    result = job.result()
    assert (result.state, result.error, result.backends) == ("completed", None, ["scripted"])


def test_a_step_that_ends_its_quantum_runtime_twice_ends_its_job_with_what_it_has(scripted):
    # Each process plays the script from its start.
    result = scripted({"crash": True}).run(Endless)
    assert (result.state, exit_code(result.error)) == ("failed", 3)
    assert "the quantum runtime is gone" in result.error.text


def test_a_job_goes_on_at_another_backend_when_its_own_fails(scripted):
    client = scripted({"0": 10}, {"0": 10}, {"error": "RuntimeError", "text": "the fridge is warm"}, failover=("null",))

    @hybrid
    def five(context):
        names = [context.run(ONE).backend for _ in range(5)]
        return [*names, context.backend.name]

    for _ in range(2):  # the second has a journal whose past is replayed by nobody, and a backend that works again
        result = client.run(five)
        assert result.raise_for_error().value[-2:] == ["null", "null"]
        assert (result.backend, result.backends) == ("null", ["scripted", "null"])
        assert any("the fridge is warm" in line for line in result.logs)


def test_a_backend_that_cannot_be_had_is_told_also_where_there_is_another():
    with LocalRuntime("qulax", failover=("null",)) as client, pytest.raises(BackendUnknown, match="did you mean"):
        client.run(Endless)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ({"error": "BackendFailed", "text": "the fridge is warm"}, "BackendFailed", 3),
        ({"error": "BackendTimeout", "text": "the fridge is warm"}, "BackendTimeout", 3),
        ({"error": "RuntimeError", "text": "the fridge is warm"}, "BackendFailed", 3),
        ({"error": "CircuitRejected", "text": "the fridge is warm"}, "CircuitRejected", 1),
    ],
)
def test_a_step_that_fails_on_the_backend_ends_the_job_with_what_it_has(scripted, answer, kind, code):
    client = scripted({"0": 10}, *[answer] * MOST_ATTEMPTS)
    result = client.run(Endless)
    assert (result.state, result.error.kind, exit_code(result.error)) == ("failed", kind, code)
    assert "the fridge is warm" in result.error.text
    assert (result.steps, result.value["saved"]) == (1, 1)


def test_a_step_that_fails_for_a_moment_is_tried_again(scripted):
    client = scripted({"error": "BackendFailed", "text": "for a moment"}, {"0": 7})

    @hybrid
    def once(context):
        return context.run(ONE).counts

    assert client.run(once).value == {"0": 7}


def test_the_next_job_is_run_after_a_step_that_failed(scripted):
    client = scripted({"error": "RuntimeError", "text": "for good"}, {"0": 7})
    assert client.run(Endless).state == "failed"

    @hybrid
    def once(context):
        return context.run(ONE).counts

    assert client.run(once).value == {"0": 7}


@pytest.mark.parametrize(
    ("backend", "options", "error", "why"),
    [
        ("qulax", None, BackendUnknown, "did you mean 'qulacs'"),
        ("scripted", {"answers": [{"2": 3}]}, InvalidInput, "a script's answer is"),
        ("null", {"colour": "red"}, InvalidInput, "colour"),
    ],
)
def test_a_backend_that_cannot_be_had_is_told_by_the_first_job(backend, options, error, why):
    with LocalRuntime(backend, options=options) as client, pytest.raises(error, match=why):
        client.run(Endless)


def test_an_isolation_level_that_does_not_exist_is_told_by_the_first_job():
    with (
        LocalRuntime("null", isolation="perfect") as client,
        pytest.raises(InvalidInput, match="'perfect' is not known"),
    ):
        client.run(Endless)


# ------------------------------------------------------------------ the classical runtime


def test_jobs_whose_fork_server_is_killed_go_on_in_new_workers(watch):
    @hybrid
    def counting(context):
        for _ in range(300):
            context.run(ONE)
            context.metric("steps", context.history.steps)
        return context.history.steps

    with LocalRuntime("paced", options={"overhead_s": 0.003, "shot_s": 0.0}, preload=QUICK) as client:
        job = client.submit(counting)
        until_it_runs(job)
        server = find(client._node.pid, "hybrid_runtime.classical.forkserver")
        workers = watch(descendants(server))
        os.kill(server, signal.SIGKILL)
        result = job.result().raise_for_error()
        assert (result.value, result.steps) == (300, 300)
        assert any("goes on from its journal" in line for line in result.logs)
        workers.wait_all_ended()
        # Nothing is lost where no job is under way, either.
        os.kill(find(client._node.pid, "hybrid_runtime.classical.forkserver"), signal.SIGKILL)
        assert client.run(counting).value == 300


def test_a_worker_that_is_killed_from_outside_is_replaced_and_disturbs_no_other_job():
    @hybrid
    def telling(context):
        context.run(ONE)
        context.metric("pid", os.getpid())
        while True:
            context.run(ONE)

    # At this level workers know their processes by the numbers that the host knows.
    with LocalRuntime("null", preload=QUICK, isolation="process") as client:
        other = client.submit(Endless)
        until_it_runs(other)
        job = client.submit(telling)
        until_it_runs(job)
        os.kill(int(job.metrics["pid"][0]), signal.SIGKILL)
        until_it_runs_again(job)
        assert "died by SIGKILL: it was killed" in " ".join(job.logs)
        for one in (job, other):
            one.cancel()
            assert one.result().state == "completed"


def test_a_worker_that_is_lost_again_and_again_fails_its_job():
    @hybrid
    def dying(context):
        import ctypes

        context.run(ONE)
        ctypes.string_at(0)

    with LocalRuntime("null", preload=QUICK) as client:
        result = client.run(dying)
    assert result.error is not None
    assert (result.state, result.error.kind, exit_code(result.error)) == ("failed", "WorkerLost", 1)
    assert "died by SIGSEGV" in result.error.text


# ------------------------------------------------------------------ the dispatcher, the client


def test_a_dispatcher_that_is_killed_is_started_again_with_its_jobs_and_leaves_nothing(watch):
    client = LocalRuntime("null", preload=QUICK)
    job, other = client.submit(Endless), client.submit(Endless)
    for one in (job, other):
        until_it_runs(one)
    steps = job.steps
    processes = watch(everything_of(client))
    os.kill(client._node.pid, signal.SIGKILL)
    for _ in job.events():
        if job.steps > steps:
            break
    assert any("dispatcher died by SIGKILL" in line for line in job.logs)
    for one in (job, other):
        one.cancel()
        result = one.result()
        # It has its past, however early it was stopped.
        assert (result.state, result.value["saved"]) == ("completed", result.steps)
        assert result.steps >= 1
    processes.wait_all_ended()
    client.close()
    assert not client._node.root.exists()


def test_a_dispatcher_that_is_lost_time_and_again_is_given_up():
    with LocalRuntime("null", preload=QUICK) as client:
        job = client.submit(Endless)
        for _ in range(MOST_RESTARTS):
            lost = client._node.pid
            os.kill(lost, signal.SIGKILL)
            while client._node.pid == lost:
                with suppress(TimeoutError):
                    next(job.events(0.1))
        os.kill(client._node.pid, signal.SIGKILL)
        with pytest.raises(InternalError, match=r"dispatcher died by SIGKILL.* for the 4th time"):
            job.result()


def test_closing_a_client_ends_its_jobs_and_leaves_nothing(watch):
    client = LocalRuntime("null", preload=QUICK, warm=3)
    job = client.submit(Endless)
    until_it_runs(job)
    processes = watch(everything_of(client))
    client.close()
    processes.wait_all_ended()
    assert not client._node.root.exists()
    for use in (job.result, lambda: client.run(Endless), job.cancel):
        with pytest.raises(InvalidInput, match="this LocalRuntime has been closed"):
            use()
    client.close()


def test_a_client_that_is_killed_leaves_nothing(run_script, watch):
    script = run_script(
        """
        import sys
        from hybrid_runtime import Circuit, LocalRuntime, hybrid

        ONE = Circuit("version 3.0\\nqubit q\\nbit b\\nb = measure q")

        @hybrid
        def endless(context):
            while True:
                context.metric("shots", context.run(ONE).shots_done)

        client = LocalRuntime("null", preload=["cloudpickle"])
        job = client.submit(endless)
        for _ in job.events():
            if job.metrics:
                print(client._node.pid, client._node.root, flush=True)
                break
        sys.stdin.read()
        """
    )
    pid, scratch = script.stdout.readline().split()
    assert Path(scratch).is_dir()
    processes = watch([int(pid), *descendants(int(pid))])
    script.kill()
    processes.wait_all_ended()
    assert not Path(scratch).exists()


def test_what_an_algorithm_starts_ends_with_it(watch):
    @hybrid
    def starting(context):
        import subprocess

        return subprocess.Popen(["/bin/sleep", "1000"]).pid

    # The other levels let it start nothing.
    with LocalRuntime("null", preload=QUICK, isolation="process") as client:
        watch([client.run(starting).value]).wait_all_ended()


# ------------------------------------------------------------------ Ctrl-C

ENDLESS_SCRIPT = """
    from hybrid_runtime import Circuit, LocalRuntime, HybridAlgorithm
    from hybrid_runtime.local import wait

    ONE = Circuit("version 3.0\\nqubit q\\nbit b\\nb = measure q")

    class Endless(HybridAlgorithm):
        def initialize(self, context):
            self.context = context
            return ONE

        def execute(self, result):
            self.context.metric("steps", 1)
            if len(self.context.history.metrics["steps"]) == 1:
                print("running")
            return ONE

        def finalize(self, history):
            print("finalizing")
            while self.context.parameters["deaf"]:
                pass
            return "finalized"

    def on_event(event):
        for line in getattr(event, "lines", []):
            print(line, flush=True)

    with LocalRuntime("null", preload=["cloudpickle"]) as client:
        result = wait(client.submit(Endless, parameters={"deaf": DEAF}), on_event)
    print(result.state.value, result.stop_reason.value, result.value, flush=True)
"""


def test_an_interrupt_stops_the_job_gracefully(run_script):
    script = run_script(ENDLESS_SCRIPT.replace("DEAF", "False"))
    assert script.stdout.readline() == "running\n"
    script.send_signal(signal.SIGINT)
    assert script.stdout.read() == "finalizing\ncompleted cancelled finalized\n"
    assert script.wait() == 0


def test_a_second_interrupt_kills_the_job(run_script):
    script = run_script(ENDLESS_SCRIPT.replace("DEAF", "True"))
    assert script.stdout.readline() == "running\n"
    script.send_signal(signal.SIGINT)
    assert script.stdout.readline() == "finalizing\n"
    script.send_signal(signal.SIGINT)
    assert script.stdout.read() == "cancelled cancelled {'steps': 1.0}\n"
    assert script.wait() == 0


def test_a_dispatcher_whose_client_was_interrupted_and_left_ends_without_a_word(tmp_path):
    ours, theirs = SeqPacketChannel.pair()
    place = ["--fd", str(theirs.fileno()), "--root", str(tmp_path / "gone"), "--driver", "null"]
    command = interpreter("hybrid_runtime.node", *place)
    node = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
    theirs.close()
    ours.close()
    _, said = node.communicate(timeout=30)
    assert (node.returncode, said) == (0, b"")
