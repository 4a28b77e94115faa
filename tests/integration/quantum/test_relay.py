"""Jobs that run on a remote quantum runtime: what happens to them when the link or the other side breaks."""

from __future__ import annotations

import signal
from math import pi

import pytest

from hybrid_runtime import Circuit, hybrid
from hybrid_runtime.errors import BackendFailed, BackendUnknown, InvalidInput
from hybrid_runtime.job import JobState
from hybrid_runtime.local import LocalRuntime
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.protocol.address import parse_address
from hybrid_runtime.protocol.control import Progress
from hybrid_runtime.protocol.curve import make_keys
from hybrid_runtime.protocol.messages import (
    CircuitCall,
    Define,
    Execute,
    Executed,
    FromQuantum,
    Withdraw,
    decode,
    decoder,
    encode,
)
from hybrid_runtime.protocol.sessions import BackendState
from hybrid_runtime.protocol.status import StatusReader
from hybrid_runtime.quantum.process import QuantumProcess

PATIENCE_S = 60.0
BITS = 10
STEPS = 1000
# A step takes a millisecond, so that a job of a thousand is under way long enough to be met in its middle.
PACED = {"inner": "qulacs", "shot_s": 0.0, "overhead_s": 0.001}
NUMBER = (
    f"version 3.0\nqubit[{BITS}] q\nbit[{BITS}] b\n"
    + "".join(f"Rx({{turns[{bit}]}}) q[{bit}]\n" for bit in range(BITS))
    + "b = measure q\n"
)

PROGRAM = Program(1, 1, 0, (Operation("measure", (0,), (), 0),))


@hybrid
def count(context):
    """Have the backend say each number once: a step that is lost, repeated or swapped shows in the list."""
    circuit = Circuit(NUMBER, parameters=["turns"])
    heard = []
    for number in range(context.parameters["steps"]):
        result = context.run(circuit.bind(turns=[pi * ((number >> bit) & 1) for bit in range(BITS)]))
        heard.append([int(bits, 2) for bits in result.counts])
    return heard


def run(address, steps=3, **options):
    with LocalRuntime(address, options=options) as client:
        return client.run(count, parameters={"steps": steps}, shots=3)


def said(steps):
    return [[number] for number in range(steps)]


def after(job, steps):
    """Wait until a job has done so many steps and is not over."""
    for event in job.events():
        if isinstance(event, Progress) and event.steps >= steps:
            assert event.state is JobState.RUNNING
            return
    pytest.fail("the job was over too early")


def test_a_job_runs_on_a_remote_backend(server):
    result = run(server("qulacs").address)
    assert (result.state, result.value, result.backend) == (JobState.COMPLETED, said(3), "qulacs")


def test_the_same_seed_gives_the_same_counts_near_and_far(server):
    @hybrid
    def flip(context):
        return context.run(Circuit("version 3.0\nqubit[1] q\nbit[1] b\nH q[0]\nb = measure q")).counts

    values = []
    for backend in (server("qulacs").address, "qulacs"):
        with LocalRuntime(backend) as client:
            values.append(client.run(flip, seed=5).value)
    assert values[0] == values[1]


def test_two_clients_share_a_remote_backend(server):
    there = server("qulacs")
    with LocalRuntime(there.address) as one, LocalRuntime(there.address) as two:
        jobs = [client.submit(count, parameters={"steps": 20}, shots=3) for client in (one, two)]
        assert [job.result().value for job in jobs] == [said(20)] * 2


def test_a_remote_backend_that_is_killed_and_started_again_loses_and_repeats_no_step(server):
    there = server("paced", PACED)
    with LocalRuntime(there.address) as client:
        job = client.submit(count, parameters={"steps": STEPS}, shots=3)
        after(job, 100)
        there.kill()
        server(like=there)
        result = job.result()
    assert (result.state, result.error, result.steps) == (JobState.COMPLETED, None, STEPS)
    assert result.value == said(STEPS)


def test_a_remote_backend_that_is_stopped_and_started_again_three_times_loses_no_step(server):
    there = server("paced", PACED)
    with LocalRuntime(there.address) as client:
        job = client.submit(count, parameters={"steps": STEPS}, shots=3)
        for part in (100, 300, 500):
            after(job, part)
            assert there.stop() == 0
            there = server(like=there)
        result = job.result()
    assert (result.state, result.value) == (JobState.COMPLETED, said(STEPS))


def test_a_remote_backend_that_hangs_is_given_up_and_found_again(server):
    there = server("paced", PACED)
    with LocalRuntime(there.address, options={"heartbeat_s": 0.05, "dead_after_s": 0.5}) as client:
        job = client.submit(count, parameters={"steps": STEPS}, shots=3)
        after(job, 100)
        there.process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            list(job.events(1.0))  # longer than the relay bears
        there.process.send_signal(signal.SIGCONT)
        result = job.result()
    assert (result.state, result.value) == (JobState.COMPLETED, said(STEPS))


def test_a_remote_backend_that_does_not_come_back_fails_the_job_with_its_results_so_far(server):
    there = server("paced", PACED)
    with LocalRuntime(there.address, options={"reconnect_s": 0.5}) as client:
        job = client.submit(count, parameters={"steps": STEPS}, shots=3)
        after(job, 100)
        there.kill()
        result = job.result()
    assert result.state is JobState.FAILED
    assert result.error is not None
    assert result.error.family == "BackendFailed"
    assert "was down for 0.5 s" in result.error.text
    assert there.address in result.error.text
    assert result.steps >= 100


def test_another_backend_at_the_same_address_does_not_take_over_a_job(server):
    there = server("paced", PACED)
    with LocalRuntime(there.address) as client:
        job = client.submit(count, parameters={"steps": STEPS}, shots=3)
        after(job, 100)
        there.kill()
        there.arguments = ("null", {})
        server(like=there)
        result = job.result()
    assert result.state is JobState.FAILED
    assert result.error is not None
    assert "another backend answers there" in result.error.text


def test_jobs_go_on_when_the_driver_of_the_remote_backend_dies(server):
    there = server("scripted", {"answers": [{"0000000001": 3}, {"crash": True}]})
    with LocalRuntime(there.address) as client:
        # The driver plays its script from the start in each process: the step is tried again, and answered.
        assert client.run(count, parameters={"steps": 2}, shots=3).value == [[1], [1]]
        assert client.run(count, parameters={"steps": 1}, shots=3).value == [[1]]


def test_a_job_that_is_killed_frees_the_remote_backend(server):
    there = server("scripted", {"answers": [{"hang": True}, {"0000000001": 3}]}, "--status", "tcp://127.0.0.1:0")
    reader = StatusReader(parse_address(there.line().split()[-1]))
    with LocalRuntime(there.address) as client:
        job = client.submit(count, parameters={"steps": 2}, shots=3)
        with pytest.raises(TimeoutError):
            list(job.events(0.2))
        wait_for(reader, BackendState.EXECUTING)
        job.cancel(kill=True)
        assert job.result().state is JobState.CANCELLED
        wait_for(reader, BackendState.IDLE)
        assert client.run(count, parameters={"steps": 1}, shots=3).value == [[1]]
    reader.close()


# ------------------------------------------------------------------ what cannot begin


def test_an_address_where_nothing_listens_is_a_failed_backend(server):
    there = server("null")
    there.kill()
    with pytest.raises(BackendFailed, match=r"nothing listens there.*qi-run quantum-runtime"):
        run(there.address, connect_s=0.5)


@pytest.mark.parametrize("address", ["tcp://no-such-host.invalid:5555"])
def test_a_host_that_does_not_exist_is_an_unknown_backend(address):
    with pytest.raises(BackendUnknown, match=r"no-such-host\.invalid"):
        run(address)


@pytest.mark.parametrize(
    ("address", "options"),
    [("tcp://127.0.0.1", {}), ("tcp://127.0.0.1:9", {"wings": 2}), ("tcp://127.0.0.1:9", {"reconnect_s": 0})],
)
def test_an_address_or_option_that_cannot_be_used_is_refused(address, options):
    with pytest.raises(InvalidInput):
        run(address, **options)


def test_keys_are_used_and_missing_ones_told(server, tmp_path):
    make_keys(tmp_path / "keys")
    make_keys(tmp_path / "stranger")
    there = server("qulacs", {}, "--keys", str(tmp_path / "keys"))
    assert run(there.address, keys=str(tmp_path / "keys")).value == said(3)
    with pytest.raises(BackendFailed, match="keys"):
        run(there.address, connect_s=0.5)
    server_key = (tmp_path / "keys/server.public").read_text()
    (tmp_path / "stranger/server.public").write_text(server_key)
    with pytest.raises(BackendFailed, match="does not let our key in"):
        run(there.address, keys=str(tmp_path / "stranger"))


# ------------------------------------------------------------------ the relay itself


def test_when_its_dispatcher_is_gone_the_remote_backend_is_told(server):
    there = server("scripted", {"answers": [{"hang": True}, {"0": 1}]}, "--status", "tcp://127.0.0.1:0")
    reader = StatusReader(parse_address(there.line().split()[-1]))
    relay = QuantumProcess(there.address, {})
    decode(decoder(FromQuantum), relay.channel.receive(PATIENCE_S))
    relay.channel.send(encode(Define(1, PROGRAM)))
    relay.channel.send(encode(Execute(1, [CircuitCall(1, 1)], 0, 3600.0)))
    wait_for(reader, BackendState.EXECUTING)
    relay.close()
    wait_for(reader, BackendState.IDLE)
    reader.close()


def test_a_request_can_be_withdrawn_through_the_relay(server):
    there = server("scripted", {"answers": [{"hang": True}, {"0": 1}]}, "--status", "tcp://127.0.0.1:0")
    reader = StatusReader(parse_address(there.line().split()[-1]))
    relay = QuantumProcess(there.address, {})
    messages = decoder(FromQuantum)
    decode(messages, relay.channel.receive(PATIENCE_S))
    relay.channel.send(encode(Define(1, PROGRAM)))
    relay.channel.send(encode(Execute(1, [CircuitCall(1, 1)], 0, 3600.0)))
    wait_for(reader, BackendState.EXECUTING)
    relay.channel.send(encode(Withdraw(1)))
    assert "interrupted" in decode(messages, relay.channel.receive(PATIENCE_S)).error.text
    relay.channel.send(encode(Execute(2, [CircuitCall(1, 1)], 0, 3600.0)))
    assert isinstance(decode(messages, relay.channel.receive(PATIENCE_S)), Executed)
    relay.close()
    reader.close()


def wait_for(reader, state):
    while reader.read(PATIENCE_S).state is not state:
        pass
