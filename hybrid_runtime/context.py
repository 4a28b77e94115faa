"""What an algorithm can see and do while it runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from numbers import Real
from types import EllipsisType
from typing import TYPE_CHECKING, Any, TypeAlias, overload
from uuid import UUID

import msgspec

from hybrid_runtime.algorithm import History
from hybrid_runtime.circuit import Circuit, Observable
from hybrid_runtime.errors import CircuitRejected, StopRequested
from hybrid_runtime.result import QuantumResult

if TYPE_CHECKING:
    import numpy as np

    from hybrid_runtime.limits import Limits, StopReason

# The results of a step, the shots and the seconds of the backend that it took, and what makes the results once more
# where they need not be kept.
Answered: TypeAlias = tuple[list[QuantumResult], int, float, Callable[[], list[QuantumResult]] | None]
Exchange: TypeAlias = Callable[[list[Circuit]], Answered]


class Remaining(msgspec.Struct, frozen=True):
    """What is left of each limit; None where there is none."""

    steps: int | None
    shots: int | None
    wall_s: float | None
    qpu_s: float | None


class Notes:
    """Metrics and log lines on their way out; `flush` sends them when they should not wait for a step."""

    def __init__(self, flush: Callable[[], None]) -> None:
        self.metrics: list[tuple[str, float]] = []
        self.logs: list[str] = []
        self._flush = flush
        self._sent_at = time.monotonic()

    def added(self) -> None:
        """Something was added: send it now if much is waiting or the last message is long ago."""
        if len(self.metrics) + len(self.logs) >= 256 or time.monotonic() - self._sent_at > 0.1:
            self._flush()

    def take(self) -> tuple[list[tuple[str, float]], list[str]]:
        """Everything waiting; it counts as sent."""
        taken = (self.metrics, self.logs)
        if self.metrics or self.logs:
            self.metrics, self.logs = [], []
        self._sent_at = time.monotonic()
        return taken

    def drop(self) -> None:
        """Nothing that waits is to be sent."""
        if self.metrics or self.logs:
            self.metrics, self.logs = [], []

    def put_back(self, metrics: list[tuple[str, float]], logs: list[str]) -> None:
        """What was taken could not be sent."""
        self.metrics[:0] = metrics
        self.logs[:0] = logs


MAX_LOG_CHARACTERS = 8192
MAX_METRIC_NAME = 128
MAX_URANDOM = 1 << 20


class Context:
    """Given to `initialize` or to the function marked `@hybrid`.

    Attributes:
        parameters: The job's parameters.
        shots: Shots of a circuit that names none; None where such a circuit's probabilities are exact.
        backend: What the backend can do (`Capabilities`).
        limits: The job's limits.
        history: What has happened so far.
        seed: The job's seed.
        asked: Whether any circuit has been asked for.
    """

    def __init__(
        self,
        exchange: Exchange,
        notes: Notes,
        *,
        parameters: dict[str, Any],
        seed: int,
        shots: int | None,
        limits: Limits,
        backend: Any,
        listen: Callable[[], None] = lambda: None,
        draw: Callable[[Callable[[], float | bytes]], float | bytes] = lambda make: make(),
    ) -> None:
        self._exchange = exchange
        # Called when an exchange's results are kept: what must not interrupt their keeping may do so now.
        self._listen = listen
        # Records what is not the same in every run, and gives it again in a run that is taken up.
        self._draw = draw
        self._notes = notes
        self.parameters = parameters
        self.seed = seed
        self.shots = shots
        self.limits = limits
        self.backend = backend
        self.history = History()
        self._rng: np.random.Generator | None = None
        self._started = time.monotonic()
        self._qpu_s = 0.0
        self._stop: StopReason | None = None
        self.asked = False

    @property
    def rng(self) -> np.random.Generator:
        """A numpy random generator seeded by the job: the same job seed gives the same numbers."""
        if self._rng is None:
            import numpy as np

            self._rng = np.random.default_rng(self.seed)
        return self._rng

    def time(self) -> float:
        """`time.time()`, recorded: a job that is taken up sees the times that it saw before."""
        return float(self._draw(time.time))

    def now(self) -> datetime:
        """The date and time in UTC, recorded as `time` is."""
        return datetime.fromtimestamp(self.time(), UTC)

    def urandom(self, size: int) -> bytes:
        """`os.urandom(size)`, recorded: random bytes that do not follow from the job's seed, yet come again.

        Raises:
            ValueError: `size` is below 0 or above a megabyte.
        """
        if not 0 <= size <= MAX_URANDOM:
            raise ValueError(f"urandom gives 0 to {MAX_URANDOM} bytes, not {size}")
        return bytes(self._draw(lambda: os.urandom(size)))  # type: ignore[arg-type]

    def uuid4(self) -> UUID:
        """`uuid.uuid4()`, recorded as `urandom` is."""
        return UUID(bytes=self.urandom(16), version=4)

    @overload
    def run(
        self,
        circuits: Circuit,
        *,
        shots: int | EllipsisType | None = ...,
        observable: Observable | None = ...,
        raw: bool | None = ...,
    ) -> QuantumResult: ...
    @overload
    def run(
        self,
        circuits: Sequence[Circuit],
        *,
        shots: int | EllipsisType | None = ...,
        observable: Observable | None = ...,
        raw: bool | None = ...,
    ) -> list[QuantumResult]: ...
    def run(
        self,
        circuits: Circuit | Sequence[Circuit],
        *,
        shots: int | EllipsisType | None = ...,
        observable: Observable | None = None,
        raw: bool | None = None,
    ) -> QuantumResult | list[QuantumResult]:
        """Run circuits as one step and wait: one circuit gives one result, a sequence a list of results.

        Args:
            circuits: What to run.
            shots: For all circuits of the step, in place of their own; None asks for exact probabilities.
            observable: For all circuits of the step, in place of their own; see `Circuit`.
            raw: For all circuits of the step, in place of their own.

        Raises:
            CircuitRejected: this backend cannot run one of them.
            StopRequested: the job is being stopped.
        """
        if shots is not ... or observable is not None or raw is not None:
            circuits = _set(circuits, shots, observable, raw)
        if isinstance(circuits, Circuit):
            result = self._step([circuits])[0][0]
            self.history.add(circuits, result)
            self._listen()
            return result
        batch = as_circuits(circuits)
        results, again = self._step(batch)
        # The algorithm gets a list of its own: what it does to it must not change the history.
        if again is None:
            self.history.add(batch, [*results])
        else:
            self.history.add_unread(batch, again)
        self._listen()
        return results

    def _step(self, circuits: list[Circuit]) -> tuple[list[QuantumResult], Callable[[], list[QuantumResult]] | None]:
        if self._stop is not None:
            raise StopRequested(self._stop.value)
        self.asked = True
        results, shots, qpu_s, again = self._exchange(circuits)
        self.history.shots += shots
        self._qpu_s += qpu_s
        return results, again

    def metric(self, name: str, value: Any) -> None:
        """Report a number: shown live, kept with the result, and watched by a plateau limit.

        Raises:
            TypeError: the value is not a real number, or the name not a short line of text.
            ValueError: the value is too large for a float.
        """
        if not isinstance(name, str) or not 0 < len(name) <= MAX_METRIC_NAME or not name.isprintable():
            raise TypeError(f"a metric's name is a line of 1 to {MAX_METRIC_NAME} characters, not {name!r:.80}")
        number = _number(name, value)
        self.history.metrics.setdefault(name, []).append(number)
        self._notes.metrics.append((name, number))
        self._notes.added()

    def log(self, text: object) -> None:
        """Write a line to the job's log."""
        self._notes.logs.append(str(text)[:MAX_LOG_CHARACTERS])
        self._notes.added()

    @property
    def remaining(self) -> Remaining:
        """What is left of the job's limits."""
        limits, history = self.limits, self.history
        wall_s = time.monotonic() - self._started
        return Remaining(
            steps=None if limits.steps is None else max(0, limits.steps - history.steps),
            shots=None if limits.shots is None else max(0, limits.shots - history.shots),
            wall_s=None if limits.wall_s is None else max(0.0, limits.wall_s - wall_s),
            qpu_s=None if limits.qpu_s is None else max(0.0, limits.qpu_s - self._qpu_s),
        )

    @property
    def stop_requested(self) -> bool:
        """Whether the job is being stopped: time to return what there is."""
        return self._stop is not None

    def request_stop(self, reason: StopReason) -> None:
        """Called by the worker when the dispatcher stops the job."""
        self._stop = reason
        self.history.stop_reason = reason

    def __repr__(self) -> str:
        return f"<Context on {self.backend.name}, {self.history.steps} steps done>"


def _set(
    circuits: Circuit | Sequence[Circuit],
    shots: int | EllipsisType | None,
    observable: Observable | None,
    raw: bool | None,
) -> Circuit | list[Circuit]:
    """The same circuits with what is given here in place of their own settings."""
    batch = [circuits] if isinstance(circuits, Circuit) else as_circuits(circuits)
    if not isinstance(shots, EllipsisType):
        batch = [circuit.with_shots(shots) for circuit in batch]
    if observable is not None:
        batch = [circuit.with_observable(observable) for circuit in batch]
    if raw is not None:
        batch = [circuit.with_raw(raw) for circuit in batch]
    return batch[0] if isinstance(circuits, Circuit) else batch


_CIRCUITS = frozenset({Circuit})


def as_circuits(request: object) -> list[Circuit]:
    """A non-empty sequence of circuits, as a list.

    Raises:
        TypeError: it is something else; the text says what was expected and what came.
    """
    if isinstance(request, str):
        raise TypeError("expected a Circuit, not text: write Circuit(text)")
    if not isinstance(request, Sequence):
        # Generators and numpy object arrays are welcome too, so long as what they hold are circuits.
        if not hasattr(request, "__iter__"):
            raise TypeError(f"expected a Circuit or a sequence of Circuits, not {type(request).__name__}")
        request = list(request)
    # Nearly all hold circuits and nothing else, and this is said of all of them at once.
    if request and _CIRCUITS.issuperset(map(type, request)):
        return list(request)
    for index, item in enumerate(request):
        if not isinstance(item, Circuit):
            raise TypeError(f"expected a sequence of Circuits, but item {index} is {type(item).__name__}")
    if not request:
        raise CircuitRejected("a step needs at least one circuit; this sequence is empty")
    return list(request)


def _number(name: str, value: Any) -> float:
    if getattr(value, "size", 0) == 1:
        value = value.item()
    if isinstance(value, Real):
        try:
            return float(value)
        except OverflowError as error:
            raise ValueError(f"metric {name!r} is too large: {error}") from None
    raise TypeError(f"metric {name!r} takes a real number, not {type(value).__name__}")
