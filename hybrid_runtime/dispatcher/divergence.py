"""An algorithm that does not do again what it did, in words for its user. Pure."""

from __future__ import annotations

import struct
from difflib import unified_diff
from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.dispatcher.output import clean
from hybrid_runtime.errors import ErrorData
from hybrid_runtime.protocol.replay import HASH_BYTES, Request, decode_canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.program import Program
    from hybrid_runtime.protocol.messages import Diverged

# Of the parameters and circuits of a request, and of the lines of a difference, this many are shown to a person.
_SHOWN = 6
_SHOWN_LINES = 20


def divergence(message: Diverged, recorded: Callable[[bytes], Program | None] = lambda _hash: None) -> ErrorData:
    """The error that shows both requests, and where they differ.

    Args:
        message: What the worker says.
        recorded: Finds a recorded program by its hash.
    """
    now = f"asks for {_described(message.asked)}" if message.asked else "ends"
    text = (
        f"the algorithm does not do again what its journal holds: step {message.number} was "
        f"{_described(message.recorded)}; now it {now}. Resume with the file as it was then, and take random numbers "
        "from context.rng, or start a new job"
    )
    difference = _difference(message, recorded)
    if len(difference) > _SHOWN_LINES:
        difference = [*difference[:_SHOWN_LINES], f"… and {len(difference) - _SHOWN_LINES} lines more"]
    text = "\n".join([text, *(f"  {clean(line)}" for line in difference)])
    return ErrorData(kind="ReplayDiverged", text=text, family="ReplayDiverged")


def _difference(message: Diverged, recorded: Callable[[bytes], Program | None]) -> list[str]:
    """What differs, circuit by circuit."""
    then, now = _calls(message.recorded), _calls(message.asked)
    if then is None or now is None:
        return []
    bodies = dict(message.programs)
    lines = []
    for index, (old, new) in enumerate(zip_longest(then, now)):
        where = f"circuit {index}" if len(then) > 1 or len(now) > 1 else "the circuit"
        if old is None or new is None:
            lines.append(f"{where} is only in what {'is asked for now' if old is None else 'was recorded'}")
            continue
        if old.program != new.program:
            lines.append(f"{where} has other operations:")
            lines += _operations(recorded(old.program), bodies.get(new.program))
        for name in ("shots", "rows", "raw"):
            if getattr(old, name) != getattr(new, name):
                lines.append(f"{where}, {name}: {getattr(old, name)} -> {getattr(new, name)}")
        pairs = enumerate(zip(_numbers(old), _numbers(new), strict=False))
        lines += [f"{where}, parameter {slot}: {a!r} -> {b!r}" for slot, (a, b) in pairs if a != b]
    return lines


def _operations(old: Program | None, new: Program | None) -> list[str]:
    if old is None or new is None:
        return ["(they are not kept)"]
    return list(unified_diff(_lines(old), _lines(new), "recorded", "now", lineterm="", n=1))


def _lines(program: Program) -> list[str]:
    return [f"qubits {program.qubits}, bits {program.bits}", *map(_line, program.operations)]


def _line(operation: msgspec.Struct) -> str:
    fields = msgspec.to_builtins(operation)
    values = fields.values() if isinstance(fields, dict) else fields
    return " ".join(str(value) for value in values if value not in (None, (), []))


def _calls(request: bytes) -> list[Request] | None:
    if len(request) == HASH_BYTES:
        return None
    try:
        return decode_canonical(request) if request else []
    except msgspec.DecodeError:
        return None


def _described(request: bytes) -> str:
    if len(request) == HASH_BYTES:
        return f"something else (its journal keeps no requests; hash {request.hex()[:8]})"
    calls = _calls(request)
    if calls is None:
        return "something unreadable"
    circuits = sum(call.rows for call in calls)
    shown = "; ".join(map(_call, calls[:_SHOWN])) + ("; …" if len(calls) > _SHOWN else "")
    return f"{circuits} circuit{'s' * (circuits != 1)} ({shown})"


def _call(call: Request) -> str:
    values = _numbers(call)
    shown = ", ".join(map(repr, values[:_SHOWN])) + (", …" if len(values) > _SHOWN else "")
    times = f"{call.rows} times " if call.rows > 1 else ""
    shots = f"with {call.shots} shots" if call.shots else "exactly"
    return f"{times}program {call.program.hex()[:8]} {shots}" + (f" at {shown}" if values else "")


def _numbers(call: Request) -> tuple[float, ...]:
    count = len(call.values) // 8
    return struct.unpack(f"<{count}d", call.values[: 8 * count])
