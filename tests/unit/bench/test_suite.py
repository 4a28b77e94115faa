from __future__ import annotations

from hybrid_runtime.bench import steps, suite
from hybrid_runtime.bench.alone import Emulation, Loop, run_alone
from hybrid_runtime.bench.plan import FULL, QUICK
from hybrid_runtime.bench.quantiles import quantiles


def test_only_what_is_named_is_measured():
    said: list[str] = []
    report = suite.run(QUICK, ["emulator"], said.append)
    assert said == ["The emulator by itself"]
    assert set(report.emulator) == {"2", "5", "10"}
    assert report.step_s == {}
    assert report.duration_s > 0
    assert any("quick run" in warning for warning in report.warnings)


def test_the_quick_plan_measures_less_of_everything():
    for name in QUICK.__struct_fields__:
        assert getattr(QUICK, name) <= getattr(FULL, name) or name == "quick"


def test_the_same_loop_alone_finds_the_same_each_time():
    task = Loop("vqe", evaluations=20, repetitions=2, seed=3)
    first, second = run_alone([task, task])
    assert len(first.seconds) == 2
    assert first.found == second.found
    assert first.found["evaluations"] == 20


def test_only_the_executions_asked_for_are_counted():
    (answer,) = run_alone([Emulation(qubits=2, executions=4)])
    assert len(answer.seconds) == 4
    assert min(answer.seconds) > 0


def test_the_speedup_compares_one_step_with_as_many():
    rows = {"1": quantiles([2.0]), "10": quantiles([4.0]), "100": quantiles([20.0])}
    assert steps.speedup(rows) == 10.0
