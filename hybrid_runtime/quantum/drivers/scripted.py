"""Drivers that do not compute: `ScriptedDriver` for tests of whatever talks to a backend, `NullDriver` for latency.

::

    driver = ScriptedDriver([{"00": 512, "11": 512}, BackendFailed("the fridge is warm"), Delay(0.2), {"00": 1024}])

The same script as JSON, for a driver in a process of its own::

    {"answers": [{"00": 512, "11": 512}, {"error": "BackendFailed", "text": "the fridge is warm"},
                 {"delay_s": 0.2}, {"00": 1024}, {"hang": true}, {"crash": true}], "repeat": true}
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from hybrid_runtime.errors import BackendFailed, ErrorData, InvalidInput, error_classes, rebuild
from hybrid_runtime.protocol.messages import Capabilities, ResultData, ResultItem, ResultTable
from hybrid_runtime.protocol.results import REAL, SEED, column, kind_of_counts
from hybrid_runtime.quantum.driver import ALL_OPERATIONS, Batch
from hybrid_runtime.quantum.waiting import Pause

if TYPE_CHECKING:
    from hybrid_runtime.program import Program

Counts: TypeAlias = "dict[str, int]"


@dataclass(frozen=True, slots=True)
class Delay:
    """The backend takes this long, then gives `then`, or the next answer of the script when None."""

    seconds: float
    then: Answer | None = None


@dataclass(frozen=True, slots=True)
class Hang:
    """The backend never answers and ignores its deadline; only `interrupt` or a kill ends it."""


@dataclass(frozen=True, slots=True)
class Crash:
    """The process of the driver dies at once, by SIGKILL."""


Answer: TypeAlias = "Counts | Exception | Delay | Hang | Crash"
Script: TypeAlias = "Sequence[Answer | Mapping[str, Any]] | Callable[[Program, list[float], int], Counts]"


@dataclass(frozen=True, slots=True)
class Call:
    """One row that the driver was asked for."""

    program: Program
    values: list[float]
    shots: int
    seed: int
    raw: bool


class ScriptedDriver:
    """Gives the answers of a script, one a row, and records what it was asked.

    Args:
        answers: Counts, exceptions to raise, `Delay`, `Hang` and `Crash`, or the JSON forms of these; or a
            function of (program, values, shots) that gives counts or raises.
        repeat: Whether the script begins again at its end; else `BackendFailed`.
        capabilities: What differs from an emulator of 64 qubits, by the names of `Capabilities`.

    Raises:
        InvalidInput: for an answer or a capability that is none of these.
    """

    def __init__(self, answers: Script, *, repeat: bool = False, capabilities: Mapping[str, Any] | None = None) -> None:
        self.calls: list[Call] = []
        self._function = answers if callable(answers) else None
        self._answers = [] if callable(answers) else [_answer(answer) for answer in answers]
        self._repeat = repeat
        self._next = 0
        self._capabilities = _capabilities("scripted", capabilities)
        self._pause = Pause()

    def capabilities(self) -> Capabilities:
        """As configured."""
        return self._capabilities

    def execute(self, batch: Batch) -> Iterator[ResultData]:
        """Answer each row from the script."""
        self._pause.clear()
        program = batch.handle.program
        for row, seed in enumerate(batch.seeds):
            call = Call(program, batch.row(row).tolist(), batch.shots, seed, batch.raw)
            self.calls.append(call)
            counts = self._function(program, call.values, batch.shots) if self._function else self._play(batch)
            raw = [bits for bits, count in counts.items() for _ in range(count)] if batch.raw else None
            yield ResultData(counts, sum(counts.values()), 0.0, seed, raw)

    def interrupt(self) -> None:
        """End a delay or a hang."""
        self._pause.interrupt()

    def close(self) -> None:
        """Free what waiting needs."""
        self._pause.close()

    def _play(self, batch: Batch) -> Counts:
        """Act the script on until it gives counts."""
        answer: Answer | None = None
        while True:
            answer = self._take() if answer is None else answer
            if isinstance(answer, dict):
                return answer
            if isinstance(answer, Exception):
                raise answer.with_traceback(None)  # else every repeat would lengthen it
            if isinstance(answer, Crash):
                os.kill(os.getpid(), signal.SIGKILL)
            elif isinstance(answer, Hang):
                self._pause.wait_for_ever()
            else:
                self._pause.wait(answer.seconds, batch.deadline)
                answer = answer.then

    def _take(self) -> Answer:
        if self._next == len(self._answers) and self._repeat:
            self._next = 0
        if self._next == len(self._answers):
            raise BackendFailed(f"the script has no answer left; it held {len(self._answers)}")
        answer = self._answers[self._next]
        self._next += 1
        return answer


class NullDriver:
    """Answers at once that all bits were 0: what remains is the time of everything around the backend.

    Args:
        capabilities: What differs from an emulator of 64 qubits, by the names of `Capabilities`.

    Raises:
        InvalidInput: for a capability that does not exist.
    """

    def __init__(self, *, capabilities: Mapping[str, Any] | None = None) -> None:
        self._capabilities = _capabilities("null", {"exact": True, "observables": True} | dict(capabilities or {}))

    def capabilities(self) -> Capabilities:
        """As configured."""
        return self._capabilities

    def execute(self, batch: Batch) -> list[ResultItem]:
        """All shots on the register 0; exactly, all qubits in |0>."""
        seeds, shots = batch.seeds, batch.shots
        zeros = "0" * batch.handle.program.bits
        observable = batch.handle.program.observable
        value = sum((coefficient for coefficient, letters in observable if not set(letters) - {"I", "Z"}), 0.0)
        if len(seeds) > 1 and not batch.raw:
            told = column(SEED, seeds)
            if observable:
                return [ResultTable(told, 0, 0.0, values=column(REAL, [value] * len(seeds)))]
            if not shots:
                return [ResultTable(told, 0, 0.0, [zeros], probabilities=column(REAL, [1.0] * len(seeds)))]
            return [ResultTable(told, shots, 0.0, [zeros], column(kind_of_counts(shots), [shots] * len(seeds)))]
        if observable:
            return [ResultData({}, 0, 0.0, seed, value=value) for seed in seeds]
        if not shots:
            return [ResultData({}, 0, 0.0, seed, probabilities={zeros: 1.0}) for seed in seeds]
        raw = [zeros] * shots if batch.raw else None
        return [ResultData({zeros: shots}, shots, 0.0, seed, raw) for seed in seeds]

    def estimate_s(self, program: Program) -> float:
        """No time."""
        return 0.0

    def interrupt(self) -> None:
        """Nothing runs long enough to interrupt."""

    def close(self) -> None:
        """Nothing is held."""


def _capabilities(kind: str, given: Mapping[str, Any] | None) -> Capabilities:
    wanted: dict[str, Any] = {"name": kind, "driver": kind, "qubits": 64, "max_shots": 10_000_000}
    wanted |= {"operations": ALL_OPERATIONS} | dict(given or {})
    try:
        return Capabilities(**wanted)
    except TypeError as error:
        raise InvalidInput(f"driver {kind!r}: {error}") from error


def _answer(given: Answer | Mapping[str, Any]) -> Answer:
    """An answer from itself or from its JSON form."""
    if isinstance(given, Exception | Delay | Hang | Crash):
        return given
    if isinstance(given, Mapping):
        if "error" in given:
            return _error(str(given["error"]), str(given.get("text", "")))
        if "delay_s" in given:
            return _delay(given["delay_s"], given.get("then"))
        if given.get("hang"):
            return Hang()
        if given.get("crash"):
            return Crash()
        if given and all(isinstance(count, int) and not set(bits) - {"0", "1"} for bits, count in given.items()):
            return dict(given)
    raise InvalidInput(f"a script's answer is counts, error, delay_s, hang or crash, not {given!r}")


def _delay(seconds: Any, then: Any) -> Delay:
    if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise InvalidInput(f"delay_s is a number of seconds from 0, not {seconds!r}")
    return Delay(seconds, None if then is None else _answer(then))


def _error(name: str, text: str) -> Exception:
    """One of our errors by its name; any other name gives an error that is not ours, as a broken driver raises."""
    if name in error_classes():
        return rebuild(ErrorData(kind=name, text=text, family=name))
    return RuntimeError(text)
