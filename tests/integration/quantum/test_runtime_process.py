from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from math import sqrt
from pathlib import Path

import pytest

from hybrid_runtime.errors import ChannelClosed
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.messages import (
    CircuitCall,
    Define,
    Execute,
    Executed,
    Failure,
    FromQuantum,
    Serving,
    decode,
    decoder,
    encode,
)
from hybrid_runtime.protocol.results import decode_results
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

PATIENCE_S = 60.0
MODULE = "hybrid_runtime.quantum.runtime"

BELL = Program(
    2,
    2,
    0,
    (
        Operation("H", (0,)),
        Operation("CNOT", (0, 1)),
        Operation("measure", (0,), (), 0),
        Operation("measure", (1,), (), 1),
    ),
)


class Runtime:
    """A quantum runtime process and our end of its channel."""

    def __init__(self, driver, options, *more):
        self.channel, theirs = SeqPacketChannel.pair()
        text = options if isinstance(options, str) else json.dumps(options)
        command = [sys.executable, "-m", MODULE, "--fd", str(theirs.fileno()), "--driver", driver, "--options", text]
        self.process = subprocess.Popen([*command, *more], pass_fds=[theirs.fileno()])
        theirs.close()

    def next(self):
        return decode(decoder(FromQuantum), self.channel.receive(PATIENCE_S))

    def next_within(self, seconds):
        try:
            return decode(decoder(FromQuantum), self.channel.receive(seconds))
        except TimeoutError:
            return None

    def send(self, message):
        self.channel.send(encode(message))

    def ask(self, request=1, *, shots=1024, rows=1, timeout_s=60.0):
        self.send(Execute(request, [CircuitCall(1, shots, rows)], 7, timeout_s))

    def ended(self):
        return self.process.wait(PATIENCE_S)

    def close(self):
        self.channel.close()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def start():
    """Start quantum runtimes with the bell pair defined as program 1; end them after the test."""
    started = []

    def make(driver="null", options=None, *more):
        runtime = Runtime(driver, options or {}, *more)
        started.append(runtime)
        assert isinstance(runtime.next(), Serving)
        runtime.send(Define(1, BELL))
        return runtime

    yield make
    for runtime in started:
        runtime.close()


def test_it_runs_circuits_on_the_emulator(start):
    runtime = start("qulacs", {"max_qubits": 10})
    runtime.ask(5, shots=100_000)
    answer = runtime.next()
    assert isinstance(answer, Executed)
    assert (answer.request, answer.shots) == (5, 100_000)
    (result,) = decode_results(answer.items)
    assert result.counts.keys() == {"00", "11"}
    assert abs(result.counts["11"] - 50_000) <= 5 * sqrt(100_000 / 4)


def test_two_processes_give_the_same_counts_for_the_same_seed(start):
    answers = []
    for _ in range(2):
        runtime = start("qulacs")
        runtime.ask(rows=3)
        answers.append([item.counts for item in decode_results(runtime.next().items)])
    assert answers[0] == answers[1]


def test_it_ends_by_itself_when_its_channel_closes(start):
    runtime = start()
    runtime.channel.close()
    assert runtime.ended() == 0


def test_a_malformed_message_does_not_end_it(start):
    runtime = start()
    runtime.channel.send(b"\x00 not a message")
    assert runtime.next().error.kind == "ProtocolError"
    runtime.ask()
    assert isinstance(runtime.next(), Executed)


def test_a_large_answer_arrives_whole(start):
    runtime = start()
    runtime.ask(rows=90_000)
    assert len(decode_results(runtime.next().items)) == 90_000


def test_broken_framing_ends_it(start):
    runtime = start()
    runtime.channel.send(b"\xc1\xff\xff\xff\xff of a message that is too large")
    assert runtime.ended() == 1


@pytest.mark.parametrize(
    ("driver", "options", "kind"),
    [
        ("qulax", {}, "BackendUnknown"),
        ("qulacs", {"max_qubits": 99}, "InvalidInput"),
        ("qulacs", {"wings": 2}, "InvalidInput"),
        ("qulacs", "[]", "InvalidInput"),
    ],
)
def test_a_driver_that_cannot_be_opened_is_told_instead_of_serving(driver, options, kind):
    runtime = Runtime(driver, options)
    try:
        answer = runtime.next()
        assert isinstance(answer, Failure)
        assert (answer.request, answer.error.kind) == (0, kind)
        assert runtime.ended() == 3
    finally:
        runtime.close()


def test_a_descriptor_that_is_no_socket_is_a_usage_error():
    command = [sys.executable, "-m", MODULE, "--fd", "987", "--driver", "null"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2
    assert "--fd 987" in done.stderr


def test_failures_of_the_driver_are_answered_and_it_stays_up(start):
    answers = [{"error": "BackendFailed", "text": "warm"}, {"error": "Boom", "text": "bug"}, {"00": 5}]
    runtime = start("scripted", {"answers": answers})
    for text, transient in (("warm", True), ("the driver raised RuntimeError: bug", False)):
        runtime.ask()
        failure = runtime.next()
        assert (failure.error.text, failure.transient) == (text, transient)
    runtime.ask()
    assert isinstance(runtime.next(), Executed)


def test_the_peer_sees_its_death(start):
    runtime = start("scripted", {"answers": [{"crash": True}]})
    runtime.ask()
    with pytest.raises(ChannelClosed):
        runtime.next()
    assert runtime.ended() == -signal.SIGKILL


def test_it_can_be_killed_while_the_driver_hangs(start):
    runtime = start("scripted", {"answers": [{"hang": True}]})
    runtime.ask()
    runtime.process.kill()
    with pytest.raises(ChannelClosed):
        runtime.next()


def test_a_signal_interrupts_what_is_running(start):
    runtime = start("scripted", {"answers": [{"hang": True}, {"00": 5}]})
    runtime.ask(1)
    # Whether the driver hangs already cannot be seen from here, so the signal is repeated.
    answer = None
    while answer is None:
        runtime.process.send_signal(signal.SIGUSR1)
        answer = runtime.next_within(0.05)
    assert "interrupted" in answer.error.text
    runtime.ask(2)
    assert isinstance(runtime.next(), Executed)


def test_the_terminals_interrupt_does_not_end_it(start):
    runtime = start()
    runtime.process.send_signal(signal.SIGINT)
    runtime.ask()
    assert isinstance(runtime.next(), Executed)


def test_a_request_to_terminate_ends_it_in_good_order(start):
    runtime = start("scripted", {"answers": [{"hang": True}]})
    runtime.ask()
    runtime.process.terminate()
    assert runtime.ended() == 0


def test_it_says_what_it_is(start):
    runtime = start("null", {}, "--name", "my-backend")
    assert Path(f"/proc/{runtime.process.pid}/comm").read_text() == "quantum-null\n"


def test_the_name_of_the_backend_may_be_chosen():
    runtime = Runtime("null", {}, "--name", "my-backend")
    try:
        assert runtime.next().capabilities.name == "my-backend"
    finally:
        runtime.close()


def test_it_does_not_outlive_its_parent():
    program = (
        "import subprocess, sys\n"
        "from hybrid_runtime.protocol.seqpacket import SeqPacketChannel\n"
        "ours, theirs = SeqPacketChannel.pair()\n"
        f"command = [sys.executable, '-m', {MODULE!r}, '--fd', str(theirs.fileno()), '--driver', 'null']\n"
        "child = subprocess.Popen(command, pass_fds=[ours.fileno(), theirs.fileno()])\n"
        "ours.receive(60.0)\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        # The grandchild inherited our end too, so the channel stays open: only its parent's death can end it.
        assert parent.stdout is not None
        pidfd = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.kill()
            ended, _, _ = select.select([pidfd], [], [], PATIENCE_S)
        finally:
            os.close(pidfd)
    assert ended
