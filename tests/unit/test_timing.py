"""Where a job's time went, from the times at which things happened."""

from __future__ import annotations

import pytest

from hybrid_runtime.timing import StepTimes, Stopwatch, Timing


def test_a_job_of_two_steps_is_taken_apart():
    watch = Stopwatch(10.0)
    watch.requested(11.0)
    watch.quantum_s += 0.5
    watch.answered(12.0)
    watch.requested(14.0)
    watch.quantum_s += 0.25
    watch.answered(15.0)
    assert watch.finished(15.5) == Timing(
        initialize_s=1.0,
        step_s=StepTimes(p50=3.0, p99=3.0, mean=2.25),
        terminate_s=0.5,
        classical_s=3.5,
        quantum_s=0.75,
        overhead_s=1.25,
        total_s=5.5,
    )


def test_all_time_is_classical_quantum_or_overhead():
    watch = Stopwatch(0.0)
    for step in range(10):
        watch.requested(step + 0.25)
        watch.quantum_s += 0.125
        watch.answered(step + 0.75)
    timing = watch.finished(10.0)
    assert timing.classical_s + timing.quantum_s + timing.overhead_s == pytest.approx(timing.total_s)


def test_a_job_without_steps_was_only_initialized():
    timing = Stopwatch(1.0).finished(3.0)
    assert timing.step_s == StepTimes()
    assert (timing.initialize_s, timing.classical_s, timing.terminate_s, timing.total_s) == (2.0, 2.0, 2.0, 2.0)


def test_a_request_that_was_turned_down_is_no_step():
    watch = Stopwatch(0.0)
    watch.requested(1.0)
    watch.answered(2.0)
    watch.requested(4.0)
    watch.turned_down(4.5)
    timing = watch.finished(9.0)
    assert timing.step_s == StepTimes(p50=3.0, p99=3.0, mean=3.0)
    assert timing.classical_s == 1.0 + 2.0 + 4.5


def test_a_request_that_was_never_answered_is_no_step_and_no_classical_time():
    watch = Stopwatch(0.0)
    watch.requested(1.0)
    timing = watch.finished(5.0)
    assert timing.step_s == StepTimes()
    assert (timing.classical_s, timing.overhead_s) == (1.0, 4.0)


def test_quantiles_of_very_many_steps_need_bounded_memory(monkeypatch):
    monkeypatch.setattr(Stopwatch, "MOST_SAMPLES", 64)
    watch = Stopwatch(0.0)
    now = 0.0
    for step in range(1000):
        watch.requested(now)
        now += (step % 100) / 100
        watch.answered(now)
    times = watch.finished(now).step_s
    assert len(watch._samples) < 64
    assert times.mean == pytest.approx(0.495)
    assert times.p50 == pytest.approx(0.5, abs=0.1)
    assert times.p99 == pytest.approx(0.97, abs=0.05)
