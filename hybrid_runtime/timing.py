"""Where a job's time went."""

from __future__ import annotations

from array import array

import msgspec


class StepTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one step, over all steps of a job; None before the first."""

    p50: float | None = None
    p99: float | None = None
    mean: float | None = None


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a job's time went, in seconds, as the dispatcher saw it.

    Attributes:
        initialize_s: Bundle handed to the worker until its first circuit arrived (or it ended).
        step_s: One whole turn: from a step's request until the next request or the end.
        terminate_s: Last results handed to the worker until the final result was recorded.
        classical_s: All time in which the algorithm was computing.
        quantum_s: All time in which the backend was executing, as it reported itself.
        overhead_s: The rest of the time between requests and their answers: queueing, checks and transport.
        total_s: Bundle handed over until the final result was recorded.
    """

    initialize_s: float = 0.0
    step_s: StepTimes = StepTimes()
    terminate_s: float = 0.0
    classical_s: float = 0.0
    quantum_s: float = 0.0
    overhead_s: float = 0.0
    total_s: float = 0.0


class Stopwatch:
    """Collects one job's times; every call takes the present time of `time.monotonic` or `perf_counter`."""

    # Beyond this, every second sample is dropped and the stride doubles: memory stays bounded, and the
    # quantiles stay those of evenly spaced steps.
    MOST_SAMPLES = 65_536

    def __init__(self, now: float) -> None:
        self._loaded = now
        self._turn = now
        self._samples = array("d")
        self._stride = 1
        self._steps = 0
        self._requested: float | None = None
        self._waiting = False
        self._last_answer: float | None = None
        self._initialize: float | None = None
        self._classical = 0.0
        self._answering = 0.0
        self._step_total = 0.0
        self.quantum_s = 0.0

    def requested(self, now: float) -> None:
        """A step's request arrived: the algorithm's turn is over."""
        self._classical += now - self._turn
        if self._initialize is None:
            self._initialize = now - self._loaded
        else:
            self._sample(now)
        self._requested = now
        self._waiting = True

    def answered(self, now: float) -> None:
        """Its results were sent to the worker: the algorithm's turn begins."""
        if self._waiting and self._requested is not None:
            self._answering += now - self._requested
        self._waiting = False
        self._turn = self._last_answer = now

    def turned_down(self, now: float) -> None:
        """The request was answered without having been run: it is no step."""
        self.answered(now)
        self._requested = None

    def _sample(self, now: float) -> None:
        if self._requested is None:
            return
        elapsed = now - self._requested
        self._step_total += elapsed
        if self._steps % self._stride == 0:
            self._samples.append(elapsed)
            if len(self._samples) >= self.MOST_SAMPLES:
                self._samples = self._samples[::2]
                self._stride *= 2
        self._steps += 1

    def finished(self, now: float) -> Timing:
        """The final result was recorded."""
        if self._initialize is None:
            self._initialize = now - self._loaded
        if self._waiting and self._requested is not None:
            self._answering += now - self._requested  # it ended while its last request was out
        else:
            self._sample(now)
            self._classical += now - self._turn
        ordered = sorted(self._samples)
        times = StepTimes()
        if ordered:
            times = StepTimes(
                p50=_quantile(ordered, 0.5), p99=_quantile(ordered, 0.99), mean=self._step_total / self._steps
            )
        return Timing(
            initialize_s=self._initialize,
            step_s=times,
            terminate_s=now - (self._last_answer if self._last_answer is not None else self._loaded),
            classical_s=self._classical,
            quantum_s=self.quantum_s,
            overhead_s=max(0.0, self._answering - self.quantum_s),
            total_s=now - self._loaded,
        )


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
