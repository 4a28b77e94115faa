"""A hardware twin: any driver slowed to a real device's pace, with its calibrations and its failures."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.errors import BackendFailed, InvalidInput
from hybrid_runtime.protocol.results import each
from hybrid_runtime.protocol.sessions import BackendState
from hybrid_runtime.quantum.drivers import registry
from hybrid_runtime.quantum.waiting import Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hybrid_runtime.protocol.messages import Capabilities, ResultData
    from hybrid_runtime.quantum.driver import Batch


class PacedDriver:
    """Runs circuits on `inner` and gives each result when a device would have it.

    Args:
        inner: Name of the driver that computes the results.
        inner_options: Its options.
        shot_s: Time of one shot.
        overhead_s: Time of loading one row, before its shots.
        calibrate_every_s: Time between two calibrations; 0 for none. Rows that meet one wait until it is over.
        calibrate_s: Time of one calibration.
        fail_rate: Share of the rows that fail with `BackendFailed`; sent again, a row has a new chance.
        seed: Decides which rows fail.

    Raises:
        InvalidInput: for an option out of range.
        BackendUnknown: when `inner` is not the name of a driver.
    """

    def __init__(
        self,
        *,
        inner: str = "qulacs",
        inner_options: Mapping[str, Any] | None = None,
        shot_s: float = 100e-6,
        overhead_s: float = 0.0,
        calibrate_every_s: float = 0.0,
        calibrate_s: float = 0.0,
        fail_rate: float = 0.0,
        seed: int = 0,
    ) -> None:
        for name, value in (
            ("shot_s", shot_s),
            ("overhead_s", overhead_s),
            ("calibrate_every_s", calibrate_every_s),
            ("calibrate_s", calibrate_s),
        ):
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise InvalidInput(f"option {name} is a number of seconds from 0, not {value!r}")
        if not isinstance(fail_rate, int | float) or not 0 <= fail_rate <= 1:
            raise InvalidInput(f"option fail_rate is a share from 0 to 1, not {fail_rate!r}")
        self._inner = registry.open(inner, inner_options)
        self._shot_s = shot_s
        self._overhead_s = overhead_s
        self._calibrate_every_s = calibrate_every_s
        self._calibrate_s = calibrate_s
        self._fail_rate = fail_rate
        self._random = random.Random(seed)
        self._opened = time.monotonic()
        self._pause = Pause()
        self._tell: Callable[[BackendState], None] = lambda _state: None

    def capabilities(self) -> Capabilities:
        """Those of the inner driver, save for exact results: a device has none."""
        inner = self._inner.capabilities()
        return msgspec.structs.replace(inner, name="paced", driver="paced", exact=False, observables=False)

    def watch(self, tell: Callable[[BackendState], None]) -> None:
        """Tell of calibrations that a row has to wait for."""
        self._tell = tell

    def execute(self, batch: Batch) -> Iterator[ResultData]:
        """Run the rows on the inner driver and hold each result back until its time."""
        self._pause.clear()
        duration = self._overhead_s + batch.shots * self._shot_s
        results = each(self._inner.execute(batch))
        for _ in batch.seeds:
            self._wait_calibrated(batch.deadline)
            end = time.monotonic() + duration
            if self._random.random() < self._fail_rate:
                raise BackendFailed("the device lost this circuit; sent again, it may run")
            result = next(results, None)
            if result is None:
                raise BackendFailed("the inner driver gave fewer results than it was asked for")
            self._pause.wait(max(end - time.monotonic(), 0.0), batch.deadline)
            yield msgspec.structs.replace(result, duration_s=duration)

    def interrupt(self) -> None:
        """End the waiting, and what the inner driver does."""
        self._inner.interrupt()
        self._pause.interrupt()

    def close(self) -> None:
        """Close the inner driver."""
        self._inner.close()
        self._pause.close()

    def _wait_calibrated(self, deadline: float) -> None:
        left = self._calibration_left()
        if left:
            self._tell(BackendState.CALIBRATING)
        self._pause.wait(left, deadline)
        if left:
            self._tell(BackendState.EXECUTING)

    def _calibration_left(self) -> float:
        """Seconds until the calibration that is going on ends; 0 outside of one."""
        if not self._calibrate_every_s:
            return 0.0
        since = (time.monotonic() - self._opened) % (self._calibrate_every_s + self._calibrate_s)
        return self._calibrate_every_s + self._calibrate_s - since if since >= self._calibrate_every_s else 0.0
