"""Doubles: an algorithm is run in the test's own process, against results that the test makes up.

No process is started and no backend is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from hybrid_runtime.algorithm import History, HybridAlgorithm, HybridFunction
from hybrid_runtime.classical.styles import Failure
from hybrid_runtime.classical.styles import drive as drive_style
from hybrid_runtime.context import Answered, Context, Notes
from hybrid_runtime.dispatcher.stop import Usage
from hybrid_runtime.errors import AlgorithmTimeout, BackendFailed, InvalidInput, StopRequested, UserCodeError
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.limits import Limits, StopReason
from hybrid_runtime.protocol.messages import Capabilities
from hybrid_runtime.quantum.driver import ALL_OPERATIONS
from hybrid_runtime.result import QuantumResult
from hybrid_runtime.values import decode_value, encode_value

if TYPE_CHECKING:
    from hybrid_runtime.circuit import Circuit

Result: TypeAlias = "Mapping[str, int] | QuantumResult"
Answer: TypeAlias = "Result | Sequence[Result] | Exception | StopReason"
Answers: TypeAlias = "Sequence[Answer] | Callable[[Circuit], Result]"


class StubExchange:
    """What stands behind a `Context` in a test: answers steps from a script, and records what was asked.

    `context` is that context, to be given to whatever wants one.

    Args:
        answers: One entry for each step: counts or a `QuantumResult`, which every circuit of the step gets; a
            sequence of them, one for each circuit; an exception such as `CircuitRejected`, which is raised in
            the algorithm; or a `StopReason`, with which the job is being stopped from here on. Or, instead of a
            list, a function that gives the result of one circuit.
        parameters: The job's parameters.
        shots: Shots of circuits that name none; None for exact results.
        seed: The job's seed.
        limits: When the job is being stopped. Those of wall and think time do not interrupt a computation here.
        backend: What `Context.backend` shows; an emulator of 64 qubits when None.
        check: Whether circuits are parsed, and so refused, as in a job, and answers have to fit their registers.

    Attributes:
        requests: The circuits of each step that was answered.

    Raises:
        InvalidInput: an answer is none of these.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        parameters: Mapping[str, Any] | None = None,
        shots: int | None = 1024,
        seed: int = 0,
        limits: Limits | None = None,
        backend: Capabilities | None = None,
        check: bool = True,
    ) -> None:
        self.requests: list[list[Circuit]] = []
        self._logs: list[str] = []
        self._function = answers if callable(answers) else None
        self._answers = [] if callable(answers) else [_checked(answer) for answer in answers]
        self._compiler = Compiler() if check else None
        self._notes = Notes(self._take_notes)
        self._usage = Usage(limits or Limits(), time.monotonic())
        self.context = Context(
            self._run,
            self._notes,
            parameters=decode_value(encode_value(dict(parameters or {}), "parameters")),
            seed=seed,
            shots=shots,
            limits=limits or Limits(),
            backend=backend or _stub_backend(),
        )

    def _take_notes(self) -> None:
        metrics, logs = self._notes.take()
        self._usage.metrics(metrics)
        self._logs += logs

    @property
    def logs(self) -> list[str]:
        """What the algorithm logged."""
        self._take_notes()
        return self._logs

    def _run(self, circuits: list[Circuit]) -> Answered:
        self._take_notes()
        widths = [self._width(circuit) for circuit in circuits]
        shots = [circuit.settings.shots_asked(self.context.shots) or 0 for circuit in circuits]
        reason = self._usage.verdict(sum(shots), time.monotonic())
        if reason is not None:
            raise self._stop(reason)
        answer = self._next()
        if self._function is not None:
            answer = [self._function(circuit) for circuit in circuits]
        if isinstance(answer, StopReason):
            raise self._stop(answer)
        if isinstance(answer, Exception):
            raise answer.with_traceback(None)
        given = [answer] * len(circuits) if isinstance(answer, Mapping | QuantumResult) else list(answer)
        if len(given) != len(circuits):
            raise InvalidInput(f"a step of {len(circuits)} circuits is answered by {len(given)} results")
        results = [self._result(*one) for one in zip(given, shots, widths, strict=True)]
        self.requests.append(circuits)
        done, duration_s = sum(result.shots_done for result in results), sum(one.duration_s for one in results)
        self._usage.answered(done, duration_s)
        return results, done, duration_s, None

    def _width(self, circuit: Circuit) -> int | None:
        """Bits of the circuit's register; None where circuits are not checked."""
        return None if self._compiler is None else self._compiler.compile(circuit).program.bits

    def _next(self) -> Any:
        if self._function is not None:
            return None
        if not self._answers:
            raise BackendFailed(f"the script has no answer left for step {len(self.requests) + 1}")
        return self._answers.pop(0)

    def _stop(self, reason: StopReason) -> StopRequested:
        self.context.request_stop(reason)
        return StopRequested(reason.value)

    def _result(self, given: Result, shots: int, width: int | None) -> QuantumResult:
        given = _checked_result(given)
        if isinstance(given, Mapping):
            counts = dict(given)
            given = QuantumResult(
                counts=counts,
                shots_requested=shots,
                shots_done=sum(counts.values()),
                seed=self.context.seed,
                backend=self.context.backend.name,
            )
        strange = [bits for bits in given.counts if width is not None and len(bits) != width]
        if strange:
            raise InvalidInput(f"the answer {strange[0]!r} has {len(strange[0])} bits, the circuit's register {width}")
        return given


class Outcome(NamedTuple):
    """What became of an algorithm that was driven."""

    value: Any
    """The job's value, as it would have come back from a worker."""
    history: History
    """What the algorithm's own `History` held at the end."""
    requests: list[list[Circuit]]
    """The circuits of each step."""
    logs: list[str]
    """What it logged."""
    stop_reason: StopReason
    """Why it ended."""


def drive(algorithm: Any, answers: Answers, **settings: Any) -> Outcome:
    """Run an algorithm to its end against scripted answers, in this process.

    Args:
        algorithm: A `HybridAlgorithm` class or instance, or a function, marked `@hybrid` or not.
        answers: What comes back; see `StubExchange`.
        settings: Any other argument of `StubExchange`.

    Raises:
        Exception: whatever the algorithm raised.
        UserCodeError: it raised something that is no `Exception`, such as `SystemExit`.
        AlgorithmTimeout: it was stopped before its first step.
        ResultNotEncodable: its value is not plain data.
    """
    if isinstance(algorithm, FunctionType):
        algorithm = HybridFunction(algorithm)
    if not isinstance(algorithm, HybridFunction | HybridAlgorithm) and not _is_algorithm_class(algorithm):
        raise InvalidInput(f"{algorithm!r:.80} is not an algorithm: give a HybridAlgorithm or a function")
    stub = StubExchange(answers, **settings)
    context = stub.context
    try:
        value = drive_style(algorithm, context, _nothing)
    except Failure as failure:
        cause = failure.cause
    else:
        return _outcome(value, stub)
    if isinstance(cause, StopRequested):
        raise AlgorithmTimeout(f"the algorithm was stopped ({cause.reason}) before its first step") from cause
    if not isinstance(cause, Exception):
        raise UserCodeError(f"the algorithm raised {type(cause).__name__}: {cause}") from cause
    raise cause


def _outcome(value: Any, stub: StubExchange) -> Outcome:
    history = stub.context.history
    return Outcome(decode_value(encode_value(value)), history, stub.requests, stub.logs, history.stop_reason)


def _is_algorithm_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, HybridAlgorithm)


def _nothing() -> None:
    """A worker would tell the dispatcher that only `finalize` is left."""


def _stub_backend() -> Capabilities:
    return Capabilities(name="stub", driver="stub", qubits=64, max_shots=10_000_000, operations=ALL_OPERATIONS)


def _checked(answer: Any) -> Answer:
    if isinstance(answer, Exception | StopReason):
        return answer
    if isinstance(answer, Sequence) and not isinstance(answer, str | bytes):
        return [_checked_result(one) for one in answer]
    return _checked_result(answer)


def _checked_result(given: Any) -> Result:
    if isinstance(given, QuantumResult):
        return given
    if isinstance(given, Mapping) and all(_is_count(bits, count) for bits, count in given.items()):
        return given
    raise InvalidInput(f"an answer is counts such as {{'00': 512, '11': 512}} or a QuantumResult, not {given!r:.80}")


def _is_count(bits: object, count: object) -> bool:
    return isinstance(bits, str) and not set(bits) - {"0", "1"} and isinstance(count, int) and count >= 0
