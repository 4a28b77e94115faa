"""`qi-run keys`, `qi-run quantum-runtime`, and runs on backends of other hosts."""

from __future__ import annotations

import itertools
import os
import signal
import stat
from collections.abc import Iterator

import pytest

PATIENCE_S = 60.0
BELL = """
from hybrid_runtime import Circuit, hybrid

@hybrid
def bell(context):
    return context.run(Circuit("version 3.0\\nqubit[2] q\\nbit[2] b\\nH q[0]\\nCNOT q[0], q[1]\\nb = measure q")).counts
"""
SLOW = """
from hybrid_runtime import Circuit, hybrid

@hybrid
def slow(context):
    circuit = Circuit("version 3.0\\nqubit[1] q\\nbit[1] b\\nb = measure q")
    for step in range(100000):
        context.run(circuit)
        if step == 20:
            context.log("under way")
"""
_hosts = itertools.count(1)


class Served:
    """A `qi-run quantum-runtime` and its first lines."""

    def __init__(self, qi_run, *arguments: str) -> None:
        # An address of this host for this test alone, so that its port is nobody else's when it is free again.
        pid = os.getpid()
        host = f"127.{10 + (pid >> 8) % 200}.{pid % 256}.{next(_hosts) % 250 + 1}"
        bind = [] if "--bind" in arguments else ["--bind", f"tcp://{host}:0"]
        self.process = qi_run.start("quantum-runtime", *bind, *arguments)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.address = self.line.split()[-1] if self.line else ""

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


@pytest.fixture
def serve(qi_run) -> Iterator:
    """Start remote quantum runtimes; they end with the test."""
    started = []

    def start(*arguments):
        started.append(Served(qi_run, *arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end()


def test_a_run_on_a_remote_backend_gives_its_result(qi_run, serve):
    there = serve("--driver", "qulacs", "--name", "far-away")
    assert there.line.startswith("quantum runtime 'far-away' listens at tcp://127.")
    ran = qi_run("run", qi_run.file("bell.py", BELL), "--backend", there.address, "--shots", "50", "--json")
    assert ran.code == 0
    assert ran.told["backend"] == "far-away"
    assert sum(ran.told["result"].values()) == 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_quantum_runtime_ends_in_good_order_when_it_is_told_to(serve, number):
    code, _, err = serve("--driver", "null").end(number)
    assert code == 0
    assert err.splitlines()[-1].endswith(" ended")


def test_a_quantum_runtime_tells_in_its_log_who_comes_and_goes(qi_run, serve):
    there = serve("--driver", "qulacs")
    assert qi_run("run", qi_run.file("bell.py", BELL), "--backend", there.address).code == 0
    _, _, err = there.end()
    assert [line.split()[-1] for line in err.splitlines()] == ["here", "gone", "ended"]


def test_keys_are_made_once_and_let_their_client_in(qi_run, serve):
    made = qi_run("keys", "keys")
    assert made.code == 0
    secrets = [name for name in made.out.split() if name.endswith(".secret")]
    assert len(secrets) == 2
    for name in secrets:
        assert stat.S_IMODE((qi_run.folder / name).stat().st_mode) == 0o600
    again = qi_run("keys", "keys")
    assert again.code == 2
    assert "never overwritten" in again.err
    qi_run("keys", "stranger")
    (qi_run.folder / "stranger/server.public").write_text((qi_run.folder / "keys/server.public").read_text())

    there = serve("--driver", "qulacs", "--keys", "keys")
    target = qi_run.file("bell.py", BELL)
    assert qi_run("run", target, "--backend", there.address, "--keys", "keys").code == 0
    refused = qi_run("run", target, "--backend", there.address, "--keys", "stranger")
    assert refused.code == 3
    assert "does not let our key in" in refused.err


@pytest.mark.parametrize("bind", ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://192.0.2.7:5555"])
def test_a_network_is_not_served_without_keys(serve, bind):
    there = serve("--driver", "null", "--bind", bind)
    _, err = there.process.communicate(timeout=PATIENCE_S)
    assert there.process.returncode == 2
    assert "qi-run keys" in err
    assert "--insecure" in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--driver", "qulax"], "did you mean 'qulacs'"),
        (["--driver", "null", "--options", "[1]"], "JSON object"),
        (["--driver", "null", "--options", "{"], "not JSON"),
        (["--driver", "null", "--options", '{"wings": 2}'], "wings"),
        (["--driver", "null", "--bind", "127.0.0.1:5555"], "tcp://HOST:PORT"),
        (["--driver", "null", "--keys", "nowhere"], "qi-run keys"),
        (["--driver", "null", "--status", "nowhere"], "tcp://HOST:PORT"),
    ],
)
def test_a_quantum_runtime_that_cannot_be_started_says_why(serve, arguments, text):
    there = serve(*arguments)
    _, err = there.process.communicate(timeout=PATIENCE_S)
    assert (there.process.returncode, text in err) == (2, True), err
    assert "Traceback" not in err


def test_an_address_in_use_is_refused(serve):
    there = serve("--driver", "null")
    second = serve("--driver", "null", "--bind", there.address)
    _, err = second.process.communicate(timeout=PATIENCE_S)
    assert second.process.returncode == 2
    assert "choose another address" in err


# ------------------------------------------------------------------ exit codes of a run


def test_a_host_that_does_not_exist_exits_with_2(qi_run):
    ran = qi_run("run", qi_run.file("bell.py", BELL), "--backend", "tcp://no-such-host.invalid:5555")
    assert ran.code == 2
    assert "no-such-host.invalid" in ran.err


@pytest.mark.parametrize("backend", ["tcp://127.0.0.1", "tcp://127.0.0.1:x", "reqrep-text:nowhere", "qi-v3"])
def test_an_address_that_is_none_exits_with_2(qi_run, backend):
    ran = qi_run("run", qi_run.file("bell.py", BELL), "--backend", backend)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_keys_for_a_backend_that_takes_none_exit_with_2(qi_run):
    ran = qi_run("run", qi_run.file("bell.py", BELL), "--backend", "qulacs", "--keys", "keys")
    assert ran.code == 2
    assert "tcp://HOST:PORT" in ran.err


def test_a_remote_backend_that_is_not_there_exits_with_3(qi_run, serve):
    there = serve("--driver", "null")
    there.end()
    options = ["--backend", there.address, "--backend-option", "connect_s=0.3", "--json"]
    ran = qi_run("run", qi_run.file("bell.py", BELL), *options)
    assert ran.code == 3
    assert ran.told["error"]["kind"] == "BackendFailed"
    assert "nothing listens there" in ran.told["error"]["text"]


def test_a_remote_backend_that_dies_under_a_job_exits_with_3(qi_run, serve):
    there = serve("--driver", "qulacs")
    options = ["--backend", there.address, "--backend-option", "reconnect_s=0.3"]
    process = qi_run.start("run", qi_run.file("slow.py", SLOW), *options)
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    assert any("under way" in line for line in lines)
    there.end(signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3
    assert "the link to the backend was down for 0.3 s" in err


@pytest.mark.parametrize("option", ["wings=2", "connect_s=soon", "connect_s", "=3"])
def test_a_backend_option_that_cannot_be_used_exits_with_2(qi_run, option):
    ran = qi_run("run", qi_run.file("bell.py", BELL), "--backend", "tcp://127.0.0.1:9", "--backend-option", option)
    assert ran.code == 2
    assert "Traceback" not in ran.err
