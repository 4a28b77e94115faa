"""The text driver against servers that answer as such backends do."""

from __future__ import annotations

import json
import threading

import pytest

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import BackendFailed, BackendTimeout, BackendUnknown, InvalidInput
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.quantum.drivers import registry

PATIENCE_S = 30.0


@pytest.fixture
def driver():
    """Open the driver; it is closed after the test."""
    opened = []

    def make(address, **options):
        opened.append(registry.open("reqrep-text", {"address": address} | options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def always(answer):
    return lambda text: answer


def test_a_circuit_goes_out_as_one_line_of_cqasm_1_and_counts_come_back(text_server, driver, run_one, bell):
    server = text_server(always("{'00': 5, '11': 7}"))
    result = run_one(driver(server.address), bell, 12)
    assert (result.counts, result.shots_done) == ({"00": 5, "11": 7}, 12)
    assert server.asked == ["version 1.0; qubits 2; h q[0]; cnot q[0], q[1]; measure_z q[0]; measure_z q[1]"]
    assert Compiler().compile(Circuit(server.asked[0])).program == bell


def test_it_asks_again_until_all_shots_are_there(text_server, driver, run_one, bell):
    answers = iter(["{'00': 1}", "{'11': 1}", "{'11': 3}"])
    server = text_server(lambda text: next(answers))
    result = run_one(driver(server.address), bell, 4)
    assert (result.counts, result.shots_done, len(server.asked)) == ({"00": 1, "11": 4}, 5, 3)


def test_it_asks_once_where_that_is_wanted(text_server, driver, run_one, bell):
    result = run_one(driver(text_server(always("{'00': 1}")).address, repeat=False), bell, 100)
    assert result.shots_done == 1


def test_probabilities_are_enough(text_server, driver, run_one, bell):
    result = run_one(driver(text_server(always('{"results": {"00": 0.25, "11": 0.75}}')).address), bell, 100)
    assert result.counts == {"00": 25, "11": 75}


def test_the_request_may_be_an_object(text_server, driver, run_one, bell):
    server = text_server(always("{'00': 9}"))
    request = {"circuit": "{circuit}", "shots": "{shots}", "seed": "{seed}", "note": "{shots} shots"}
    run_one(driver(server.address, request=request, language="cqasm3", one_line=False), bell, 9, seeds=(41,))
    asked = json.loads(server.asked[0])
    assert (asked["shots"], asked["seed"], asked["note"]) == (9, 41, "9 shots")
    assert asked["circuit"].startswith("version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\n")


def test_the_request_may_be_a_text_around_the_circuit(text_server, driver, run_one, bell):
    server = text_server(always("{'00': 9}"))
    run_one(driver(server.address, request="run {shots} times: {circuit}"), bell, 9)
    assert server.asked[0].startswith("run 9 times: version 1.0; qubits 2; ")


def test_bits_of_the_program_are_found_in_the_answer_by_qubit(text_server, driver, run_one):
    program = Program(2, 3, 0, (Operation("measure", (1,), (), 2), Operation("measure", (0,), (), 0)))
    assert run_one(driver(text_server(always("{'10': 4}")).address), program, 4).counts == {"100": 4}
    left = driver(text_server(always("{'10': 4}")).address, first_bit_left=True)
    assert run_one(left, program, 4).counts == {"001": 4}


def test_results_that_differ_in_unread_qubits_are_added_up(text_server, driver, run_one):
    program = Program(2, 1, 0, (Operation("measure", (1,), (), 0),))
    assert run_one(driver(text_server(always("{'10': 4, '11': 5}")).address), program, 9).counts == {"1": 9}


def test_each_row_is_a_circuit_of_its_own(text_server, driver, batch):
    server = text_server(lambda text: "{'0': 2}" if "0.5" in text else "{'1': 2}")
    program = Program(1, 1, 1, (Operation("Rx", (0,), (0,)), Operation("measure", (0,), (), 0)))
    rows = batch(program, 2, seeds=(1, 2), values=(0.5, 1e-7))
    assert [result.counts for result in driver(server.address).execute(rows)] == [{"0": 2}, {"1": 2}]
    assert "rx q[0], 1.0e-07" in server.asked[1]


def test_words_at_the_beginning_and_the_end_are_said_where_they_are_wanted(text_server, driver, run_one, bell):
    server = text_server(lambda text: "ok" if text in ("hello", "bye") else "{'00': 1}")
    talking = driver(server.address, initialize="hello", terminate="bye")
    for _ in range(2):
        run_one(talking, bell, 1)
    talking.close()
    assert [text if len(text) < 9 else "circuit" for text in server.asked] == ["hello", "circuit", "circuit", "bye"]


def test_an_answer_without_counts_is_shown(text_server, driver, run_one, bell):
    with pytest.raises(BackendFailed, match="Error: the fridge is warm"):
        run_one(driver(text_server(always("Error: the fridge is warm")).address), bell)


def test_a_backend_that_does_not_answer_is_given_up_and_can_be_used_again(text_server, driver, run_one, bell):
    server = text_server(always(None))
    patient = driver(server.address, timeout_s=0.2)
    with pytest.raises(BackendTimeout):
        run_one(patient, bell)
    server.handler = always("{'00': 1024}")
    assert run_one(patient, bell).shots_done == 1024


def test_the_batch_s_own_deadline_is_kept(text_server, driver, run_one, bell):
    with pytest.raises(BackendTimeout):
        run_one(driver(text_server(always(None)).address), bell, timeout_s=0.2)


def test_a_wait_can_be_interrupted(text_server, driver, run_one, bell):
    server = text_server(always(None))
    waiting = driver(server.address)

    def interrupt():
        assert server.heard.wait(PATIENCE_S)
        waiting.interrupt()

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(BackendFailed, match="interrupted"):
        run_one(waiting, bell)
    other.join()
    server.handler = always("{'00': 1024}")
    assert run_one(waiting, bell).shots_done == 1024


def test_a_backend_that_is_gone_does_not_keep_it_from_closing(text_server, driver, run_one, bell):
    server = text_server(always("{'00': 1024}"))
    talking = driver(server.address, terminate="bye")
    run_one(talking, bell)
    server.stop()
    talking.close()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"address": "nowhere"}, "tcp://HOST:PORT"),
        ({"language": "qasm"}, "cqasm1 or cqasm3"),
        ({"request": "no place"}, "{circuit}"),
        ({"timeout_s": 0}, "timeout_s"),
    ],
)
def test_options_that_cannot_be_used_are_refused(driver, options, text):
    with pytest.raises(InvalidInput, match=text.replace("{", r"\{")):
        driver(**{"address": "tcp://127.0.0.1:9"} | options)


def test_a_host_that_does_not_exist_is_an_unknown_backend(driver):
    with pytest.raises(BackendUnknown, match=r"no-such-host\.invalid"):
        driver("tcp://no-such-host.invalid:9")
