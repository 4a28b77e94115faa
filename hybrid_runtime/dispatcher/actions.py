"""What a job's machine can ask the loop to do."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from hybrid_runtime.errors import ErrorData
from hybrid_runtime.limits import StopReason
from hybrid_runtime.protocol.control import Ended
from hybrid_runtime.protocol.messages import CircuitCall, Define, Moved, Refused, Replay, Results, Stop


class Tell(msgspec.Struct, frozen=True):
    """Send this message to the worker."""

    message: Results | Refused | Stop | Replay | Moved


class Run(msgspec.Struct, frozen=True):
    """Have the quantum runtime run these calls, after defining these programs and before forgetting those."""

    calls: list[CircuitCall]
    define: list[Define]
    forget: list[int]


class ReadAhead(msgspec.Struct, frozen=True):
    """Read the job's next recorded steps, while its worker goes through those that it was told."""


class Again(msgspec.Struct, frozen=True):
    """Have the quantum runtime run the step that failed once more."""


class Move(msgspec.Struct, frozen=True):
    """Have the next backend run the step that failed, and all that follow."""

    why: ErrorData


class Interrupt(msgspec.Struct, frozen=True):
    """Send the worker a `Stop` with this reason, then signal it, so that it stops computing and reads it."""

    reason: StopReason


class Dump(msgspec.Struct, frozen=True):
    """Have the worker write to its stderr where it is, before it is killed."""


class Kill(msgspec.Struct, frozen=True):
    """Kill the worker."""


class Restart(msgspec.Struct, frozen=True):
    """Give the job to a new worker, which replays what its journal holds: `resume` is why, in a word or two."""

    why: str
    resume: str


class Pause(msgspec.Struct, frozen=True):
    """Take the job from its worker, and forget it: its journal is what it goes on from."""


class End(msgspec.Struct, frozen=True):
    """The job is over."""

    report: Ended


Action: TypeAlias = Tell | Run | ReadAhead | Again | Move | Interrupt | Dump | Kill | Restart | Pause | End
