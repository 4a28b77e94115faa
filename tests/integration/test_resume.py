"""Jobs whose processes are killed at moments drawn at random: their results are those of undisturbed runs."""

from __future__ import annotations

import os
import random
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hybrid_runtime import Circuit, LocalRuntime, hybrid
from hybrid_runtime.dispatcher.surveying import survey
from hybrid_runtime.errors import InvalidInput, JournalError
from hybrid_runtime.job import JobResult
from hybrid_runtime.local import Job

from .conftest import QUICK, children, descendants, find

SEED = 11
# A step takes long enough for a kill to fall between two of them or into one.
OPTIONS = {"overhead_s": 0.008, "shot_s": 0.0}
SOURCE = '''
import random
import numpy as np
from hybrid_runtime import Circuit, Done, HybridAlgorithm, hybrid
from hybrid_runtime.optimize import minimize

ANSATZ = Circuit("""version 3.0
qubit[2] q
bit[2] b
Ry({a}) q[0]
CNOT q[0], q[1]
Rx({b}) q[1]
b = measure q
""", parameters={"a": 0.0, "b": 0.0})
BOUNDS = [(-3.0, 3.0)] * 2
OPTIONS = {
    "COBYLA": {"maxiter": 40},
    "Nelder-Mead": {"maxfev": 40},
    "L-BFGS-B": {"maxfun": 40},
    "Powell": {"maxfev": 40},
    "SPSA": {"maxiter": 20},
    "differential_evolution": {"maxiter": 2, "popsize": 6},
}

def energy(context, x):
    result = context.run(ANSATZ.bind(a=float(x[0]), b=float(x[1])))
    value = result.expectation("ZZ") + 0.1 * result.expectation("IZ")
    context.metric("energy", value)
    return value

@hybrid
def blocking(context):
    method = context.parameters["method"]
    found = minimize(lambda x: energy(context, x), [0.3, 0.2], method, bounds=BOUNDS, options=OPTIONS[method], seed=5)
    return {"x": list(found.x), "fun": float(found.fun), "random": random.random()}

@hybrid
def generator(context):
    total = 0.0
    for number in range(60):
        angles = context.rng.random(2) + random.random() + np.random.random()
        results = yield [ANSATZ.bind(a=angle, b=number) for angle in angles]
        total += sum(result.expectation("ZZ") for result in results)
        context.metric("total", total)
    return total

class Lifecycle(HybridAlgorithm):
    def initialize(self, context):
        self.context = context
        self.total = 0.0
        return self.next()

    def next(self):
        return ANSATZ.bind(a=self.total, b=float(self.context.rng.random()))

    def execute(self, result):
        self.total += result.expectation("ZZ")
        self.context.metric("total", self.total)
        return Done(self.total) if len(self.context.history.results) == 60 else self.next()
'''


@hybrid
def Endless(context):
    while True:
        context.run(Circuit("version 3.0\nqubit q\nbit b\nb = measure q"))


METHODS = ["COBYLA", "Nelder-Mead", "L-BFGS-B", "Powell", "SPSA", "differential_evolution"]
CASES = [("generator", ""), ("Lifecycle", ""), *(("blocking", method) for method in METHODS)]
Disturb = Callable[[LocalRuntime], None]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("algorithms") / "several.py"
    file.write_text(textwrap.dedent(SOURCE))
    return file


@pytest.fixture(scope="module")
def undisturbed(source) -> Iterator[Callable[[str, str], JobResult]]:
    """The result of a run that nothing happens to, without a journal."""
    known: dict[tuple[str, str], JobResult] = {}
    with LocalRuntime() as client:

        def run(name: str, method: str) -> JobResult:
            if (name, method) not in known:
                known[name, method] = client.run(
                    f"{source}:{name}", parameters={"method": method}, shots=50, seed=SEED
                ).raise_for_error()
            return known[name, method]

        yield run


def start() -> LocalRuntime:
    return LocalRuntime("paced", options=OPTIONS, warm=0)


def kill_worker(client: LocalRuntime) -> None:
    # The fork server is several processes where it has namespaces; what it forks has no children.
    below = descendants(find(client._node.pid, "hybrid_runtime.classical.forkserver"))
    (worker,) = [pid for pid in below if not children(pid)]
    os.kill(worker, signal.SIGKILL)


def kill_quantum_runtime(client: LocalRuntime) -> None:
    os.kill(find(client._node.pid, "hybrid_runtime.quantum.runtime"), signal.SIGKILL)


def kill_dispatcher(client: LocalRuntime) -> None:
    os.kill(client._node.pid, signal.SIGKILL)


def kill_everything(client: LocalRuntime) -> None:
    for pid in [client._node.pid, *descendants(client._node.pid)]:
        os.kill(pid, signal.SIGKILL)


def disturb(job: Job, client: LocalRuntime, strike: Disturb, after: int) -> None:
    """Strike once the job has told of that many metrics."""
    for _ in job.events():
        if sum(map(len, job.metrics.values())) >= after:
            strike(client)
            return
    raise AssertionError("the job was over before it could be disturbed")


def same(result: JobResult, wanted: JobResult) -> None:
    result.raise_for_error()
    assert (result.value, result.steps, result.shots) == (wanted.value, wanted.steps, wanted.shots)
    assert result.metrics == wanted.metrics


@pytest.mark.parametrize(("name", "method"), CASES, ids=lambda value: value)
def test_a_job_whose_worker_is_killed_ends_as_if_nothing_had_happened(source, undisturbed, tmp_path, name, method):
    wanted = undisturbed(name, method)
    draw = random.Random(f"worker {name} {method}")
    with start() as client:
        given: dict[str, Any] = {"parameters": {"method": method}, "shots": 50, "seed": SEED}
        job = client.submit(f"{source}:{name}", **given, journal=tmp_path / "journal.bin")
        disturb(job, client, kill_worker, draw.randint(1, wanted.steps // 4))
        result = job.result()
    same(result, wanted)
    assert any("goes on from its journal in a new worker" in line for line in result.logs)
    assert survey(tmp_path / "journal.bin").steps == wanted.steps


@pytest.mark.parametrize(
    ("strike", "name", "method"),
    [(kill_everything, *case) for case in CASES] + [(kill_dispatcher, *case) for case in CASES[:3]],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_job_whose_dispatcher_is_killed_ends_as_if_nothing_had_happened(source, undisturbed, name, method, strike):
    wanted = undisturbed(name, method)
    draw = random.Random(f"{strike.__name__} {name} {method}")
    with start() as client:
        job = client.submit(f"{source}:{name}", parameters={"method": method}, shots=50, seed=SEED)
        disturb(job, client, strike, draw.randint(1, wanted.steps // 4))
        result = job.result()
    same(result, wanted)
    assert any("goes on from its journal under a new one" in line for line in result.logs)


@pytest.mark.parametrize(("name", "method"), CASES[:3], ids=lambda value: value)
def test_a_resumed_job_ends_as_if_nothing_had_happened(source, undisturbed, tmp_path, name, method):
    wanted = undisturbed(name, method)
    journal = tmp_path / "journal.bin"
    draw = random.Random(f"resumed {name} {method}")
    with start() as client:
        given: dict[str, Any] = {"parameters": {"method": method}, "shots": 50, "seed": SEED}
        job = client.submit(f"{source}:{name}", **given, journal=journal)
        disturb(job, client, kill_everything, draw.randint(1, wanted.steps // 4))
    recorded = survey(journal).steps
    assert 0 < recorded < wanted.steps
    with start() as client:
        same(client.resume(f"{source}:{name}", journal).result(), wanted)
    assert survey(journal).steps == wanted.steps


@pytest.mark.parametrize(("name", "method"), CASES, ids=lambda value: value)
def test_a_job_whose_quantum_runtime_is_killed_ends_as_if_nothing_had_happened(source, undisturbed, name, method):
    wanted = undisturbed(name, method)
    draw = random.Random(f"quantum {name} {method}")
    with start() as client:
        job = client.submit(f"{source}:{name}", parameters={"method": method}, shots=50, seed=SEED)
        disturb(job, client, kill_quantum_runtime, draw.randint(1, wanted.steps // 4))
        same(job.result(), wanted)


@pytest.mark.parametrize(("name", "method"), CASES[:3], ids=lambda value: value)
def test_a_job_that_was_paused_ends_as_if_nothing_had_happened(source, undisturbed, name, method):
    wanted = undisturbed(name, method)
    with start() as client:
        job = client.submit(f"{source}:{name}", parameters={"method": method}, shots=50, seed=SEED)
        disturb(job, client, lambda client: job.pause(), 5)
        for _ in job.events():
            pass
        assert job.state == "paused"
        with pytest.raises(InvalidInput, match="is paused"):
            job.result()
        job.resume()
        assert client.drain() == [job]
        job.resume()
        same(job.result(), wanted)


def test_a_paused_job_can_be_cancelled():
    with LocalRuntime("null", preload=QUICK) as client:
        job = client.submit(Endless)
        job.pause()
        assert client.drain() == [job]
        with pytest.raises(InvalidInput, match="is under way already"):
            client.submit(Endless, job_id=job.job_id)
        job.cancel()
        result = job.result()
        assert (result.state, result.stop_reason) == ("cancelled", "cancelled")
        with pytest.raises(InvalidInput, match="only a paused job is resumed"):
            job.resume()


def test_recorded_steps_are_not_executed_again(tmp_path):
    file = tmp_path / "count.py"
    file.write_text(
        "from hybrid_runtime import Circuit, hybrid\n"
        "ONE = Circuit('version 3.0\\nqubit q\\nbit b\\nb = measure q')\n"
        "@hybrid\n"
        "def algorithm(context):\n"
        "    seen = [context.run(ONE).counts for _ in range(3)]\n"
        "    if context.parameters['fails']: raise ValueError('once')\n"
        "    return seen + [context.run(ONE).counts]\n"
    )
    answers = {"answers": [{"0": 1}, {"0": 2}, {"0": 3}, {"0": 4}]}
    journal = tmp_path / "journal.bin"
    with LocalRuntime("scripted", options=answers, preload=QUICK) as client:
        first = client.run(str(file), parameters={"fails": True}, journal=journal)
        assert (first.state, first.steps) == ("failed", 3)
    file.write_text(file.read_text().replace("if context.parameters['fails']: raise ValueError('once')", ""))
    with LocalRuntime("scripted", options={"answers": [{"0": 40}]}, preload=QUICK) as client:
        result = client.resume(str(file), journal).result()
        assert result.value == [{"0": 1}, {"0": 2}, {"0": 3}, {"0": 40}]
        with pytest.raises(JournalError, match="has completed"):
            client.resume(str(file), journal)


def test_an_algorithm_that_does_something_else_is_told_what(tmp_path):
    file = tmp_path / "changes.py"
    text = (
        "from hybrid_runtime import Circuit, hybrid\n"
        "TURN = Circuit('version 3.0\\nqubit q\\nbit b\\nRx({t}) q\\nb = measure q', parameters={'t': 0.0})\n"
        "@hybrid\n"
        "def algorithm(context):\n"
        "    for t in ANGLES: yield TURN.bind(t=t)\n"
        "    raise ValueError('over')\n"
    )
    journal = tmp_path / "journal.bin"
    with LocalRuntime("null", preload=QUICK) as client:
        file.write_text(text.replace("ANGLES", "[0.5, 1.5]"))
        assert "ValueError" in str(client.run(str(file), journal=journal).error)
        file.write_text(text.replace("ANGLES", "[0.5, 2.5]"))
        error = client.resume(str(file), journal).result().error
        assert error is not None
        assert error.kind == "ReplayDiverged"
        assert "step 2 was 1 circuit" in error.text
        assert "at 1.5); now it asks for 1 circuit" in error.text
        assert "at 2.5)" in error.text
        file.write_text(text.replace("ANGLES", "[0.5]").replace("raise ValueError('over')", "return 1"))
        error = client.resume(str(file), journal).result().error
        assert "now it ends" in str(error)
        file.write_text(text.replace("ANGLES", "[0.5, 1.5, 2.5]").replace("raise ValueError('over')", "return 1"))
        assert client.resume(str(file), journal).result().value == 1


def test_a_job_that_is_let_go_another_way_goes_on_from_where_it_differs(tmp_path):
    file = tmp_path / "changes.py"
    text = (
        "from hybrid_runtime import Circuit, hybrid\n"
        "TURN = Circuit('version 3.0\\nqubit q\\nbit b\\nRx({t}) q\\nb = measure q', parameters={'t': 0.0})\n"
        "@hybrid\n"
        "def algorithm(context):\n"
        "    for t in ANGLES:\n"
        "        context.run(TURN.bind(t=t))\n"
        "        context.metric('t', t)\n"
        "    if FAILS: raise ValueError('over')\n"
        "    return len(ANGLES)\n"
    )
    journal = tmp_path / "journal.bin"

    def write(angles: str, fails: bool) -> None:
        file.write_text(text.replace("ANGLES", angles).replace("FAILS", str(fails)))

    with LocalRuntime("null", preload=QUICK) as client:
        write("[0.5, 1.5, 2.5]", True)
        assert client.run(str(file), journal=journal).steps == 3
        write("[0.5, 9.5]", True)
        result = client.resume(str(file), journal, on_divergence="live").result()
        assert result.error is not None
        assert (result.error.kind, result.steps, result.metrics["t"]) == ("ValueError", 2, [0.5, 9.5])
        assert any("the circuit, parameter 0: 1.5 -> 9.5" in line for line in result.logs)
        assert survey(journal).steps == 2
        # The other way is what its journal holds from now on.
        write("[0.5, 9.5, 7.5]", False)
        result = client.resume(str(file), journal).result()
        assert (result.raise_for_error().value, result.steps, result.metrics["t"]) == (3, 3, [0.5, 9.5, 7.5])
        with pytest.raises(InvalidInput, match="on_divergence is fail or live"):
            client.resume(str(file), journal, on_divergence="perhaps")


@pytest.mark.parametrize("keep", [True, False])
def test_what_was_drawn_comes_again_with_or_without_its_requests_kept(tmp_path, keep):
    file = tmp_path / "draws.py"
    text = (
        "from hybrid_runtime import Circuit, hybrid\n"
        "TURN = Circuit('version 3.0\\nqubit q\\nbit b\\nRx({t}) q\\nb = measure q', parameters={'t': 0.0})\n"
        "@hybrid\n"
        "def algorithm(context):\n"
        "    drawn = [str(context.uuid4())]\n"
        "    for _ in range(3):\n"
        "        drawn += [context.time(), context.urandom(4).hex(), context.now().isoformat()]\n"
        "        context.run(TURN.bind(t=drawn[-3] % 1))\n"
        "    context.log(drawn)\n"
        "    FAIL\n"
        "    return drawn\n"
    )
    file.write_text(text.replace("FAIL", "raise ValueError('once')"))
    journal = tmp_path / "journal.bin"
    with LocalRuntime("null", preload=QUICK) as client:
        first = client.run(str(file), journal=journal, keep_requests=keep)
        assert first.steps == 3
        file.write_text(text.replace("FAIL", ""))
        result = client.resume(str(file), journal).result().raise_for_error()
    assert str(result.value) in first.logs


def test_a_job_is_resumed_on_another_backend_which_answers_what_follows(tmp_path):
    file = tmp_path / "names.py"
    text = (
        "from hybrid_runtime import Circuit, hybrid\n"
        "ONE = Circuit('version 3.0\\nqubit q\\nbit b\\nb = measure q')\n"
        "@hybrid\n"
        "def algorithm(context):\n"
        "    names = [context.run(ONE).backend for _ in range(2)]\n"
        "    FAIL\n"
        "    return [*names, context.backend.name, context.run(ONE).backend, context.backend.name]\n"
    )
    file.write_text(text.replace("FAIL", "raise ValueError('once')"))
    journal = tmp_path / "journal.bin"
    with LocalRuntime("null", preload=QUICK) as client:
        client.run(str(file), journal=journal)
    file.write_text(text.replace("FAIL", ""))
    with LocalRuntime("qulacs", preload=QUICK) as client:
        result = client.resume(str(file), journal).result().raise_for_error()
    assert result.value == ["null", "null", "null", "qulacs", "qulacs"]


def test_a_dispatcher_that_is_killed_at_a_jobs_end_has_not_lost_its_result(source, undisturbed):
    wanted = undisturbed("blocking", "COBYLA")
    with start() as client:
        job = client.submit(f"{source}:blocking", parameters={"method": "COBYLA"}, shots=50, seed=SEED)
        disturb(job, client, kill_dispatcher, wanted.steps)
        same(job.result(), wanted)
