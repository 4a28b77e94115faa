"""A job as its user holds it: followed, stopped, paused and taken up again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import structs

from hybrid_runtime.errors import ErrorData, InvalidInput, ProtocolError
from hybrid_runtime.job import JobResult, JobState
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.control import Cancel, Ended, Log, Pause, Paused, Progress, Submit
from hybrid_runtime.timing import Timing
from hybrid_runtime.values import decode_value, encode_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hybrid_runtime.local import LocalRuntime

Event = Progress | Log


class Job:
    """A job given to a `LocalRuntime`; its events and result arrive as they are asked for.

    Attributes:
        job_id: Its name.
        state: Where it is in its life, as far as was told.
        steps: Steps answered so far.
        shots: Shots done so far.
        furthest: The most steps it ever had, also before it began anew.
        metrics: What it reported, by name.
        logs: What it printed and logged.
    """

    def __init__(self, client: LocalRuntime, submit: Submit) -> None:
        self._client = client
        self._submit = submit
        self.job_id = submit.job_id
        self.state = JobState.STARTING
        self.steps = self.shots = self.furthest = 0
        self.metrics: dict[str, list[float]] = {}
        self.logs: list[str] = []
        self._result: JobResult | None = None
        self._wall_from: float | None = None
        self._wall_s = submit.limits.wall_s

    def cancel(self, *, kill: bool = False) -> None:
        """Stop the job: gracefully, so that `finalize` runs; or at once with `kill`, or where it is paused."""
        if self.state is JobState.PAUSED:
            error = ErrorData(kind="JobCancelled", text="cancelled while it was paused", family="JobCancelled")
            cancelled, reason = JobState.CANCELLED, StopReason.CANCELLED
            last = {name: values[-1] for name, values in self.metrics.items()}
            value = encode_value(last or None)
            self._client._take(
                Ended(self.job_id, cancelled, reason, value, self.steps, self.shots, Timing(), error, "")
            )
        elif self._result is None:
            self._client._send(Cancel(self.job_id, kill))

    def pause(self) -> None:
        """Take the job from its worker as soon as the step under way is answered; `resume` takes it up again.

        Returns at once: `events` ends when the job has paused, or has ended instead.
        """
        if self._result is None and self.state is not JobState.PAUSED:
            self._client._send(Pause(self.job_id))

    def resume(self) -> None:
        """Take up the job, which is paused, after its last step.

        Raises:
            InvalidInput: it is not paused.
        """
        if self.state is not JobState.PAUSED:
            raise InvalidInput(f"job {self.job_id} is {self.state}: only a paused job is resumed")
        self._client._again(self, "paused")

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """What happens to this job, as it happens, until it ends or has paused.

        Raises:
            TimeoutError: nothing happened for `timeout_s`; iterate again to go on.
        """
        while self._result is None and self.state is not JobState.PAUSED:
            event = self._client._next(self, timeout_s)
            if event is not None:
                yield event

    def result(self) -> JobResult:
        """Wait for the job's end; its result, whatever its state.

        Raises:
            InvalidInput: it is paused, or has paused.
        """
        for _ in self.events():
            pass
        if self._result is None:
            raise InvalidInput(f"job {self.job_id} is paused: resume it first")
        return self._result

    def begin_anew(self) -> None:
        """Forget what was told of it: all of that is told again."""
        self.metrics.clear()
        self.logs.clear()

    def _taken_up(self, why: str) -> Submit:
        """What has a dispatcher go on with this job."""
        self.begin_anew()
        self.state = JobState.STARTING
        if self._wall_from is not None and self._wall_s is not None:
            # It ran until its dispatcher was lost.
            self._wall_s = max(self._wall_s - (time.monotonic() - self._wall_from), 1e-3)
            self._wall_from = None
        limits = structs.replace(self._submit.limits, wall_s=self._wall_s)
        return structs.replace(self._submit, limits=limits, resume=why)

    def _take(self, event: Event | Paused | Ended) -> None:
        if isinstance(event, Progress):
            self.state = event.state
            self.steps, self.shots = event.steps, event.shots
            self.furthest = max(self.furthest, event.steps)
            if self._wall_from is None:
                self._wall_from = time.monotonic()
            for name, value in event.metrics:
                self.metrics.setdefault(name, []).append(value)
        elif isinstance(event, Log):
            self.logs += event.lines
        elif isinstance(event, Paused):
            self.state = JobState.PAUSED
            self._wall_s, self._wall_from = event.wall_left_s, None
        else:
            self.state = event.state
            self._result = self._made(event)

    def _made(self, event: Ended) -> JobResult:
        backend = self._client.backend
        backends = event.backends or [backend.name if backend else self._client.backend_name]
        value, error = None, event.error
        try:
            value = decode_value(event.value)
        except ProtocolError as problem:  # it was made beside the algorithm's code, which may have forged it
            error = error or ErrorData(kind="ResultNotEncodable", text=str(problem), family="ResultNotEncodable")
            self.state = JobState.FAILED
        return JobResult(
            value=value,
            state=self.state,
            stop_reason=event.stop_reason,
            steps=event.steps,
            shots=event.shots,
            metrics=self.metrics,
            timing=event.timing,
            error=error,
            job_id=self.job_id,
            backend=backends[-1],
            backends=backends,
            seed=self._submit.seed,
            isolation=event.isolation,
            logs=self.logs,
        )

    def __repr__(self) -> str:
        return f"<Job {self.job_id} {self.state.value}>"
