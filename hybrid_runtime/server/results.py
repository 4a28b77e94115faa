"""What became of a job, as the job manager keeps it: from the dispatcher's last word, or from the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher.journal import Noted, Over, Resumed, Stepped, read
from hybrid_runtime.errors import ErrorData, JournalError, ProtocolError
from hybrid_runtime.job import JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.control import Ended
from hybrid_runtime.resources.jobs import Failure
from hybrid_runtime.resources.records import Result
from hybrid_runtime.timing import Timing
from hybrid_runtime.values import decode_value, encode_value, to_json

if TYPE_CHECKING:
    from pathlib import Path

Metrics = dict[str, list[float]]
_NOTHING = encode_value(None)


def result_of(ended: Ended, metrics: Metrics, backend: str, seed: int) -> Result:
    """The result of a job whose dispatcher says that it ended like this."""
    value, state, error = None, ended.state, ended.error
    try:
        value = to_json(decode_value(ended.value))
    except ProtocolError as problem:  # it was made beside the algorithm's code, which may have forged it
        error = error or ErrorData(kind="ResultNotEncodable", text=str(problem), family="ResultNotEncodable")
        state = JobState.FAILED
    return Result(
        job_id=ended.job_id,
        state=state,
        stop_reason=ended.stop_reason,
        result=value,
        error=None if error is None else Failure(kind=error.kind, text=error.text, traceback=error.traceback),
        steps=ended.steps,
        shots=ended.shots,
        metrics={name: [to_json(one) for one in values] for name, values in metrics.items()},
        backend=backend,
        seed=seed,
        isolation=ended.isolation,
        timing=to_json(msgspec.to_builtins(ended.timing)),
    )


class Kept:
    """What the journal of a job holds of its result.

    Args:
        path: The journal; one that does not exist holds nothing.

    Raises:
        JournalError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.over: Over | None = None
        self.began = False
        self.steps = self.shots = 0
        self.qpu_s = 0.0
        self.metrics: Metrics = {}
        self._pending: list[tuple[str, float]] = []
        if path.exists():
            for record in read(path):
                self._take(record)
        self._keep()

    def _take(self, record: object) -> None:
        if isinstance(record, Noted):
            self._pending += record.metrics
        elif isinstance(record, Stepped):
            self._keep()
            self.steps += 1
            self.shots += record.shots
            self.qpu_s += record.duration_s
        elif isinstance(record, Resumed):
            # The algorithm has made them again since.
            self._pending.clear()
            self.over = None
        elif isinstance(record, Over):
            self.over = record
        self.began = True

    def _keep(self) -> None:
        for name, value in self._pending:
            self.metrics.setdefault(name, []).append(value)
        self._pending.clear()

    def ended(self, job_id: str) -> Ended | None:
        """The dispatcher's last word, if the journal has it; but for times, which it does not keep."""
        over = self.over
        if over is None:
            return None
        state, reason = JobState(over.state), StopReason(over.stop_reason)
        timing = Timing(quantum_s=self.qpu_s)
        return Ended(job_id, state, reason, over.value, self.steps, self.shots, timing, over.error, "")

    def given_up(self, job_id: str, error: ErrorData, *, cancelled: bool = False) -> Ended:
        """The end of a job that does not go on from here."""
        state = JobState.CANCELLED if cancelled else JobState.FAILED
        reason = StopReason.CANCELLED if cancelled else StopReason.ERROR
        timing = Timing(quantum_s=self.qpu_s)
        return Ended(job_id, state, reason, _NOTHING, self.steps, self.shots, timing, error, "")


def kept_of(path: Path) -> Kept:
    """What a journal holds of its result; nothing where it cannot be read."""
    try:
        return Kept(path)
    except JournalError:
        return Kept(path.with_name("none"))
