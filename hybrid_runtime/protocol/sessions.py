"""Messages between a relay and a remote quantum runtime, besides those that a local one takes and gives.

::

    relay ──Attach─────────────────────▶ remote quantum runtime
    relay ◀─Attached──────────────────── remote quantum runtime
    relay ──Define, Forget, Execute, Withdraw▶  as to a local one
    relay ◀─Executed, Failure──────────────────

A session outlives the channels that carry it. Attaching to it again forgets its programs and the requests that
have not begun, so that the relay can send them again; the request that is running goes on, and answers that are
known are given again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from hybrid_runtime.protocol.messages import Capabilities, Execute, Executed, Failure, Forget, Serving, Withdraw


class BackendState(StrEnum):
    """What a backend is doing."""

    OFFLINE = "offline"
    IDLE = "idle"
    EXECUTING = "executing"
    CALIBRATING = "calibrating"
    BENCHMARKING = "benchmarking"


class _Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


class Attach(_Message, tag="attach"):
    """First message of a relay: from now on this channel carries the session that it names.

    `session` is chosen at random by the relay and known to nobody else.
    """

    version: int
    session: str


class Attached(_Message, tag="attached"):
    """Answer to `Attach`. Another `instance` than before has never heard of the session's requests."""

    version: int
    instance: str
    capabilities: Capabilities


class RawDefine(_Message, tag="define"):
    """`Define` as those see it who pass it on."""

    program: int
    body: msgspec.Raw


class Doing(_Message, tag="doing"):
    """What the backend does at present, from a driver that can tell; sent only where it was asked for."""

    state: BackendState


ToRemote: TypeAlias = Attach | RawDefine | Forget | Execute | Withdraw
FromRemote: TypeAlias = Attached | Executed | Failure
FromDriver: TypeAlias = Serving | Executed | Failure | Doing
ToRelay: TypeAlias = RawDefine | Forget | Execute | Withdraw
