"""A new job that begins with the first steps of another one, on this machine."""

from __future__ import annotations

import pytest

from hybrid_runtime import Circuit, Limits, LocalRuntime, hybrid
from hybrid_runtime.dispatcher.journal import Forked, Stepped, read
from hybrid_runtime.errors import BundleError, InvalidInput, JournalError, ReplayDiverged
from hybrid_runtime.protocol.results import decode_results
from hybrid_runtime.testing import faults, replay

from .conftest import QUICK

TURN = Circuit("version 3.0\nqubit q\nbit b\nRx({t}) q\nb = measure q", parameters=["t"])


@hybrid
def walk(context):
    """Each angle depends on the result before, and on a parameter from step 5 on."""
    ones: list[int] = []
    for number in range(context.parameters["steps"]):
        turn = context.parameters["turn"] if number >= 5 else 1.1
        result = yield TURN.bind(t=turn + 0.01 * sum(ones))
        ones.append(result.counts.get("1", 0))
        context.metric("ones", ones[-1])
    return ones


@hybrid
def search(context):
    from hybrid_runtime.optimize import minimize

    def energy(x):
        result = yield TURN.bind(t=x[0])
        return result.expectation("Z")

    found = yield from minimize(energy, [0.4], "COBYLA", options={"maxiter": 30})
    return [float(found.x[0]), found.nfev]


GIVEN = {"parameters": {"steps": 10, "turn": 1.1}, "shots": 50, "seed": 4}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    options = faults.driver(ledger=tmp_path_factory.mktemp("ledger") / "ledger")
    with LocalRuntime("faulty", options=options, preload=QUICK) as runtime:
        yield runtime


@pytest.fixture
def source(runtime, tmp_path):
    path = tmp_path / "source.bin"
    return path, runtime.run(walk, **GIVEN, journal=path).raise_for_error()


def steps(path):
    """What was asked in each step, and what came back but for the time that it took."""
    found = [one for one in read(path) if isinstance(one, Stepped)]
    return [(one.number, one.request, [result.counts for result in decode_results(one.items)]) for one in found]


def test_a_fork_takes_over_steps_and_comes_to_the_same_end(runtime, source, tmp_path):
    path, whole = source
    forked = runtime.fork(path, 7, algorithm=walk, journal=tmp_path / "fork.bin").result().raise_for_error()
    assert (forked.value, forked.steps, forked.metrics) == (whole.value, 10, whole.metrics)
    assert forked.job_id != whole.job_id
    assert steps(tmp_path / "fork.bin") == steps(path)
    assert Forked(whole.job_id, 7) in list(read(tmp_path / "fork.bin"))


def test_a_fork_goes_on_with_other_parameters_and_limits(runtime, source, tmp_path):
    path, whole = source
    job = runtime.fork(path, 5, algorithm=walk, parameters={"turn": 2.0}, limits=Limits(steps=8))
    forked = job.result().raise_for_error()
    assert forked.metrics["ones"][:5] == whole.metrics["ones"][:5]
    assert forked.metrics["ones"][5:] != whole.metrics["ones"][5:8]
    assert (forked.steps, forked.stop_reason.value) == (8, "steps")


def test_parameters_that_change_the_steps_taken_over_are_refused_at_the_first_that_differs(runtime, source):
    path, _ = source
    forked = runtime.fork(path, 8, algorithm=walk, parameters={"turn": 2.0}).result()
    with pytest.raises(ReplayDiverged, match="step 6 was 1 circuit"):
        forked.raise_for_error()
    live = runtime.fork(path, 8, algorithm=walk, parameters={"turn": 2.0}, on_divergence="live").result()
    assert live.raise_for_error().steps == 10


def test_a_fork_that_was_interrupted_goes_on_as_the_fork_that_it_is(runtime, tmp_path):
    path = tmp_path / "search.bin"
    runtime.run(search, seed=4, journal=path).raise_for_error()
    fork = {"algorithm": search, "optimizer": "Powell"}
    whole = runtime.fork(path, 6, **fork).result().raise_for_error()
    job = runtime.fork(path, 6, **fork, journal=tmp_path / "fork.bin")
    next(job.events())
    job.pause()
    for _ in job.events():
        pass
    if job.state == "paused":
        job.resume()
    assert job.result().raise_for_error().value == whole.value
    # A fork of a fork is one of the new optimizer's steps, too.
    again = runtime.fork(tmp_path / "fork.bin", whole.steps, **fork).result().raise_for_error()
    assert (again.value, again.steps) == (whole.value, whole.steps)


def test_another_optimizer_takes_over_after_the_step(runtime, tmp_path):
    path, new = tmp_path / "search.bin", tmp_path / "new.bin"
    runtime.run(search, seed=4, journal=path).raise_for_error()
    forked = runtime.fork(path, 6, algorithm=search, optimizer="nelder-mead", journal=new).result().raise_for_error()
    assert steps(new)[:6] == steps(path)[:6]
    assert steps(new)[6:12] != steps(path)[6:12]
    assert replay(new, search).value == forked.value


def test_an_optimizer_that_nothing_takes_over_from_is_said_in_the_log(runtime, source):
    path, whole = source
    forked = runtime.fork(path, 5, algorithm=walk, optimizer="Powell").result().raise_for_error()
    assert forked.value == whole.value
    assert "Powell did not take over" in forked.logs[-1]


def test_what_cannot_be_forked_is_refused(runtime, source, tmp_path):
    path, _ = source
    with pytest.raises(JournalError, match="has 10 steps, not 11"):
        runtime.fork(path, 11, algorithm=walk)
    with pytest.raises(InvalidInput, match="step is a whole number"):
        runtime.fork(path, -1, algorithm=walk)
    with pytest.raises(JournalError, match="there is no journal"):
        runtime.fork(tmp_path / "none", 1, algorithm=walk)
    with pytest.raises(InvalidInput, match="did you mean 'Powell'"):
        runtime.fork(path, 1, algorithm=walk, optimizer="Powel")
    with pytest.raises(InvalidInput, match="exists already"):
        runtime.fork(path, 1, algorithm=walk, journal=path)
    with pytest.raises(BundleError, match="name the algorithm's file instead"):
        runtime.fork(path, 1)
