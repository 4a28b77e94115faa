"""The Quantum Inspire driver against control software that keeps to the protocol, and some that does not."""

from __future__ import annotations

import json
import threading

import pytest
import zmq

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import BackendFailed, BackendTimeout, InvalidInput
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.quantum.drivers import registry

PATIENCE_S = 30.0


class ControlSoftware:
    """Answers requests by the protocol: a lock, and the same counts for every circuit."""

    def __init__(self, results):
        self.results = results
        self.raw_data = None
        self.version = 3
        self.lock = None
        self.refuse = {}
        self.executed = []
        self.commands = []

    def __call__(self, text):
        request = json.loads(text)
        command, session = request["command"], request["session_id"]
        self.commands.append(command)
        reply = {"session_id": session, "status": "success"}
        problem = self.refuse.get(command) or self.problem(command, session)
        if problem:
            return json.dumps(reply | {"status": "failure", "payload": {"error_msg": problem}})
        if command == "get_static":
            static = {"protocol_version": self.version, "nqubits": 5, "name": "twin", "supports_raw_data": True}
            reply["payload"] = static | {"topology": [], "pgs": [], "default_compiler_config": {}}
        elif command == "execute":
            self.executed.append(request["payload"])
            reply["payload"] = {"job_id": request["payload"]["job_id"], "results": self.results}
            if self.raw_data is not None:
                reply["payload"]["raw_data"] = self.raw_data
        return json.dumps(reply)

    def problem(self, command, session):
        if command == "initialize":
            if self.lock is not None:
                return "in use"
            self.lock = session
        elif command in ("execute", "terminate"):
            if self.lock != session:
                return "not initialized"
            if command == "terminate":
                self.lock = None
        return None


@pytest.fixture
def software():
    return ControlSoftware({"00": 5, "11": 7})


@pytest.fixture
def publisher():
    """The socket by which control software publishes its state."""
    context = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVTIMEO, round(PATIENCE_S * 1000))
    socket.bind("tcp://127.0.0.1:0")
    yield socket
    context.destroy(linger=0)


@pytest.fixture
def driver(text_server, publisher):
    """Open the driver on control software; it is closed after the test."""
    opened = []

    def make(handler, **options):
        status = publisher.get_string(zmq.LAST_ENDPOINT)
        address = options.pop("address", None) or text_server(handler).address
        opened.append(registry.open("qi-v3", {"address": address, "status": status} | options))
        assert publisher.recv() == b"\x01"  # its reader is here, and misses nothing from now on
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def publish(publisher, state):
    payload = {"state": state, "timestamp": "2026-01-01T00:00:00"}
    publisher.send_string(json.dumps({"command": "publish_state", "payload": payload}))


def again_and_again(run):
    """Run until it raises: a publication may still be on its way, and one of the runs finds it."""
    while True:
        run()


def test_what_the_backend_says_of_itself_becomes_its_capabilities(driver, software):
    found = driver(software).capabilities()
    assert (found.name, found.driver, found.qubits, found.raw, found.mid_circuit) == ("twin", "qi-v3", 5, True, False)


def test_a_circuit_goes_out_as_cqasm_3_and_counts_come_back(driver, software, run_one, bell):
    result = run_one(driver(software), bell, 12)
    assert (result.counts, result.shots_done, result.raw) == ({"00": 5, "11": 7}, 12, None)
    (asked,) = software.executed
    assert (asked["number_of_shots"], asked["include_raw_data"]) == (12, False)
    assert Compiler().compile(Circuit(asked["circuit"])).program == bell


def test_raw_shots_are_asked_for_and_translated(driver, software, run_one):
    software.results, software.raw_data = {"10": 2, "00": 1}, ["10", "00", "10"]
    program = Program(2, 3, 0, (Operation("measure", (1,), (), 2),))
    result = run_one(driver(software), program, 3, raw=True)
    assert (result.counts, result.raw) == ({"100": 2, "000": 1}, ["100", "000", "100"])
    assert software.executed[0]["include_raw_data"] is True


def test_the_backend_is_locked_from_the_first_step_to_the_end(driver, software, run_one, bell):
    locking = driver(software)
    for _ in range(2):
        run_one(locking, bell)
    locking.close()
    assert software.commands == ["get_static", "initialize", "execute", "execute", "terminate"]
    assert software.lock is None


def test_the_backend_may_be_locked_for_each_step_only(driver, software, run_one, bell):
    locking = driver(software, lock_each_step=True)
    for _ in range(2):
        run_one(locking, bell)
    assert software.commands == ["get_static", *(["initialize", "execute", "terminate"] * 2)]


def test_a_step_that_fails_gives_the_lock_back(driver, software, run_one, bell):
    software.refuse = {"execute": "the fridge is warm"}
    with pytest.raises(BackendFailed, match="refused execute: the fridge is warm"):
        run_one(driver(software, lock_each_step=True), bell)
    assert software.lock is None


def test_a_backend_that_is_in_use_says_so(driver, software, run_one, bell):
    software.lock = "someone else"
    with pytest.raises(BackendFailed, match="refused initialize: in use"):
        run_one(driver(software), bell)


def test_a_backend_that_was_started_again_is_locked_again(driver, text_server, run_one, bell, software):
    server = text_server(software)
    locking = driver(None, address=server.address)
    run_one(locking, bell)
    software.lock = None
    server.handler = lambda text: None
    with pytest.raises(BackendTimeout):
        run_one(locking, bell, timeout_s=0.2)
    server.handler = software
    assert run_one(locking, bell).shots_done == 12


def test_a_backend_that_calibrates_is_waited_for(driver, software, publisher, run_one, bell):
    waiting = driver(software)
    publish(publisher, "CALIBRATING")
    with pytest.raises(BackendTimeout, match="calibrating"):
        again_and_again(lambda: run_one(waiting, bell, timeout_s=0.2))
    done = []
    other = threading.Thread(target=lambda: done.append(run_one(waiting, bell)))
    other.start()
    publish(publisher, "IDLE")
    other.join(PATIENCE_S)
    assert done[0].shots_done == 12


def test_waiting_for_a_calibration_can_be_interrupted(driver, software, publisher, run_one, bell):
    waiting = driver(software)
    publish(publisher, "CALIBRATING")
    with pytest.raises(BackendTimeout):
        again_and_again(lambda: run_one(waiting, bell, timeout_s=0.2))
    errors = []

    def run():
        try:
            run_one(waiting, bell)
        except BackendFailed as error:
            errors.append(str(error))

    other = threading.Thread(target=run)
    other.start()
    while other.is_alive():
        waiting.interrupt()
        other.join(0.05)
    assert errors == ["the execution was interrupted"]


def test_a_backend_that_is_offline_is_not_asked(driver, software, publisher, run_one, bell):
    asking = driver(software)
    publish(publisher, "OFFLINE")
    with pytest.raises(BackendFailed, match="offline"):
        again_and_again(lambda: run_one(asking, bell))


def test_other_publications_are_passed_over(driver, software, publisher, run_one, bell):
    publisher_driver = driver(software)
    publisher.send(b"\xff not JSON")
    publisher.send_string("[1, 2]")
    publish(publisher, "IDLE")
    assert run_one(publisher_driver, bell).shots_done == 12


@pytest.mark.parametrize("version", [2, 4])
def test_another_version_of_the_protocol_is_refused(text_server, software, version):
    software.version = version
    with pytest.raises(BackendFailed, match=f"speaks protocol {version}; this driver speaks 3"):
        registry.open("qi-v3", {"address": text_server(software).address})


def test_control_software_that_does_not_answer_is_told(text_server):
    with pytest.raises(BackendTimeout):
        registry.open("qi-v3", {"address": text_server(lambda text: None).address, "connect_s": 0.2})


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("garbage", "not of its protocol"),
        ('{"status": "success"}', "not of its protocol"),
        ('{"session_id": "another", "status": "success"}', "another session"),
        ('{"session_id": "SESSION", "status": "success", "payload": {"job_id": 1}}', "not of its protocol"),
        (
            '{"session_id": "SESSION", "status": "success", "payload": {"job_id": 9, "results": {}}}',
            "in place of job 1",
        ),
        ('{"session_id": "SESSION", "status": "success", "payload": {"job_id": 1, "results": {"0": 1}}}', "bit string"),
        (
            '{"session_id": "SESSION", "status": "success", "payload": {"job_id": 1, "results": {"ab": 1}}}',
            "bit string",
        ),
        ('{"session_id": "SESSION", "status": "failure"}', "no reason given"),
    ],
)
def test_an_answer_that_breaks_the_protocol_is_a_failure_of_the_backend(
    driver, text_server, software, run_one, bell, answer, text
):
    def misbehave(request):
        session = json.loads(request)["session_id"]
        return answer.replace("SESSION", session) if '"execute"' in request else software(request)

    with pytest.raises(BackendFailed, match=text):
        run_one(driver(misbehave), bell)


@pytest.mark.parametrize("options", [{"address": "nowhere"}, {"address": "tcp://h:1", "connect_s": -1}])
def test_options_that_cannot_be_used_are_refused(options):
    with pytest.raises(InvalidInput):
        registry.open("qi-v3", options)
