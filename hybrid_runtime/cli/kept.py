"""The result of a job that has ended, from its journal: for one whose result could not be written when it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.journal import Moved, Noted, Over, Resumed, Stepped, Turned, read
from hybrid_runtime.dispatcher.surveying import survey
from hybrid_runtime.job import JobResult, JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.timing import Timing
from hybrid_runtime.values import decode_value

if TYPE_CHECKING:
    from pathlib import Path


def completed(journal: Path) -> JobResult | None:
    """What the job of this journal came to, but for times; None where it has not completed.

    Raises:
        JournalError: the journal cannot be read, or is corrupt.
    """
    known = survey(journal)
    began, over = known.began, known.over
    if began is None or over is None or over.state != JobState.COMPLETED:
        return None
    metrics: dict[str, list[float]] = {}
    logs: list[str] = []
    backends = [began.backend.name]
    shots, qpu_s = 0, 0.0
    notes: list[Noted] = []
    for record in read(journal):
        if isinstance(record, Noted):
            notes.append(record)
        elif isinstance(record, Resumed):
            notes.clear()  # the algorithm has made them again since
        elif isinstance(record, Moved):
            backends.append(record.backend.name)
        elif isinstance(record, Stepped | Turned | Over):
            for note in notes:
                logs += note.logs
                for name, value in note.metrics:
                    metrics.setdefault(name, []).append(value)
            notes.clear()
            if isinstance(record, Stepped):
                shots, qpu_s = shots + record.shots, qpu_s + record.duration_s
    return JobResult(
        value=decode_value(over.value),
        state=JobState.COMPLETED,
        stop_reason=StopReason(over.stop_reason),
        steps=known.steps,
        shots=shots,
        metrics=metrics,
        timing=Timing(quantum_s=qpu_s),
        error=None,
        job_id=began.job_id,
        backend=backends[-1],
        backends=backends,
        seed=began.seed,
        isolation="",
        logs=logs,
    )
