"""A remote quantum runtime, asked message by message."""

from __future__ import annotations

import os
import select
import signal
import struct
from math import cos, sin
from pathlib import Path

import msgspec
import pytest

from hybrid_runtime.errors import BackendTimeout, ChannelClosed
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.address import parse_address
from hybrid_runtime.protocol.curve import load_client_keys, make_keys
from hybrid_runtime.protocol.messages import (
    PROTOCOL_VERSION,
    CircuitCall,
    Define,
    Execute,
    Executed,
    Failure,
    Forget,
    Withdraw,
    encode,
)
from hybrid_runtime.protocol.remote import RemoteChannel
from hybrid_runtime.protocol.results import decode_results
from hybrid_runtime.protocol.sessions import Attach, Attached, BackendState
from hybrid_runtime.protocol.status import StatusReader

PATIENCE_S = 60.0
SCRIPT = [{"00": 1}, {"00": 2}, {"00": 3}, {"00": 4}]


def results(answer):
    assert isinstance(answer, Executed), answer
    return decode_results(answer.items)


def counts(answer):
    return [result.counts for result in results(answer)]


def children(pid):
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [below for child in found for below in children(child)]


def driver_pid(server):
    """The process that runs the driver."""
    (pid,) = [
        pid for pid in children(server.process.pid) if Path(f"/proc/{pid}/comm").read_text().startswith("quantum-")
    ]
    return pid


def states(reader, wanted):
    """Read until a state is published."""
    status = reader.read(PATIENCE_S)
    while status.state is not wanted:
        status = reader.read(PATIENCE_S)
    return status


class Hanging:
    """A server whose driver hangs at its first request, and then gives the counts of a script."""

    def __init__(self, server):
        self.server = server("scripted", {"answers": [{"hang": True}, *SCRIPT]}, "--status", "tcp://127.0.0.1:0")
        self.address = self.server.address
        self.reader = StatusReader(parse_address(self.server.line().split()[-1]))

    def wait_executing(self):
        """Wait until a request has begun."""
        states(self.reader, BackendState.EXECUTING)


@pytest.fixture
def hanging(server):
    made = Hanging(server)
    yield made
    made.reader.close()


def test_it_runs_circuits_on_its_driver(server, caller):
    client = caller(server("qulacs", {"max_qubits": 10}))
    assert isinstance(client.attached, Attached)
    assert client.attached.capabilities.driver == "qulacs"
    client.ask(5, shots=1000)
    (result,) = results(client.next())
    assert result.counts.keys() == {"00", "11"}


def test_the_name_of_the_backend_may_be_chosen(server, caller):
    assert caller(server("null", {}, "--name", "starmon")).attached.capabilities.name == "starmon"


def test_a_request_that_is_sent_twice_is_run_once(server, caller):
    client = caller(server("scripted", {"answers": SCRIPT}))
    for _ in range(2):
        client.ask(1)
    client.ask(2)
    # Answered once or twice: the second time it was asked for may have come before the answer, or after it.
    answer = client.next()
    while answer.request == 1:
        assert counts(answer) == [{"00": 1}]
        answer = client.next()
    assert counts(answer) == [{"00": 2}]


def test_an_answer_that_was_lost_with_its_connection_is_given_again(server, caller):
    there = server("scripted", {"answers": SCRIPT})
    first = caller(there)
    first.ask(1)
    assert counts(first.next()) == [{"00": 1}]
    first.close()
    again = caller(there)
    assert again.attached.instance == first.attached.instance
    again.ask(1)
    again.ask(2)
    assert [counts(again.next()), counts(again.next())] == [[{"00": 1}], [{"00": 2}]]


def test_a_request_that_runs_while_its_client_reconnects_is_not_run_again(hanging, caller):
    first = caller(hanging)
    first.ask(1)
    hanging.wait_executing()
    first.close()
    again = caller(hanging)
    again.ask(1)
    again.send(Withdraw(1))
    answer = again.next()
    assert (answer.request, "interrupted" in answer.error.text) == (1, True)
    again.ask(2)
    assert counts(again.next()) == [{"00": 1}]


def test_programs_of_two_clients_do_not_mix(server, caller):
    there = server("qulacs", {"max_qubits": 4})
    one, two = caller(there, "one"), caller(there, "two")
    two.send(Forget([1]))
    two.send(Define(1, Program(1, 1, 0, (Operation("X", (0,)), Operation("measure", (0,), (), 0)))))
    for client in (one, two):
        client.ask(1, shots=50)
    assert counts(two.next()) == [{"1": 50}]
    assert counts(one.next())[0].keys() <= {"00", "11"}


def test_a_program_that_is_forgotten_serves_the_requests_before(hanging, caller):
    one, two = caller(hanging, "one"), caller(hanging, "two")
    one.ask(1)
    hanging.wait_executing()
    two.ask(1)
    two.send(Forget([1]))
    two.ask(2)
    one.send(Withdraw(1))
    assert counts(two.next()) == [{"00": 1}]
    assert "program 1 is not defined" in two.next().error.text


def test_a_second_client_waits_for_the_first(hanging, caller):
    one, two = caller(hanging, "one"), caller(hanging, "two")
    one.ask(1)
    hanging.wait_executing()
    two.ask(1)
    with pytest.raises(TimeoutError):
        two.next(0.1)
    one.send(Withdraw(1))
    assert isinstance(one.next(), Failure)
    assert counts(two.next()) == [{"00": 1}]


def test_a_running_request_can_be_cancelled(hanging, caller):
    client = caller(hanging)
    client.ask(1)
    hanging.wait_executing()
    client.send(Withdraw(1))
    failure = client.next()
    assert (failure.error.kind, failure.error.text) == ("BackendFailed", "the execution was interrupted")
    client.ask(2)
    assert counts(client.next()) == [{"00": 1}]


def test_a_request_that_waits_can_be_cancelled(hanging, caller):
    one, two = caller(hanging, "one"), caller(hanging, "two")
    one.ask(1)
    hanging.wait_executing()
    two.ask(1)
    two.send(Withdraw(1))
    assert "withdrawn before it began" in two.next().error.text


def test_a_driver_that_outlives_its_deadline_is_interrupted(server, caller):
    client = caller(server("scripted", {"answers": [{"hang": True}, {"00": 9}]}))
    client.ask(1, timeout_s=0.1)
    assert "interrupted" in client.next().error.text
    client.ask(2)
    assert counts(client.next()) == [{"00": 9}]


def test_a_request_that_waits_behind_others_past_its_deadline_is_told(hanging, caller):
    one, two = caller(hanging, "one"), caller(hanging, "two")
    one.ask(1)
    hanging.wait_executing()
    two.ask(1, timeout_s=0.1)
    answer = two.next()
    assert (answer.error.kind, answer.transient) == ("BackendTimeout", True)


def test_the_death_of_the_driver_is_answered_and_survived(server, caller):
    client = caller(server("scripted", {"answers": [{"crash": True}]}))
    client.ask(1)
    failure = client.next()
    assert (failure.error.kind, failure.transient) == ("BackendFailed", True)
    assert "killed by signal 9" in failure.error.text
    # The new process has its script from the start, and knows the program although nobody defined it again.
    client.ask(2)
    assert "killed by signal 9" in client.next().error.text


def test_a_driver_that_is_killed_while_idle_is_started_again(server, caller):
    there = server("null")
    client = caller(there)
    before = driver_pid(there)
    os.kill(before, signal.SIGKILL)
    client.ask(1)
    answer = client.next()
    while isinstance(answer, Failure):  # the request may have met the dying process
        assert answer.transient
        client.ask(answer.request + 1)
        answer = client.next()
    assert driver_pid(there) != before


def test_a_million_shots_of_twenty_bits_come_back_raw(server, caller):
    client = caller(server("null"))
    qubits = 20
    measurements = tuple(Operation("measure", (qubit,), (), qubit) for qubit in range(qubits))
    client.send(Define(2, Program(qubits, qubits, 0, measurements)))
    client.send(Execute(1, [CircuitCall(2, 1_000_000, raw=True)], 7, 60.0))
    (result,) = results(client.next())
    assert result.raw is not None
    assert len(result.raw) == 1_000_000
    assert set(result.raw) == {"0" * qubits}


def test_more_than_a_message_holds_is_refused_and_the_client_goes_on(server, caller):
    client = caller(server("null"))
    measurements = tuple(Operation("measure", (qubit,), (), qubit) for qubit in range(64))
    client.send(Define(2, Program(64, 64, 0, measurements)))
    client.send(Execute(1, [CircuitCall(2, 2_000_000, raw=True)], 7, 60.0))
    assert client.next().error.kind == "CircuitRejected"
    client.ask(2)
    assert counts(client.next()) == [{"00": 10}]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (Execute(1, [CircuitCall(9, 1)], 0, 60.0), "ProtocolError"),
        (Execute(1, [CircuitCall(1, -1)], 0, 60.0), "CircuitRejected"),
        (Execute(1, [CircuitCall(1, 1)], 0, float("nan")), "ProtocolError"),
    ],
)
def test_a_request_that_cannot_run_is_answered_with_the_reason(server, caller, message, kind):
    client = caller(server("null"))
    client.send(message)
    assert client.next().error.kind == kind


# ------------------------------------------------------------------ who may talk


def test_a_client_of_another_protocol_version_is_told_and_let_go(server):
    channel = RemoteChannel(parse_address(server("null").address))
    channel.wait_opened(PATIENCE_S)
    channel.send(encode(Attach(PROTOCOL_VERSION + 1, "s")))
    failure = msgspec.msgpack.decode(channel.receive(PATIENCE_S), type=Failure)
    assert f"speaks protocol {PROTOCOL_VERSION}" in failure.error.text
    with pytest.raises(ChannelClosed):
        channel.receive(PATIENCE_S)
    channel.close()


@pytest.mark.parametrize("data", [b"\x00 no message", encode(Forget([1]))])
def test_a_client_that_breaks_the_protocol_is_let_go_and_others_are_served(server, caller, data):
    there = server("null")
    channel = RemoteChannel(parse_address(there.address))
    channel.wait_opened(PATIENCE_S)
    channel.send(data)
    with pytest.raises(ChannelClosed):
        channel.receive(PATIENCE_S)
    channel.close()
    client = caller(there)
    client.ask(1)
    assert isinstance(client.next(), Executed)


def test_keys_decide_who_is_let_in(server, caller, tmp_path):
    make_keys(tmp_path / "keys")
    make_keys(tmp_path / "stranger")
    there = server("null", {}, "--keys", str(tmp_path / "keys"))
    known = load_client_keys(tmp_path / "keys")
    client = caller(there, keys=known)
    client.ask(1)
    assert isinstance(client.next(), Executed)
    stranger = load_client_keys(tmp_path / "stranger")._replace(server=known.server)
    channel = RemoteChannel(parse_address(there.address), stranger)
    with pytest.raises(ChannelClosed, match="does not let our key in"):
        channel.wait_opened(PATIENCE_S)
    channel.close()


# ------------------------------------------------------------------ status and end


def exhaust(reader):
    """Read until nothing is published any more."""
    while True:
        reader.read(3.0)


def test_its_status_is_published(hanging, caller):
    idle = states(hanging.reader, BackendState.IDLE)
    assert (idle.clients, idle.capabilities.driver) == (0, "scripted")
    client = caller(hanging)
    client.ask(1)
    busy = states(hanging.reader, BackendState.EXECUTING)
    assert (busy.clients, busy.instance) == (1, client.attached.instance)
    assert busy.time >= idle.time
    client.send(Withdraw(1))
    states(hanging.reader, BackendState.IDLE)
    assert hanging.server.stop() == 0
    with pytest.raises(BackendTimeout):
        exhaust(hanging.reader)


def test_a_request_that_waits_for_a_calibration_shows_in_the_status(server, caller):
    # Calibrating nearly always: each row waits for the end of one.
    options = {"inner": "null", "shot_s": 0.0, "calibrate_every_s": 0.001, "calibrate_s": 0.3}
    there = server("paced", options, "--status", "tcp://127.0.0.1:0")
    reader = StatusReader(parse_address(there.line().split()[-1]))
    client = caller(there)
    client.ask(1, rows=5)
    states(reader, BackendState.CALIBRATING)
    assert isinstance(client.next(), Executed)
    states(reader, BackendState.IDLE)
    reader.close()


def test_it_ends_in_good_order_and_tells_its_clients(server, caller):
    there = server("null")
    client = caller(there)
    assert there.stop() == 0
    with pytest.raises(ChannelClosed, match="the server has closed"):
        client.next()


def test_its_driver_does_not_outlive_it(server):
    there = server("null")
    pidfd = os.pidfd_open(driver_pid(there))
    there.kill()
    ended, _, _ = select.select([pidfd], [], [], PATIENCE_S)
    os.close(pidfd)
    assert ended


def test_exact_results_and_batches_come_back(server, caller):
    client = caller(server("qulacs"))
    client.send(Define(2, Program(1, 0, 1, (Operation("Ry", (0,), (0,)),), ((2.0, "Z"), (1.0, "X")))))
    angles = struct.pack("<20d", *(0.1 * row for row in range(20)))
    client.send(Execute(1, [CircuitCall(2, 0, 20, angles), CircuitCall(1, 0)], 7, 60.0))
    *values, exact = decode_results(client.next().items)
    assert [one.value for one in values] == pytest.approx([2 * cos(0.1 * row) + sin(0.1 * row) for row in range(20)])
    assert exact.probabilities == pytest.approx({"00": 0.5, "11": 0.5})
