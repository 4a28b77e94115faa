from __future__ import annotations

import threading
import time

import pytest

from hybrid_runtime.errors import BackendFailed, BackendTimeout, BackendUnknown, InvalidInput
from hybrid_runtime.quantum.drivers.paced import PacedDriver


@pytest.fixture
def paced():
    """Make drivers that are closed after the test."""
    made = []

    def make(**words):
        made.append(PacedDriver(inner="null", **words))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


def test_a_result_comes_when_a_device_would_have_it(paced, run_one, bell):
    driver = paced(shot_s=0.001, overhead_s=0.01)
    started = time.monotonic()
    result = run_one(driver, bell, 20)
    assert time.monotonic() - started >= 0.03
    assert result.duration_s == pytest.approx(0.03)
    assert result.counts == {"00": 20}


def test_results_beyond_the_deadline_are_a_timeout(paced, run_one, bell):
    with pytest.raises(BackendTimeout):
        run_one(paced(shot_s=3600), bell, timeout_s=0.01)


def test_waiting_can_be_interrupted(paced, run_one, bell):
    driver = paced(shot_s=3600)
    timer = threading.Timer(0.05, driver.interrupt)
    timer.start()
    with pytest.raises(BackendFailed, match="interrupted"):
        run_one(driver, bell, timeout_s=1e6)
    timer.join()


def test_rows_wait_until_a_calibration_is_over(paced, run_one, bell):
    driver = paced(shot_s=0.0, calibrate_every_s=0.02, calibrate_s=0.05)
    opened = last = time.monotonic()
    longest = 0.0
    while last < opened + 0.1:
        run_one(driver, bell, 1)
        now = time.monotonic()
        longest = max(longest, now - last)
        last = now
    assert longest >= 0.045


def test_a_share_of_the_rows_fails_and_the_seed_decides_which(paced, run_one, bell):
    def failures(seed):
        driver = paced(shot_s=0.0, fail_rate=0.3, seed=seed)
        failed = []
        for row in range(200):
            try:
                run_one(driver, bell)
            except BackendFailed:
                failed.append(row)
        return failed

    assert 30 <= len(failures(1)) <= 90
    assert failures(1) == failures(1)
    assert failures(1) != failures(2)


def test_capabilities_are_those_of_the_inner_driver(paced):
    made = paced(inner_options={"capabilities": {"qubits": 9}}).capabilities()
    assert (made.driver, made.qubits) == ("paced", 9)


@pytest.mark.parametrize(
    "options",
    [{"shot_s": -1.0}, {"overhead_s": "1"}, {"calibrate_s": float("inf")}, {"fail_rate": 2}, {"fail_rate": None}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InvalidInput, match=next(iter(options))):
        PacedDriver(inner="null", **options)


def test_an_unknown_inner_driver_is_named():
    with pytest.raises(BackendUnknown, match="quacks"):
        PacedDriver(inner="quacks")


def test_a_device_has_no_exact_results_whatever_computes_them(paced):
    capabilities = paced().capabilities()
    assert (capabilities.exact, capabilities.observables) == (False, False)


def test_rows_that_were_computed_together_come_one_by_one(batch, ladder):
    driver = PacedDriver(inner="qulacs", shot_s=0.0)
    seeds = range(20)
    results = list(driver.execute(batch(ladder(2), 10, seeds=seeds, values=[0.1] * 40)))
    driver.close()
    assert [(result.shots_done, result.seed) for result in results] == [(10, seed) for seed in seeds]
