"""Whole jobs in real processes: what users write, and what they get."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybrid_runtime import Circuit, Done, HybridAlgorithm, Limits, LocalRuntime, StopExecution, hybrid, run
from hybrid_runtime.errors import CircuitRejected, InvalidInput, StopRequested
from hybrid_runtime.job import JobState
from hybrid_runtime.local import Job

from .conftest import descendants

BELL = Circuit("version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\nCNOT q[0], q[1]\nb = measure q", name="bell")
NOT_A_NUMBER: Any = "many"
ROTATED = Circuit("version 3.0\nqubit q\nbit b\nRx({theta}) q\nb = measure q", parameters=["theta"])


class Search(HybridAlgorithm):
    """Turns a qubit step by step until it is flipped."""

    def initialize(self, context):
        self.context = context
        self.theta = context.parameters.get("start", 0.0)
        return ROTATED.bind(theta=self.theta)

    def execute(self, result):
        self.context.metric("z", result.expectation("Z"))
        if result.expectation("Z") < -0.999:
            return Done(self.theta)
        self.theta += np.pi / 4
        return ROTATED.bind(theta=self.theta)

    def finalize(self, history):
        return {"theta": self.theta, "steps": history.steps, "why": history.stop_reason.value, "done": history.done}


@hybrid
def generator(context):
    result = yield BELL
    return result.counts


@hybrid
def blocking(context):
    return context.run(BELL).counts


def plain(context):
    return context.run(BELL).counts


# ------------------------------------------------------------------ styles and shapes


@pytest.mark.parametrize("algorithm", [generator, blocking, plain])
def test_functions_run(client, algorithm):
    result = client.run(algorithm, shots=1000)
    assert (result.state, result.stop_reason, result.error) == (JobState.COMPLETED, "done", None)
    assert set(result.value) == {"00", "11"}
    assert sum(result.value.values()) == result.shots == 1000
    assert abs(result.value["00"] - 500) < 5 * 16


@pytest.mark.parametrize("algorithm", [Search, Search()])
def test_a_lifecycle_runs(client, algorithm):
    result = client.run(algorithm)
    assert result.value == {"theta": pytest.approx(np.pi), "steps": 5, "why": "done", "done": pytest.approx(np.pi)}
    assert len(result.metrics["z"]) == result.steps == 5
    assert result.metrics["z"][-1] == -1.0


def test_run_needs_no_client():
    result = run(generator, shots=10, seed=3)
    assert (result.state, result.shots, result.seed, result.backend) == ("completed", 10, 3, "qulacs")


def test_answers_have_the_shape_of_their_request(client):
    @hybrid
    def shapes(context):
        one = yield BELL
        several = yield [BELL, ROTATED.bind(theta=0), BELL]
        single = yield [BELL]
        return [sorted(one.counts), [sorted(result.counts) for result in several], len(single)]

    assert client.run(shapes).value == [["00", "11"], [["00", "11"], ["0"], ["00", "11"]], 1]


def test_results_tell_all_about_their_circuit(client):
    @hybrid
    def telling(context):
        result = context.run(BELL.with_shots(77))
        return [result.shots_requested, result.shots_done, result.backend, result.raw, result.duration_s > 0]

    assert client.run(telling).value == [77, 77, "qulacs", None, True]


def test_the_context_tells_all_about_the_job(client):
    @hybrid
    def telling(context):
        context.run(ROTATED.bind(theta=0))
        left = context.remaining
        return {
            "parameters": context.parameters,
            "seed": context.seed,
            "shots": context.shots,
            "left": [left.steps, left.shots, left.wall_s < 100, left.qpu_s],
            "stopping": context.stop_requested,
            "backend": [context.backend.name, context.backend.simulator, "H" in context.backend.operations],
        }

    limits = Limits(steps=5, shots=1000, wall_s=100)
    value = client.run(telling, parameters={"a": 1}, shots=100, seed=9, limits=limits).value
    assert value == {
        "parameters": {"a": 1},
        "seed": 9,
        "shots": 100,
        "left": [4, 900, True, None],
        "stopping": False,
        "backend": ["qulacs", True, True],
    }


# ------------------------------------------------------------------ values


def test_numpy_goes_in_and_comes_out(client):
    @hybrid
    def doubling(context):
        array = context.parameters["array"]
        assert isinstance(array, np.ndarray)
        results = context.run([ROTATED.bind(theta=angle) for angle in array])
        context.metric("last", np.float32(array[-1]))
        return {
            "doubled": 2 * array,
            "scalar": np.float64(0.5),
            "complex": np.complex128(1j),
            "ones": np.array([result.counts.get("1", 0) for result in results]),
            "best": np.argmin(array),
        }

    result = client.run(doubling, parameters={"array": np.array([0.0, np.pi])}, shots=10)
    assert result.value["doubled"].tolist() == [0.0, 2 * np.pi]
    assert (result.value["scalar"], result.value["complex"], result.value["best"]) == (0.5, 1j, 0)
    assert type(result.value["scalar"]) is float
    assert result.value["ones"].tolist() == [0, 10]
    assert result.metrics == {"last": [pytest.approx(np.pi)]}


def test_numpy_numbers_are_taken_as_settings(client):
    three: Any = np.int16(3)
    limits = Limits(steps=three)
    result = client.run(generator, shots=np.int64(20), seed=np.uint32(7), limits=limits)
    assert (result.shots, result.seed) == (20, 7)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"shots": 0}, "shots is a whole number from 1 to 10000000, not 0"),
        ({"shots": -5}, "not -5"),
        ({"shots": 10**12}, "not 1000000000000"),
        ({"shots": 1.5}, "not 1.5"),
        ({"shots": True}, "not True"),
        ({"seed": -1}, "seed is a whole number"),
        ({"seed": 1 << 63}, "seed is a whole number"),
        ({"limits": {"steps": 3}}, r"limits are given as Limits\(steps=…, …\), not as dict"),
        ({"parameters": [1]}, "parameters are given as a dictionary, not as list"),
        ({"parameters": {"x": print}}, r"parameters\['x'\] is of type"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_before_anything_runs(client, settings, why):
    with pytest.raises(InvalidInput, match=why):
        client.run(generator, **settings)


@pytest.mark.parametrize("settings", [{"warm": -1}, {"warm": "two"}, {"options": {"x": print}}, {"options": 3}])
def test_a_client_that_cannot_be_made_leaves_nothing(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(InvalidInput):
        LocalRuntime(**settings)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ repeating


@hybrid
def dice(context):
    counts = context.run([BELL, BELL])
    return [
        [result.counts for result in counts],
        [result.seed for result in counts],
        context.rng.random(),
        random.random(),
        float(np.random.rand()),
        sorted({"a", "b", "c"}, key=hash),
    ]


def test_the_same_seed_repeats_everything(client):
    first, second = (client.run(dice, seed=5) for _ in range(2))
    assert first.value == second.value
    assert (first.seed, second.seed) == (5, 5)


def test_another_seed_gives_something_else(client):
    first, second = (client.run(dice, seed=seed).value for seed in (5, 6))
    assert all(one != other for one, other in zip(first[:5], second[:5], strict=True))


def test_a_seed_that_was_drawn_repeats_its_run(client):
    drawn = client.run(dice)
    assert client.run(dice, seed=drawn.seed).value == drawn.value


# ------------------------------------------------------------------ limits and stops


@pytest.mark.parametrize(
    ("limits", "reason", "steps"),
    [
        (Limits(steps=3), "steps", 3),
        (Limits(shots=250), "shots", 2),
        (Limits(plateau=("flat", 0.0, 4)), "plateau", 4),
        (Limits(qpu_s=1e-9), "qpu", 1),
    ],
)
def test_limits_stop_a_job_which_is_finalized(client, limits, reason, steps):
    class Endless(HybridAlgorithm):
        def initialize(self, context):
            self.context = context
            return BELL

        def execute(self, result):
            self.context.metric("flat", 1)
            return BELL

        def finalize(self, history):
            return [history.steps, history.shots, history.stop_reason.value]

    result = client.run(Endless, limits=limits, shots=100)
    assert (result.state, result.stop_reason, result.error) == ("completed", reason, None)
    assert result.value == [steps, steps * 100, reason]
    assert (result.steps, result.shots) == (steps, steps * 100)


@pytest.mark.parametrize("limits", [Limits(think_s=0.5), Limits(wall_s=1.0)], ids=["think", "wall"])
def test_an_algorithm_that_computes_too_long_is_interrupted_and_finalized(client, limits):
    class Thinking(HybridAlgorithm):
        def initialize(self, context):
            return BELL

        def execute(self, result):
            while True:
                sum(range(1000))

        def finalize(self, history):
            return ["finalized", history.steps, history.stop_reason.value]

    result = client.run(Thinking, limits=limits)
    assert result.stop_reason in ("think", "wall")
    assert (result.state, result.value) == ("completed", ["finalized", 1, result.stop_reason])


def test_an_interrupted_function_may_return_what_it_has(client):
    @hybrid
    def patient(context):
        done = context.run(BELL).shots_done
        try:
            while True:
                sum(range(1000))
        except StopRequested as stop:
            return [done, stop.reason]

    assert client.run(patient, limits=Limits(think_s=0.5), shots=9).value == [9, "think"]


def test_done_and_stop_execution_end_a_job_alike(client):
    @hybrid
    def done(context):
        yield BELL
        yield Done(1)

    @hybrid
    def stopped(context):
        context.run(BELL)
        raise StopExecution(1)

    for algorithm in (done, stopped):
        result = client.run(algorithm)
        assert (result.state, result.stop_reason, result.value, result.steps) == ("completed", "done", 1, 1)


def until_it_runs(job: Job) -> None:
    """Wait for the job's first metric."""
    for _ in job.events():
        if job.metrics:
            return


@hybrid
def endless(context):
    while True:
        context.metric("shots", context.run(BELL).shots_done)


def test_a_cancelled_job_ends_with_what_it_has(client):
    job = client.submit(endless, shots=3)
    until_it_runs(job)
    job.cancel()
    result = job.result()
    assert (result.state, result.stop_reason, result.error) == ("completed", "cancelled", None)
    assert result.value == {"shots": 3.0}


def test_a_killed_job_ends_at_once(client):
    job = client.submit(endless)
    until_it_runs(job)
    job.cancel(kill=True)
    result = job.result()
    assert (result.state, result.stop_reason) == ("cancelled", "cancelled")
    assert result.error.family == "JobCancelled"
    assert result.value == {"shots": 1024.0}


@pytest.mark.parametrize("kill", [False, True])
def test_a_job_can_be_cancelled_before_it_has_begun(client, kill):
    job = client.submit(endless, limits=Limits(finalize_s=60))
    job.cancel(kill=kill)
    result = job.result()
    assert result.stop_reason == "cancelled"
    assert result.state in ("cancelled", "completed")
    assert result.error is None or result.error.family == "JobCancelled"


def test_cancelling_a_job_that_has_ended_changes_nothing(client):
    job = client.submit(generator)
    result = job.result()
    job.cancel(kill=True)
    assert job.result() is result


# ------------------------------------------------------------------ several jobs


def test_jobs_run_beside_each_other_in_one_client(client):
    first = client.submit(endless)
    until_it_runs(first)
    second = client.run(generator)
    assert second.state == "completed"
    first.cancel()
    assert first.result().stop_reason == "cancelled"


def test_many_jobs_at_once_keep_their_results_apart(client):
    jobs = [client.submit(Search, parameters={"start": np.pi * number / 4}, seed=number) for number in range(5)]
    assert [job.result().value["steps"] for job in reversed(jobs)] == [1, 2, 3, 4, 5]
    assert len({job.job_id for job in jobs}) == 5


def test_state_does_not_pass_from_one_job_to_the_next(client):
    @hybrid
    def leaving(context):
        import sys

        found = [getattr(sys, "left_by_a_job", None), len(list(context.parameters))]
        setattr(sys, "left_by_a_job", 1)  # noqa: B010 - mypy knows what sys has
        with open("left.txt", "x") as file:
            file.write("x")
        return found

    assert [client.run(leaving).value for _ in range(2)] == [[None, 0]] * 2


def test_events_tell_of_one_job_only(client):
    other = client.submit(endless)
    job = client.submit(generator)
    assert {event.job_id for event in job.events()} == {job.job_id}
    other.cancel(kill=True)
    other.result()


def test_waiting_for_events_may_time_out(client):
    @hybrid
    def idle(context):
        import threading

        threading.Event().wait()

    job = client.submit(idle)
    with pytest.raises(TimeoutError):
        list(job.events(0.2))
    job.cancel(kill=True)
    assert job.result().state == "cancelled"


# ------------------------------------------------------------------ what a job says


def test_what_is_printed_and_logged_is_kept(client):
    @hybrid
    def talking(context):
        import sys

        print("printed")
        print("warned", file=sys.stderr)
        sys.stdout.buffer.write(b"raw \xff\x1b[31m\n")
        context.log("logged")
        print("without a newline", end="")

    logs = client.run(talking).logs
    assert sorted(logs) == sorted(["printed", "warned", "raw \ufffd\\x1b[31m", "logged", "without a newline"])


def test_a_flood_of_output_is_cut_and_the_job_goes_on(client):
    @hybrid
    def flooding(context):
        import sys

        for _ in range(100):
            sys.stdout.write("x" * 99 + "\n" * 1)
            sys.stdout.write(("y" * 999 + "\n") * 1000)
        return context.run(BELL).shots_done

    result = client.run(flooding, shots=5)
    assert (result.state, result.value) == ("completed", 5)
    assert sum(map(len, result.logs)) < 1_100_000
    assert result.logs[-1].startswith("… output cut: 1048576 bytes of stdout are kept, ")


def test_a_flood_of_notes_is_cut_and_the_job_goes_on(client):
    @hybrid
    def flooding(context):
        for number in range(30_000):
            context.log("x")
            context.metric(f"name {number}", number)
        return "done"

    result = client.run(flooding)
    assert (result.state, result.value) == ("completed", "done")
    assert len(result.metrics) == 10_000
    assert len(result.logs) <= 20_001


def test_the_timing_adds_up(client):
    timing = client.run(Search).timing
    assert timing.total_s == pytest.approx(timing.classical_s + timing.quantum_s + timing.overhead_s, rel=0.05)
    assert 0 < timing.step_s.p50 <= timing.step_s.p99
    assert timing.initialize_s < timing.total_s


# ------------------------------------------------------------------ circuits that cannot be run


@pytest.mark.parametrize(
    ("circuit", "why"),
    [
        (Circuit("version 3.0\nqubit q\nbit b\nHH q\nb = measure q"), "line 4, column 1"),
        (Circuit("version 3.0\nqubit[60] q\nbit b\nb = measure q[0]"), "60 qubits"),
        (ROTATED.bind(theta=float("nan")), "theta"),
        (ROTATED, "theta"),
        (BELL.with_shots(0), "0 shots"),
        (BELL.with_shots(-3), "-3 shots"),
        (BELL.with_shots(10**12), "1000000000000 shots"),
        (BELL.with_shots(10**30), "shots is a whole number"),
        (Circuit(BELL.source, shots=NOT_A_NUMBER), "shots is a whole number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_circuit_that_cannot_be_run_is_refused_where_it_was_made(client, circuit, why):
    class Sending(HybridAlgorithm):
        def initialize(self, context):
            return circuit

    result = client.run(Sending)
    assert (result.state, result.error.kind) == ("failed", "CircuitRejected")
    assert why in result.error.text
    assert f"made at {__file__}, line " in result.error.text


def test_a_refused_circuit_can_be_handled(client):
    @hybrid
    def careful(context):
        refusals: list[str] = []
        for shots in (0, 10**9, 5):
            try:
                return [refusals, context.run(BELL.with_shots(shots)).shots_done]
            except CircuitRejected as error:
                refusals.append(str(error).partition(" shots")[0])

    result = client.run(careful)
    assert result.value == [["0", "1000000000"], 5]
    assert result.steps == 1


def test_a_step_with_thousands_of_angles_is_one_step(client):
    @hybrid
    def sweep(context):
        results = context.run([ROTATED.bind(theta=np.pi * (number % 2)) for number in range(5000)])
        return [len(results), results[0].counts, results[4999].counts]

    result = client.run(sweep, shots=2)
    assert result.value == [5000, {"0": 2}, {"1": 2}]
    assert (result.steps, result.shots) == (1, 10_000)


# ------------------------------------------------------------------ exact results and raw shots


@hybrid
def exact_results(context):
    probabilities = context.run(BELL.with_shots(None)).probabilities
    value = context.run(BELL, observable={"ZZ": 0.5, "XX": 0.25, "YY": 0.125}).value
    by_hand = Circuit(BELL.source.removesuffix("b = measure q"), observable=[(2, "ZI"), (1, "II")])
    many = context.run([ROTATED.bind(theta=angle) for angle in np.linspace(0, np.pi, 30)], observable="Z")
    rows = context.run([ROTATED.bind(theta=angle) for angle in np.linspace(0, np.pi, 30)], shots=None)
    close = bool(np.allclose([result.value for result in many], np.cos(np.linspace(0, np.pi, 30))))
    return [
        sorted(probabilities),
        bool(np.allclose(list(probabilities.values()), 0.5)),
        bool(np.isclose(value, 0.625)),
        context.run(by_hand).value,
        close,
        bool(np.allclose([result.expectation("Z") for result in rows], [result.value for result in many])),
    ]


def test_probabilities_and_observables_are_exact(client):
    result = client.run(exact_results)
    assert result.value == [["00", "11"], True, True, 1.0, True, True]
    assert (result.steps, result.shots) == (5, 0)


def test_a_job_may_be_exact_as_a_whole(client):
    @hybrid
    def whole(context):
        return [context.shots, context.run(BELL).expectation("ZZ"), context.run(BELL.with_shots(3)).shots_done]

    shots, correlation, done = client.run(whole, shots=None).value
    assert (shots, done) == (None, 3)
    assert correlation == pytest.approx(1.0)


def test_a_backend_without_exact_results_says_so_where_they_are_asked_for(scripted):
    @hybrid
    def careful(context):
        refusals = []
        for settings in ({"shots": None}, {"observable": "ZZ"}):
            try:
                context.run(BELL, **settings)
            except CircuitRejected as error:
                refusals.append(str(error))
        return [context.backend.exact, context.backend.observables, refusals]

    exact, observables, refusals = scripted({"00": 5}).run(careful).value
    assert (exact, observables) == (False, False)
    assert "name a number of shots" in refusals[0]
    assert "measure each term with shots" in refusals[1]


def test_raw_shots_are_the_counts_in_order(client):
    @hybrid
    def raw(context):
        result = context.run(BELL.with_shots(50).with_raw())
        return [result.raw, result.counts]

    shots, counts = client.run(raw).value
    assert {bits: shots.count(bits) for bits in shots} == counts
    assert len(shots) == 50


def test_a_million_shots_of_twenty_bits_reach_the_algorithm(client):
    @hybrid
    def many(context):
        text = "version 3.0\nqubit[20] q\nbit[20] b\nH q[0]\nCNOT q[0], q[19]\nb = measure q"
        result = context.run(Circuit(text, shots=1_000_000, raw=True))
        return [len(result.raw), sorted(set(result.raw)), sum(result.counts.values())]

    assert client.run(many).value == [1_000_000, ["0" * 20, "1" + "0" * 18 + "1"], 1_000_000]


def test_a_batch_of_a_thousand_rows_is_one_step(client):
    @hybrid
    def sweep(context):
        results = context.run([ROTATED.bind(theta=angle) for angle in np.linspace(0, np.pi, 1000)])
        ones = [result.counts.get("1", 0) / result.shots_done for result in results]
        return [len(results), float(np.abs(ones - np.sin(np.linspace(0, np.pi, 1000) / 2) ** 2).max())]

    result = client.run(sweep)
    assert (result.steps, result.shots, result.value[0]) == (1, 1000 * 1024, 1000)
    assert result.value[1] < 0.1


def emulators() -> set[int]:
    """The processes below this one that emulate."""
    return {pid for pid in descendants(os.getpid()) if Path(f"/proc/{pid}/comm").read_text().startswith("quantum-")}


def emulator_threads(threads: int) -> int:
    """How many threads an emulator's process has after a circuit that is worth several of them."""
    text = "version 3.0\nqubit[18] q\nbit[18] b\nH q\nRx(0.3) q\nb = measure q"

    @hybrid
    def large(context):
        return context.run(Circuit(text, shots=10)).shots_done

    others = emulators()
    with LocalRuntime("qulacs", options={"threads": threads}) as client:
        assert client.run(large).value == 10
        (process,) = emulators() - others
        return len(list(Path(f"/proc/{process}/task").iterdir()))


def test_the_emulator_has_as_many_threads_as_it_is_given():
    assert emulator_threads(1) == 1
    assert emulator_threads(2) == 2
