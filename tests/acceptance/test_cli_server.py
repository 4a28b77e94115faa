"""`qi-run` against a real server: what a user does from another terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess

import pytest

from hybrid_runtime import AsyncClient, Circuit, Client, Limits, hybrid
from hybrid_runtime.errors import Conflict, NotFound, Unauthenticated

BELL = "version 3.0; qubit[2] q; bit[2] b; H q[0]; CNOT q[0], q[1]; b = measure q"
STEPS = f'''\
import time
from pathlib import Path

from hybrid_runtime import Circuit, hybrid

BELL = Circuit("{BELL}")


@hybrid
def steps(context):
    context.log("it begins")
    wait = Path(context.parameters.get("data", __file__))
    for number in range(context.parameters.get("steps", 3)):
        context.run(BELL)
        context.metric("energy", 1.0 / (number + 1))
        print("step", number)
        time.sleep(context.parameters.get("sleep", 0.0))
    return {{"steps": number + 1, "layers": context.parameters.get("layers")}}
'''
# Slow enough not to fill the log.
FOREVER = STEPS.replace('context.parameters.get("steps", 3)', "10**9").replace(
    'get("sleep", 0.0)', 'get("sleep", 0.01)'
)
FAILS = "from hybrid_runtime import hybrid\n\n\n@hybrid\ndef fails(context):\n    return 1 / 0\n"
JOB = re.compile(r"\d{8}-\d{6}-[0-9a-f]{12}")


@pytest.fixture
def user(service, qi_run):
    """The command of somebody whose environment says which server, and as whom."""
    qi_run.environment |= {
        "XDG_CONFIG_HOME": str(qi_run.folder / "config"),
        "QI_RUN_URL": service.url,
        "QI_RUN_TOKEN": service.token,
    }
    qi_run.file("steps.py", STEPS)
    qi_run.file("forever.py", FOREVER)
    return qi_run


@pytest.fixture
def stranger(service, qi_run):
    """The command of somebody who never logged in."""
    for name in ("QI_RUN_URL", "QI_RUN_TOKEN"):
        qi_run.environment.pop(name, None)
    qi_run.environment["XDG_CONFIG_HOME"] = str(qi_run.folder / "config")
    return qi_run


@pytest.fixture
def running(user, service):
    """A job that runs until it is stopped; it is stopped at the end."""
    job = user("upload", "forever.py").out.strip()
    service.wait(job, lambda told: told["state"] == "running" and told["steps"] > 0)
    yield job
    if service.job(job)["ended_at"] is None:
        service.post(f"/v1/jobs/{job}/cancel", {"kill": True})
    service.wait(job, lambda told: told["ended_at"] is not None)


# ------------------------------------------------------------------ logging in


def piped(qi_run, text, *arguments):
    process = qi_run.start(*arguments, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(text)
    return qi_run.end(process)


def test_a_login_is_tried_and_kept_for_its_owner_alone(stranger, service):
    ran = piped(stranger, f"{service.token}\n", "login", service.url, "--token", "-")
    kept = stranger.folder / "config" / "hybrid-runtime" / "servers.json"
    assert ran.code == 0, ran
    assert ran.out.startswith(f"logged in to {service.url} as operator")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert service.token not in ran.out + ran.err
    assert stranger("jobs").code == 0


def test_a_token_that_is_not_known_is_not_kept(stranger, service):
    ran = piped(stranger, "qir_none_none\n", "login", service.url, "--token", "-")
    assert ran.code == 2
    assert ran.err.startswith("Unauthenticated: ")
    assert not (stranger.folder / "config").exists()


def test_a_file_of_tokens_that_others_can_read_is_not_used(stranger, service):
    piped(stranger, service.token, "login", service.url, "--token", "-")
    (stranger.folder / "config" / "hybrid-runtime" / "servers.json").chmod(0o644)
    ran = stranger("jobs")
    assert ran.code == 2
    assert "chmod 600" in ran.err


def test_several_servers_are_told_apart_by_name(stranger, service):
    for name in ("one", "two"):
        piped(stranger, service.token, "login", service.url, "--token", "-", "--name", name)
    assert stranger("backends", "--server", "one", "--json").code == 0
    assert stranger("logout").out == f"logged out of {service.url}; 'one' is asked from now on\n"
    assert stranger("jobs", "--server", "two").code == 2


def test_who_never_logged_in_is_told_how_to(stranger):
    ran = stranger("jobs", "--json")
    assert ran.code == 2
    assert ran.told["error"]["kind"] == "Unauthenticated"
    assert "qi-run login URL" in ran.err


def test_a_server_that_is_not_there_is_told(user):
    user.environment["QI_RUN_URL"] = "http://127.0.0.1:9"
    ran = user("jobs")
    assert ran.code == 3
    assert "Unavailable: cannot connect to http://127.0.0.1:9" in ran.err


# ------------------------------------------------------------------ from the file to the result


def test_a_file_is_uploaded_and_its_result_printed(user):
    job = user("upload", "steps.py", "--param", "steps=5", "--name", "five").out.strip()
    assert JOB.fullmatch(job)
    ran = user("result", job, "--wait")
    assert ran.code == 0
    assert re.search(r"^state +completed$", ran.out, re.MULTILINE)
    assert re.search(r"steps +5$", ran.out, re.MULTILINE)
    listed = user("jobs", "--name", "five", "--json").told["items"]
    assert [one["id"] for one in listed] == [job]


def test_waiting_prints_what_a_local_run_prints(user):
    ran = user("upload", "steps.py", "--wait", "--json", "--seed", "7")
    assert ran.code == 0
    assert ran.told["result"] == {"steps": 3, "layers": None}
    assert (ran.told["state"], ran.told["seed"], ran.told["metrics"]["energy"][0]) == ("completed", 7, 1.0)
    assert set(ran.told) == set(user("run", "steps.py", "--json", "--quiet").told)


def test_the_exit_code_is_the_jobs(user):
    user.file("fails.py", FAILS)
    ran = user("upload", "fails.py", "--wait")
    assert ran.code == 1
    assert "ZeroDivisionError: division by zero (fails.py, line 6, in fails)" in ran.err
    assert user("result", "last").code == 1


def test_the_old_shape_of_the_command_is_understood(user):
    ran = user("upload", "steps.py", "1", "--num-shots", "77", "--wait", "--json")
    assert ran.code == 0
    assert ran.told["shots"] == 3 * 77


def test_a_circuit_is_a_job(user):
    user.file("bell.cq", BELL)
    ran = user("upload", "bell.cq", "--shots", "100", "--wait", "--json")
    assert ran.code == 0
    assert sum(ran.told["result"]["counts"].values()) == 100
    assert user("status", "last", "--json").told["kind"] == "quantum"


def test_a_job_is_exact_where_that_is_asked_for(user):
    user.file("bell.cq", BELL)
    ran = user("upload", "bell.cq", "--shots", "exact", "--wait", "--json")
    assert (ran.code, ran.told["shots"]) == (0, 0)
    assert sum(ran.told["result"]["probabilities"].values()) == pytest.approx(1.0)
    assert user("status", "last", "--json").told["shots"] is None


def test_data_and_defaults_that_a_file_declares_go_with_it(user):
    table = ["[tool.hybrid-runtime]", "include = ['data.txt']", "parameters = {layers = 4}", "limits = {steps = 2}"]
    block = "\n".join(["# /// script", *(f"# {line}" for line in table), "# ///"])
    body = STEPS.replace('context.log("it begins")', "assert Path(__file__).with_name('data.txt').read_text() == 'x'")
    user.file("data.txt", "x")
    user.file("declares.py", f"{block}\n{body}")
    ran = user("upload", "declares.py", "--wait", "--json")
    assert (ran.code, ran.told["stop_reason"], ran.told["steps"]) == (0, "steps", 2), ran


def test_what_does_not_fit_is_refused_before_anything_is_queued(user, service):
    before = user("jobs", "--json").told
    block = "# /// script\n# dependencies = ['numpy<1']\n# ///\n"
    user.file("misfit.py", f"{block}import no_such_package\n{STEPS}")
    ran = user("upload", "misfit.py")
    assert ran.code == 2
    assert "nothing was queued" in ran.err
    assert "it requires numpy<1, and the environment default has numpy" in ran.err
    assert "misfit.py:4: error: the package 'no_such_package' is not installed in the environment default" in ran.err
    assert user("jobs", "--json").told == before
    checked = user("check", "misfit.py", "--environment", "default", "--json")
    assert checked.code == 2
    assert len([one for one in checked.told["findings"] if one["severity"] == "error"]) == 2


def test_a_backend_that_does_not_exist_is_told_with_those_that_do(user):
    ran = user("upload", "steps.py", "nowhere")
    assert ran.code == 2
    assert "no backend 'nowhere'; there are: qulacs" in ran.err


# ------------------------------------------------------------------ seeing


def test_watching_shows_progress_until_the_result(user):
    job = user("upload", "steps.py", "--param", "steps=60", "--param", "sleep=0.2").out.strip()
    ran = user("watch", job)
    assert ran.code == 0
    assert "it begins\nstep 0\n" in ran.err
    assert re.search(r"running +step \d+ +[\d.]+ steps/s +\d+ shots +energy", ran.err)
    assert re.search(r"^state +completed$", ran.out, re.MULTILINE)


def test_who_leaves_a_job_does_not_stop_it(user, running, service):
    process = user.start("watch", running)
    assert process.stderr is not None
    while "step" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    ran = user.end(process)
    assert ran.code == 0
    assert f"job {running} goes on: qi-run watch {running} shows it again" in ran.err
    assert service.job(running)["state"] == "running"


def test_waiting_that_is_left_says_so_by_its_exit_code(user, service):
    process = user.start("upload", "forever.py", "--wait", "--name", "left")
    assert process.stderr is not None
    while "step" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert user.end(process).code == 4
    job = user("jobs", "--name", "left", "--json").told["items"][0]
    assert job["state"] == "running"
    assert user("cancel", job["id"]).code == 0
    assert service.result(job["id"])["stop_reason"] == "cancelled"


def test_logs_are_printed_and_followed(user):
    job = user("upload", "steps.py").out.strip()
    followed = user("logs", "-f", job)
    assert followed.out == "it begins\nstep 0\nstep 1\nstep 2\n"
    assert user("logs", job).out == followed.out
    assert [line["text"] for line in user("logs", job, "--json").told["items"]] == followed.out.splitlines()
    lines = [json.loads(line) for line in user("logs", "-f", "--json", job).out.splitlines()]
    assert {line["stream"] for line in lines} == {"log", "stdout"}


def test_a_result_can_be_kept(user):
    job = user("upload", "steps.py").out.strip()
    assert user("result", job, "--wait", "--save", "kept").code == 0
    folder = user.folder / "kept" / job
    assert sorted(path.name for path in folder.iterdir()) == ["log.txt", "metrics.csv", "result.json"]
    assert (folder / "log.txt").read_text() == "it begins\nstep 0\nstep 1\nstep 2\n"
    assert json.loads((folder / "result.json").read_text())["result"] == {"steps": 3, "layers": None}


def test_a_result_that_is_not_there_yet_is_told(user, running):
    ran = user("result", running)
    assert ran.code == 2
    assert "has no result yet: add --wait" in ran.err


def test_a_job_is_found_by_a_part_of_its_id(user, running):
    assert user("status", running[-12:-4], "--json").told["id"] == running
    assert user("status", "last", "--json").told["id"] == running
    assert user("status", "20").code == 2
    assert user("status", "nothing").code == 2


def test_status_and_backends_and_queue_and_usage_are_told(user, running):
    status = user("status", running)
    assert re.search(r"state +running", status.out)
    assert re.search(r"running +runner ", status.out)
    backends = user("backends", "--json").told["items"]
    assert [one["name"] for one in backends] == ["qulacs"]
    assert backends[0]["running"] >= 1
    assert set(user("queue", "--json").told) == {"qulacs"}
    assert "operator" in {one["user"] for one in user("usage", "--json").told["items"]}
    environments = user("environments", "--packages", "--json").told["items"]
    assert "numpy" in environments[0]["packages"]
    assert "qulacs" in user("backends", "--local").out


# ------------------------------------------------------------------ steering


def test_a_job_is_cancelled_gracefully_or_killed(user, running, service):
    second = user("upload", "forever.py").out.strip()
    assert user("cancel", second).code == 0
    assert service.result(second)["state"] == "completed"
    assert user("cancel", running, "--kill").code == 0
    assert service.result(running)["state"] == "cancelled"
    assert user("result", running).code == 4
    assert user("cancel", second).code == 2


def test_a_job_is_paused_and_goes_on(user, running, service):
    assert user("pause", running).code == 0
    paused = service.wait(running, lambda told: told["state"] == "paused")
    assert "somebody to resume it" in user("status", running).out
    assert user("resume", running).code == 0
    service.wait(running, lambda told: told["steps"] > paused["steps"])


def test_a_job_is_forked_after_a_step(user, service):
    job = user("upload", "steps.py", "-p", "steps=6", "-p", "layers=1").out.strip()
    service.result(job)
    forked = user("fork", f"{job}@4", "--param", "layers=2", "--name", "other")
    assert forked.code == 0
    told = service.result(forked.out.strip())
    assert told["result"] == {"steps": 6, "layers": 2}
    assert service.job(forked.out.strip())["forked_from"] == job
    assert user("fork", job).code == 2
    assert user("fork", f"{job}@99").code == 2


# ------------------------------------------------------------------ operating


def test_a_user_is_made_and_sees_only_their_own(user, service, running):
    made = user("user", "add", "ada-of-the-cli")
    assert made.code == 0
    user.environment["QI_RUN_TOKEN"] = made.out.strip()
    assert user("jobs", "--json").told["items"] == []
    assert user("status", running).code == 2
    assert user("user", "list").err.startswith("Forbidden: ")
    assert user("backend", "drain", "qulacs").code == 2
    token = user("token", "create", "--label", "ci", "--expires", "1h", "--json").told
    assert user("token", "revoke", token["token"]["id"]).code == 0
    user.environment["QI_RUN_TOKEN"] = token["secret"]
    assert user("jobs").err.startswith("Unauthenticated: ")


def test_a_drained_backend_says_so_and_keeps_its_queue(user, service):
    assert "drained" in user("backend", "drain", "qulacs", "--reason", "maintenance").out
    try:
        queued = user("upload", "steps.py")
        assert "drained" in queued.err
        assert queued.out.strip() in user("queue", "qulacs").out
    finally:
        assert user("backend", "undrain", "qulacs").code == 0
    assert service.result(queued.out.strip())["state"] == "completed"


def test_projects_have_members(user):
    user("user", "add", "grace-of-the-cli")
    assert user("project", "add", "lab").code == 0
    assert (
        user("project", "member", "lab", "grace-of-the-cli", "--owner").out == "grace-of-the-cli is an owner of lab\n"
    )
    assert "grace-of-the-cli (owner)" in user("project", "list").out
    assert user("project", "member", "lab", "grace-of-the-cli", "--remove").code == 0


# ------------------------------------------------------------------ from Python


@hybrid
def bell(context):
    return context.run(Circuit(BELL)).counts


def test_the_client_runs_an_object_of_this_process(service):
    with Client(service.url, service.token) as client:
        job = client.submit(bell, shots=100, limits=Limits(steps=5), name="bell")
        assert job.wait(60).state == "completed"
        assert sum(job.result().value.values()) == 100
        assert [change.state.value for change in job.history()][-1] == "completed"
        assert [event.type for event in job.events()][-1] == "ended"


def test_the_client_submits_a_sweep_and_a_named_algorithm(service, tmp_path):
    path = tmp_path / "steps.py"
    path.write_text(STEPS)
    with Client(service.url, service.token) as client:
        jobs = client.submit_many(str(path), "qulacs", parameters=[{"steps": 1}, {"steps": 2}])
        assert [job.result().steps for job in jobs] == [1, 2]
        assert client.add_algorithm("named", str(path)).versions[0].version == 1
        assert client.run("named@1", parameters={"steps": 1}).value["steps"] == 1
        assert [len(jobs[1].steps()), len(jobs[1].metrics("energy")), len(jobs[1].logs())] == [2, 2, 3]
        assert len(jobs[1].raw(1)) > 0


def test_the_client_raises_typed_errors(service):
    with Client(service.url, service.token) as client:
        with pytest.raises(NotFound):
            client.job("20200101-000000-000000000000")
        job = client.submit(bell)
        job.wait(60)
        with pytest.raises(Conflict):
            job.cancel()
    with Client(service.url, "qir_none_none") as client, pytest.raises(Unauthenticated):
        client.whoami()


async def _async_session(url, token):
    async with AsyncClient(url, token) as client:
        job = await client.submit(bell, shots=10)
        types = [event.type async for event in job.events()]
        return types, await job.result(), await client.backends()


def test_the_asynchronous_client_does_the_same(service):
    import asyncio

    types, result, backends = asyncio.run(_async_session(service.url, service.token))
    assert types[-1] == "ended"
    assert sum(result.value.values()) == 10
    assert backends[0].name == "qulacs"


def test_following_goes_on_when_the_api_is_killed(service, user, running):
    process = user.start("logs", "-f", running)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline()
    for pid in service.processes()["server.api"]:
        os.kill(pid, signal.SIGKILL)
    # More than were under way when it died: at a hundred a second, they span its being started again.
    seen = [process.stdout.readline() for _ in range(500)]
    process.send_signal(signal.SIGINT)
    user.end(process)
    numbers = [int(line.split()[1]) for line in seen if line.startswith("step ")]
    assert numbers == sorted(set(numbers))
