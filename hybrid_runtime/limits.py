"""When a job ends by rule: the limits a user sets and the reasons a job can stop for."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from numbers import Integral, Real
from typing import Any

import msgspec

from hybrid_runtime.errors import InvalidInput

# The dispatcher looks through that many values of the metric at every step.
MAX_PLATEAU_WINDOW = 10_000
# Shots of a job's circuits that name none, and the bounds of what a job is given.
DEFAULT_SHOTS = 1024
MAX_SHOTS = 10_000_000
MAX_SEED = (1 << 63) - 1


class StopReason(StrEnum):
    """Why a job ended. The value is what results, logs and `--json` show."""

    DONE = "done"  # the algorithm returned, or said Done or StopExecution
    STEPS = "steps"
    SHOTS = "shots"
    WALL = "wall"
    QPU = "qpu"
    THINK = "think"
    PLATEAU = "plateau"
    CANCELLED = "cancelled"  # its user asked for it
    ERROR = "error"


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bounds on one job; None is no bound. The first one reached stops the job, and `finalize` still runs.

    Attributes:
        steps: Steps, each one request of one or more circuits.
        shots: Shots over all circuits. A step that would go beyond is not sent.
        wall_s: Seconds since the bundle was handed to the worker.
        qpu_s: Seconds that the backend spent executing.
        think_s: Seconds the algorithm may compute between two steps.
        plateau: `(metric, tolerance, window)`: stop when the last `window` values of the metric differ by at
            most `tolerance`.
        finalize_s: Seconds that a stopped algorithm has to finalize before its worker is killed.
    """

    steps: int | None = None
    shots: int | None = None
    wall_s: float | None = None
    qpu_s: float | None = None
    think_s: float | None = 600.0
    plateau: tuple[str, float, int] | None = None
    finalize_s: float = 10.0

    def __post_init__(self) -> None:
        for name in ("steps", "shots"):
            value = getattr(self, name)
            if value is not None:
                msgspec.structs.force_setattr(self, name, _count(name, value))
        for name in ("wall_s", "qpu_s", "think_s", "finalize_s"):
            value = getattr(self, name)
            if value is None and name != "finalize_s":
                continue
            msgspec.structs.force_setattr(self, name, _seconds(name, value))
        if self.plateau is not None:
            msgspec.structs.force_setattr(self, "plateau", _plateau(self.plateau))


def _count(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not 1 <= int(value) < 1 << 63:
        raise InvalidInput(f"limit {name} is a whole number from 1, not {value!r:.60}")
    return int(value)


def _seconds(name: str, value: Any) -> float:
    # A numpy number is as good as Python's own; what travels is a float.
    try:
        seconds = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        seconds = math.inf
    if not 0 < seconds < math.inf:
        raise InvalidInput(f"limit {name} is a number of seconds above 0, not {value!r:.60}")
    return seconds


def _plateau(given: Any) -> tuple[str, float, int]:
    try:
        metric, tolerance, window = given
        plateau = (str(metric), float(tolerance), int(window))
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"limit plateau is (metric, tolerance, window), not {given!r:.80}") from error
    if not (math.isfinite(plateau[1]) and plateau[1] >= 0 and 2 <= plateau[2] <= MAX_PLATEAU_WINDOW):
        most = MAX_PLATEAU_WINDOW
        raise InvalidInput(f"limit plateau takes a tolerance from 0 and a window of 2 to {most}, not {given!r:.60}")
    return plateau


def whole(name: str, value: Any, least: int, most: int) -> int:
    """The value as an int.

    Raises:
        InvalidInput: it is no whole number, or out of range.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= int(value) <= most:
        raise InvalidInput(f"{name} is a whole number from {least} to {most}, not {value!r:.60}")
    return int(value)


_UNITS = {"": 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([a-z]*)")


def parse_duration(text: str) -> float:
    """Seconds of a text such as `90`, `60s`, `1.5h`, `200ms`.

    Raises:
        InvalidInput: when it is not a duration.
    """
    match = _DURATION.fullmatch(text.strip())
    try:
        if match and match[2] in _UNITS:
            return float(match[1]) * _UNITS[match[2]]
    except ValueError:
        pass  # two points in the number: refused below like every other malformed text
    raise InvalidInput(f"{text!r} is not a duration; write for example 90, 60s, 5m, 1.5h or 200ms")


def parse_limits(texts: list[str]) -> Limits:
    """Limits as the command line writes them: `steps=200`, `wall=60s`, `plateau=energy,1e-4,10`.

    Raises:
        InvalidInput: for an unknown name, a bad value or a name given twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().removesuffix("_s")
        if not equals or name not in ("steps", "shots", "wall", "qpu", "think", "plateau", "finalize"):
            raise InvalidInput(
                f"limit {text!r} is not known; write NAME=VALUE with NAME one of "
                "steps, shots, wall, qpu, think, finalize (durations), plateau=METRIC,TOLERANCE,WINDOW"
            )
        key = name if name in ("steps", "shots", "plateau") else f"{name}_s"
        if key in found:
            raise InvalidInput(f"limit {name} is given twice")
        if name in ("steps", "shots"):
            found[key] = _whole(name, value)
        elif name == "plateau":
            found[key] = _plateau(value.split(","))
        else:
            found[key] = parse_duration(value)
    return Limits(**found)


def _whole(name: str, text: str) -> int:
    try:
        number = float(text.replace("_", ""))
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass  # refused below with the same sentence as a fraction
    raise InvalidInput(f"limit {name} is a whole number, not {text!r}")
