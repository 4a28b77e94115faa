"""A driver with faults on purpose: they come at the rows named, and the ledger tells what was executed."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from hybrid_runtime.errors import BackendFailed, BackendTimeout, InvalidInput
from hybrid_runtime.quantum.drivers.faulty import FaultyDriver
from hybrid_runtime.testing import faults


@pytest.fixture
def faulty():
    """Make drivers that are closed after the test."""
    made = []

    def make(**words):
        made.append(FaultyDriver(inner="null", **words))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


def test_without_faults_it_is_the_inner_driver(faulty, run_one, bell):
    driver = faulty()
    assert run_one(driver, bell, 20).counts == {"00": 20}
    assert driver.capabilities().name == "faulty"


def test_a_row_that_fails_runs_when_it_is_sent_again(faulty, run_one, bell):
    driver = faulty(fail_at=[2])
    run_one(driver, bell)
    with pytest.raises(BackendFailed, match="sent again, it runs"):
        run_one(driver, bell)
    assert run_one(driver, bell, 7).counts == {"00": 7}


def test_a_share_of_the_rows_fails_and_the_seed_decides_which(faulty, run_one, bell):
    def failures(seed):
        driver = faulty(fail_rate=0.3, seed=seed)
        failed = []
        for row in range(100):
            try:
                run_one(driver, bell)
            except BackendFailed:
                failed.append(row)
        return failed

    assert failures(1) == failures(1) != failures(2)
    assert 10 < len(failures(1)) < 50


def test_the_ledger_tells_what_was_begun_and_done_over_several_lives(faulty, run_one, bell, tmp_path):
    ledger = tmp_path / "ledger"
    first = faulty(ledger=str(ledger), fail_at=[2])
    run_one(first, bell, seeds=[11])
    with pytest.raises(BackendFailed):
        run_one(first, bell, seeds=[12])
    assert (faults.executed(ledger), faults.repeated(ledger)) == ([11], [])
    again = faulty(ledger=str(ledger), fail_at=[2])
    run_one(again, bell, seeds=[12])
    assert (faults.executed(ledger), faults.repeated(ledger)) == ([11, 12], [12])


def test_a_row_that_hangs_can_be_interrupted(faulty, run_one, bell):
    driver = faulty(hang_at=[1])
    timer = threading.Timer(0.05, driver.interrupt)
    timer.start()
    with pytest.raises(BackendFailed, match="interrupted"):
        run_one(driver, bell, timeout_s=1e6)
    timer.join()


def test_a_row_that_is_late_may_be_too_late(faulty, run_one, bell):
    with pytest.raises(BackendTimeout):
        run_one(faulty(delay_at=[1], delay_s=3600.0), bell, timeout_s=0.01)


PROGRAM = """
import sys, time
from array import array
from hybrid_runtime.program import Operation, Program
from hybrid_runtime.quantum.driver import Batch, ProgramHandle
from hybrid_runtime.quantum.drivers.faulty import FaultyDriver
driver = FaultyDriver(inner="null", ledger=sys.argv[1], **{sys.argv[2]: [2]})
handle = ProgramHandle(Program(1, 1, 0, (Operation("measure", (0,), (), 0),)))
for seed in (5, 6, 7):
    list(driver.execute(Batch(handle, 1, [seed], array("d"), False, time.monotonic() + 60)))
"""


@pytest.mark.parametrize(("fault", "executed"), [("kill_before", [5]), ("kill_after", [5, 6])])
def test_the_process_dies_before_or_after_the_row(fault, executed, tmp_path):
    ledger = tmp_path / "ledger"
    died = subprocess.run([sys.executable, "-c", PROGRAM, str(ledger), fault], check=False)
    assert died.returncode == -9
    assert faults.executed(ledger) == executed
    assert subprocess.run([sys.executable, "-c", PROGRAM, str(ledger), fault], check=False).returncode == 0
    assert faults.executed(ledger) == [*executed, 5, 6, 7]


@pytest.mark.parametrize(
    "options",
    [{"fail_rate": 2}, {"kill_rate": "x"}, {"kill_before": [0]}, {"hang_at": "1"}, {"ledger": "/no/such/folder/x"}],
)
def test_options_that_cannot_be_used_are_refused(options):
    with pytest.raises(InvalidInput):
        FaultyDriver(inner="null", **options)
