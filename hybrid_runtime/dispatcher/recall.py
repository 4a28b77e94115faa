"""Gives a job's recorded past to its new worker, piece by piece, and to the dispatcher's own books."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher.journal import Noted, Resumed, Stepped, Turned, read
from hybrid_runtime.errors import ErrorData
from hybrid_runtime.protocol.messages import RecordedStep, Replay
from hybrid_runtime.protocol.replay import Request, decode_canonical

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hybrid_runtime.dispatcher.stop import Usage
    from hybrid_runtime.protocol.messages import Diverged

BATCH_BYTES = 1024 * 1024
# Of the parameters and circuits of a request, this many are shown to a person.
_SHOWN = 6
_NO_ITEMS = msgspec.Raw(b"\x90")
Notes = list[tuple[list[tuple[str, float]], list[str]]]


class Recall:
    """The recorded steps of one job, each read once, in order.

    Args:
        path: The journal.
        until: Offset up to which it holds what happened before.
        usage: Is told of each step.
        take_notes: Is given the metrics and log lines of each step.
    """

    def __init__(
        self, path: Path, until: int, usage: Usage, take_notes: Callable[[list[tuple[str, float]], list[str]], None]
    ) -> None:
        self._records = read(path, until)
        self._usage = usage
        self._take_notes = take_notes
        self._notes: Notes = []
        self._next = self._read()

    def batch(self) -> Replay:
        """The next steps, about a megabyte of them, and whether they are the last.

        Raises:
            JournalError: the journal is corrupt, at the offset that the text gives.
        """
        steps: list[RecordedStep] = []
        size = 0
        while self._next is not None and size < BATCH_BYTES:
            steps.append(self._next)
            size += len(self._next.request) + len(self._next.items)
            self._next = self._read()
        return Replay(steps, self._next is None)

    def _read(self) -> RecordedStep | None:
        """The next step; what it used and noted counts from here on."""
        for record in self._records:
            kind = type(record)
            if kind is Stepped:
                self._usage.answered(record.shots, record.duration_s)  # type: ignore[union-attr]
                self._keep_notes()
                return RecordedStep(record.request, record.items)  # type: ignore[union-attr]
            if kind is Turned:
                self._keep_notes()
                return RecordedStep(record.request, _NO_ITEMS, record.error)  # type: ignore[union-attr]
            if kind is Noted:
                self._notes.append((record.metrics, record.logs))  # type: ignore[union-attr]
            elif kind is Resumed:
                # The step that these belonged to was never answered: the algorithm has made them again since.
                self._notes.clear()
        return None

    def _keep_notes(self) -> None:
        for metrics, logs in self._notes:
            self._take_notes(metrics, logs)
        self._notes.clear()


def divergence(message: Diverged) -> ErrorData:
    """The error of an algorithm that does not do again what it did."""
    now = f"asks for {_described(message.asked)}" if message.asked else "ends"
    text = (
        f"the algorithm does not do again what its journal holds: step {message.number} was "
        f"{_described(message.recorded)}; now it {now}. Resume with the file as it was then, and take random numbers "
        "from context.rng, or start a new job"
    )
    return ErrorData(kind="ReplayDiverged", text=text, family="ReplayDiverged")


def _described(request: bytes) -> str:
    try:
        calls = decode_canonical(request)
    except msgspec.DecodeError:
        return "something unreadable"
    circuits = sum(call.rows for call in calls)
    shown = "; ".join(map(_call, calls[:_SHOWN])) + ("; …" if len(calls) > _SHOWN else "")
    return f"{circuits} circuit{'s' * (circuits != 1)} ({shown})"


def _call(call: Request) -> str:
    count = len(call.values) // 8
    values = struct.unpack(f"<{count}d", call.values[: 8 * count])
    shown = ", ".join(map(repr, values[:_SHOWN])) + (", …" if count > _SHOWN else "")
    times = f"{call.rows} times " if call.rows > 1 else ""
    shots = f"with {call.shots} shots" if call.shots else "exactly"
    return f"{times}program {call.program.hex()[:8]} {shots}" + (f" at {shown}" if count else "")
