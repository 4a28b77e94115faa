"""Any driver with faults on purpose, and a ledger of all that it executed: for tests of recovery."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.errors import BackendFailed, InvalidInput
from hybrid_runtime.protocol.results import each
from hybrid_runtime.quantum.drivers import registry
from hybrid_runtime.quantum.waiting import Pause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hybrid_runtime.protocol.messages import Capabilities, ResultData
    from hybrid_runtime.quantum.driver import Batch

BEGUN, DONE = "begun", "done"


class FaultyDriver:
    """Runs circuits on `inner`, and breaks at the rows that it is told.

    Rows are counted from 1, over the whole ledger where there is one: so a quantum runtime that was started again
    after a fault counts on, and does not meet the same fault for ever.

    Args:
        inner: Name of the driver that computes the results.
        inner_options: Its options.
        ledger: File to which each row adds two lines, `begun SEED` and `done SEED`.
        kill_before: Rows before which the process dies, by SIGKILL.
        kill_after: Rows after which it dies, executed but not answered.
        fail_at: Rows that fail with `BackendFailed`; sent again, they run.
        hang_at: Rows that are never answered.
        delay_at: Rows that take `delay_s` longer.
        delay_s: See `delay_at`.
        kill_rate: Share of the rows after which the process dies.
        fail_rate: Share of the rows that fail.
        seed: Decides which ones, together with the row's number.

    Raises:
        InvalidInput: for an option that cannot be used.
        BackendUnknown: when `inner` is not the name of a driver.
    """

    def __init__(
        self,
        *,
        inner: str = "qulacs",
        inner_options: Mapping[str, Any] | None = None,
        ledger: str | None = None,
        kill_before: Sequence[int] = (),
        kill_after: Sequence[int] = (),
        fail_at: Sequence[int] = (),
        hang_at: Sequence[int] = (),
        delay_at: Sequence[int] = (),
        delay_s: float = 0.0,
        kill_rate: float = 0.0,
        fail_rate: float = 0.0,
        seed: int = 0,
    ) -> None:
        for name, rate in (("kill_rate", kill_rate), ("fail_rate", fail_rate)):
            if not isinstance(rate, int | float) or not 0 <= rate <= 1:
                raise InvalidInput(f"option {name} is a share from 0 to 1, not {rate!r:.40}")
        self._inner = registry.open(inner, inner_options)
        self._ledger = None if ledger is None else _Ledger(Path(ledger))
        self._count = 0 if self._ledger is None else self._ledger.begun
        self._kill_before, self._kill_after = _rows("kill_before", kill_before), _rows("kill_after", kill_after)
        self._fail_at, self._hang_at = _rows("fail_at", fail_at), _rows("hang_at", hang_at)
        self._delay_at, self._delay_s = _rows("delay_at", delay_at), delay_s
        self._kill_rate, self._fail_rate = kill_rate, fail_rate
        self._seed = seed
        self._pause = Pause()

    def capabilities(self) -> Capabilities:
        """Those of the inner driver."""
        return msgspec.structs.replace(self._inner.capabilities(), name="faulty", driver="faulty")

    def execute(self, batch: Batch) -> Iterator[ResultData]:
        """Run the rows on the inner driver, but for those that are to break."""
        self._pause.clear()
        results = each(self._inner.execute(batch))
        for seed in batch.seeds:
            self._count += 1
            number = self._count
            chance = random.Random(f"{self._seed} {number}")
            self._note(BEGUN, seed)
            if number in self._kill_before:
                os.kill(os.getpid(), signal.SIGKILL)
            if number in self._fail_at or chance.random() < self._fail_rate:
                raise BackendFailed("the device lost this circuit on purpose; sent again, it runs")
            if number in self._hang_at:
                self._pause.wait_for_ever()
            if number in self._delay_at:
                self._pause.wait(self._delay_s, batch.deadline)
            result = next(results, None)
            if result is None:
                raise BackendFailed("the inner driver gave fewer results than it was asked for")
            self._note(DONE, seed)
            if number in self._kill_after or chance.random() < self._kill_rate:
                os.kill(os.getpid(), signal.SIGKILL)
            yield result

    def interrupt(self) -> None:
        """End the waiting, and what the inner driver does."""
        self._inner.interrupt()
        self._pause.interrupt()

    def close(self) -> None:
        """Close the inner driver and the ledger."""
        self._inner.close()
        self._pause.close()
        if self._ledger is not None:
            self._ledger.close()

    def _note(self, what: str, seed: int) -> None:
        if self._ledger is not None:
            self._ledger.add(f"{what} {seed}\n")


class _Ledger:
    """An append-only file of lines; the death of the process loses none that was added."""

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InvalidInput(f"the ledger {path} cannot be opened: {error.strerror}") from error
        self.begun = path.read_text().count(BEGUN)

    def add(self, line: str) -> None:
        """Add a line."""
        os.write(self._fd, line.encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _rows(name: str, given: Sequence[int]) -> frozenset[int]:
    if isinstance(given, str) or not all(type(number) is int and number > 0 for number in given):
        raise InvalidInput(f"option {name} is a list of row numbers from 1, not {given!r:.60}")
    return frozenset(given)
