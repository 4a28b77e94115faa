"""The dispatcher that also notes when each step reaches each stage.

It is a class of its own, chosen when the process starts, so that a dispatcher without tracing has nothing to ask
or skip on its way.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.backend import Backend
from hybrid_runtime.dispatcher.loop import Dispatcher
from hybrid_runtime.dispatcher.waterfall import JobTrace, Waterfall

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hybrid_runtime.dispatcher.actions import Run
    from hybrid_runtime.dispatcher.jobs import Job
    from hybrid_runtime.dispatcher.ports import ClassicalPort, InlinePort, QuantumPort, WorkerPort
    from hybrid_runtime.protocol.control import Submit
    from hybrid_runtime.protocol.messages import Executed, Failure
    from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

# On the way of a step the methods of the base class are called by its name, which is quicker than by `super`.
_now = time.perf_counter


class _TracingBackend(Backend):
    """A backend that notes when a step is sent.

    Attributes:
        traces: Those of all jobs, by name.
    """

    traces: dict[str, JobTrace]

    def _run_inline(self, inline: InlinePort, job: Job, run: Run) -> Executed | Failure | None:
        trace = self.traces[job.job_id]
        trace.checked = trace.asked = _now()
        return Backend._run_inline(self, inline, job, run)

    def _ask_next(self, *, at_once: bool = False) -> None:
        # Before it is sent: a part of it may be run here meanwhile.
        self.traces[self._asking[0][0].job_id].asked = _now()
        Backend._ask_next(self, at_once=at_once)


class TracingDispatcher(Dispatcher):
    """A dispatcher that writes the waterfall of its jobs to a file.

    Args:
        trace: The file.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(
        self,
        control: SeqPacketChannel,
        classical: ClassicalPort,
        quantum: Sequence[QuantumPort],
        *,
        trace: Path,
        patience_s: float = 0.0,
    ) -> None:
        self._waterfall: Waterfall | None = Waterfall(trace, _now())
        self._traces: dict[str, JobTrace] = {}
        super().__init__(control, classical, quantum, patience_s=patience_s)

    def _new_backend(self, port: QuantumPort, timeout_s: float) -> Backend:
        backend = _TracingBackend(port, self._epoll, timeout_s)
        backend.traces = self._traces
        return backend

    def run(self) -> None:
        """Step jobs until the client is gone, then complete the file."""
        super().run()
        if self._waterfall is not None:
            try:
                self._waterfall.close()
            except OSError as error:
                self._give_up(error)

    def _start(self, submit: Submit, worker: WorkerPort, backend: Backend) -> None:
        self._traces[submit.job_id] = JobTrace(submit.job_id, _now())
        super()._start(submit, worker, backend)

    def _take(self, job: Job, data: bytes | memoryview) -> None:
        trace = self._traces[job.job_id]
        trace.received = _now()
        Dispatcher._take(self, job, data)
        trace.checked = _now()

    def _answered(self, job: Job, message: Executed | Failure) -> None:
        arrived = _now()
        Dispatcher._answered(self, job, message)
        self._traces[job.job_id].answered(arrived, _now(), job.machine.watch.quantum_s)

    def _release(self, job: Job) -> None:
        super()._release(job)
        trace = self._traces.pop(job.job_id)
        if self._waterfall is not None:
            try:
                self._waterfall.add(trace, _now())
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Jobs are worth more than their trace: they go on without."""
        self._waterfall = None
        print(f"the trace cannot be written any more: {error.strerror}", file=sys.stderr)
