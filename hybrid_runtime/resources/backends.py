"""Backends and the environments of their workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class BackendStatus(StrEnum):
    """What a backend is doing."""

    OFFLINE = "offline"
    IDLE = "idle"
    EXECUTING = "executing"
    CALIBRATING = "calibrating"
    BENCHMARKING = "benchmarking"


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A QPU or emulator.

    Attributes:
        accepting: False while it is drained: queued jobs wait, and new ones are taken but wait, too.
        reason: Why it has this status, in the operator's or the runtime's words.
        since: When it got this status.
        capabilities: What it can do, as `Context.backend` shows it; empty until it first served.
        calibration: The driver's or operator's calibration data, as it was given.
        environments: Names of the environments in which its algorithms can run.
    """

    name: str
    status: BackendStatus
    accepting: bool
    reason: str
    since: float
    queued: int
    running: int
    last_heartbeat: float | None
    capabilities: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    environments: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class BackendChange:
    """What an operator sets; None leaves it as it is."""

    status: BackendStatus | None = None
    accepting: bool | None = None
    reason: str | None = None
    calibration: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A named Python interpreter: what an algorithm finds installed there."""

    name: str
    python: str
    packages: dict[str, str]
