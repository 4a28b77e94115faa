"""Many jobs under random faults, for minutes: `python tests/soak/soak.py --minutes 10 [--seed N]`, or `make soak`.

Each round runs one job with a journal, in a runtime of its own, while processes are killed, links are cut and the
backend fails. Whatever is lost is started again and resumed until the job is over. Then it is checked that

* the result is that of the undisturbed run, to the last bit;
* every step is in the journal once, and the journal is whole;
* no step was executed again after it had been acknowledged, that is, after it stood in the journal;
* no process and no file is left.

It ends with a report, and with exit code 1 when anything of this was violated.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hybrid_runtime import LocalRuntime
from hybrid_runtime.dispatcher.journal import Stepped, read
from hybrid_runtime.dispatcher.tail import Tail
from hybrid_runtime.errors import HybridRuntimeError
from hybrid_runtime.job import JobResult
from hybrid_runtime.local import Job
from hybrid_runtime.protocol.messages import ResultData
from hybrid_runtime.testing import faults

ALGORITHMS = Path(__file__).with_name("algorithms.py")
METHODS = ("COBYLA", "Nelder-Mead", "L-BFGS-B", "Powell", "SPSA", "differential_evolution")
CASES = (("generator", ""), ("Lifecycle", ""), *(("blocking", method) for method in METHODS))
SEED = 11
SHOTS = 50
# A job that has not come to its end after so many new beginnings never will.
MOST_TRIES = 40
REPORT_EVERY_S = 30.0
PATIENCE_S = 30.0
_results = msgspec.msgpack.Decoder(list[ResultData]).decode


class Case(NamedTuple):
    """An algorithm of the file, and the optimizer that it uses."""

    name: str
    method: str

    @property
    def target(self) -> str:
        return f"{ALGORITHMS}:{self.name}"

    def __str__(self) -> str:
        return f"{self.name} {self.method}".strip()


class Tally:
    """What happened so far."""

    def __init__(self) -> None:
        self.jobs: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.resumed = self.steps = self.rows = self.again = 0
        self.violations: list[str] = []
        self.began = time.monotonic()

    def report(self) -> str:
        """All of it, as text."""
        minutes = (time.monotonic() - self.began) / 60
        struck = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items())) or "none"
        lines = [
            f"{minutes:.1f} minutes: {self.jobs.total()} jobs, {self.steps} steps, {self.rows} circuits executed",
            f"faults      {struck}",
            f"resumed     {self.resumed} times; {self.again} circuits that were in flight were executed again",
            f"violations  {len(self.violations)}",
            *(f"  {text}" for text in self.violations),
        ]
        return "\n".join(lines)


class Acknowledged:
    """What stood in a journal at some moments, and how long the ledger of executions was then."""

    def __init__(self, journal: Path, ledger: Path) -> None:
        self._journal = journal
        self._ledger = ledger
        self._seen: list[tuple[frozenset[int], int]] = []

    def look(self) -> None:
        """Remember this moment. The journal is read first: all that stands in it is in the ledger by then."""
        if self._journal.exists():
            self._seen.append((frozenset(journalled(self._journal)), len(self._lines())))

    def _lines(self) -> list[str]:
        return self._ledger.read_text().split("\n") if self._ledger.exists() else []

    def executed_again(self) -> list[int]:
        """Seeds of the circuits that were begun after they had been acknowledged."""
        lines = self._lines()
        return [
            int(line.split()[1])
            for acknowledged, length in self._seen
            for line in lines[max(length - 1, 0) :]
            if line.startswith("begun") and int(line.split()[1]) in acknowledged
        ]


def journalled(journal: Path) -> list[int]:
    """The seeds of the circuits whose results a journal holds."""
    with Tail(journal) as tail:  # its job may be running
        records = [record for _, _, record in tail.records()]
    return [item.seed for record in records if isinstance(record, Stepped) for item in _results(record.items)]


class Processes:
    """Everything that was ever seen below this process; each is held, so that its number cannot mean another."""

    def __init__(self) -> None:
        self._held: dict[int, int] = {}

    def look(self) -> None:
        for target in faults.Target:
            for pid in faults.pids(target):
                if pid not in self._held:
                    try:
                        self._held[pid] = os.pidfd_open(pid)
                    except ProcessLookupError:
                        continue  # it has ended already

    def left(self) -> list[int]:
        """Those that do not end."""
        deadline = time.monotonic() + PATIENCE_S
        living = []
        for pid, fd in self._held.items():
            if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                living.append(pid)
            os.close(fd)
        self._held.clear()
        return living


class Round:
    """One job, from its first beginning to its end, however often it is interrupted."""

    def __init__(self, case: Case, folder: Path, draw: random.Random, tally: Tally) -> None:
        self.case = case
        self.folder = folder
        self.journal = folder / "journal.bin"
        self.ledger = folder / "ledger"
        self.draw = draw
        self.tally = tally
        self.acknowledged = Acknowledged(self.journal, self.ledger)
        self.processes = Processes()
        self.rates: dict[str, Any] = {"kill_rate": draw.choice([0.0, 0.0, 0.01]), "fail_rate": draw.choice([0.0, 0.02])}

    def play(self) -> JobResult | None:
        """The job's result; None when it could not be brought to its end."""
        for number in range(MOST_TRIES):
            try:
                with self._runtime(number) as runtime:
                    result = self._run(runtime)
            except HybridRuntimeError as error:
                if "has completed" in str(error):
                    self.tally.violations.append(f"{self.case}: completed, but its result was never told")
                    return None
                result = None
            self.acknowledged.look()
            if result is not None and result.state == "completed":
                return result
            if result is not None and result.error is not None and result.error.family == "UserCodeError":
                self.tally.violations.append(f"{self.case}: {result.error.text}")
                return None
            self.tally.resumed += 1
        self.tally.violations.append(f"{self.case}: not completed after {MOST_TRIES} beginnings")
        return None

    def _runtime(self, number: int) -> LocalRuntime:
        """A runtime whose backend is faulty, and whose dispatcher may die at some points of some steps."""
        options = faults.driver(ledger=self.ledger, seed=number, **self.rates)
        planned = [
            faults.Fault(kind="kill", point=self.draw.choice(faults.POINTS), at=self.draw.randint(1, 60))
            for _ in range(self.draw.choice([0, 0, 1, 2]))
        ]
        self.tally.faults["planned deaths of the dispatcher"] += len(planned)
        struck = self.folder / f"struck-{number}"
        struck.mkdir()
        return faults.BreakingRuntime("faulty", options=options, faults=planned, folder=struck)

    def _run(self, runtime: LocalRuntime) -> JobResult:
        if self.journal.exists() and any(True for _ in read(self.journal)):
            job = runtime.resume(self.case.target, self.journal)
        else:
            self.journal.unlink(missing_ok=True)
            given: dict[str, Any] = {"parameters": {"method": self.case.method}, "shots": SHOTS, "seed": SEED}
            job = runtime.submit(self.case.target, journal=self.journal, **given)
        self._disturb(job)
        return job.result()

    def _disturb(self, job: Job) -> None:
        """Strike at moments drawn at random, for as long as the draw says."""
        strikes = self.draw.choice([0, 1, 1, 2])
        for _ in range(strikes):
            self._follow(job, self.draw.uniform(0.0, 0.25))
            if job.state.final:
                return
            self.acknowledged.look()
            self.processes.look()
            target = self.draw.choice([*faults.Target, "everything"])
            targets = list(faults.Target) if target == "everything" else [faults.Target(target)]
            struck = [pid for one in targets for pid in faults.kill(one)]
            if struck:
                self.tally.faults[f"kill {target}"] += 1

    def _follow(self, job: Job, seconds: float) -> None:
        """Take in what the runtime says, for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                next(job.events(left), None)
            except TimeoutError:
                return
            if job.state.final:
                return

    def check(self, result: JobResult, wanted: JobResult) -> None:
        """Hold what the job left against what it should have."""
        violations, name = self.tally.violations, str(self.case)
        if (result.value, result.steps, result.shots) != (wanted.value, wanted.steps, wanted.shots):
            violations.append(f"{name}: {result.value} after {result.steps} steps, undisturbed {wanted.value}")
        seeds = journalled(self.journal)
        if (
            len(set(seeds)) != len(seeds)
            or len([r for r in read(self.journal) if isinstance(r, Stepped)]) != wanted.steps
        ):
            violations.append(f"{name}: its journal does not hold every step once")
        missing = set(seeds) - set(faults.executed(self.ledger))
        if missing:
            violations.append(f"{name}: {len(missing)} circuits have results and were never executed")
        again = self.acknowledged.executed_again()
        if again:
            violations.append(f"{name}: {len(again)} circuits were executed after they had been acknowledged")
        self.tally.jobs[name] += 1
        self.tally.steps += result.steps
        self.tally.rows += len(faults.executed(self.ledger))
        self.tally.again += len(faults.repeated(self.ledger))


def undisturbed() -> dict[Case, JobResult]:
    """What each case comes to when nothing happens."""
    with LocalRuntime() as runtime:
        return {
            case: runtime.run(case.target, parameters={"method": case.method}, shots=SHOTS, seed=SEED).raise_for_error()
            for case in (Case(*one) for one in CASES)
        }


def main() -> int:
    """Run rounds until the time is over; 1 when a check failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="repeats the draws, though not their moments")
    arguments = parser.parse_args()
    seed = random.randrange(1 << 32) if arguments.seed is None else arguments.seed
    print(f"soak: {arguments.minutes:g} minutes, seed {seed}", flush=True)
    draw, tally = random.Random(seed), Tally()
    wanted = undisturbed()
    until = time.monotonic() + 60 * arguments.minutes
    told = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hybrid-runtime-soak-") as scratch:
        tempfile.tempdir = scratch  # what runtimes leave behind is found there
        while time.monotonic() < until:
            case = draw.choice(list(wanted))
            with tempfile.TemporaryDirectory() as folder:
                one = Round(case, Path(folder), draw, tally)
                result = one.play()
                if result is not None:
                    one.check(result, wanted[case])
                tally.violations += [f"{case}: process {pid} lives on" for pid in one.processes.left()]
            left = sorted(path.name for path in Path(scratch).iterdir())
            tally.violations += [f"{case}: {name} was left behind" for name in left]
            if time.monotonic() - told > REPORT_EVERY_S:
                told = time.monotonic()
                print(tally.report(), flush=True)
    print(tally.report(), flush=True)
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
