"""Messages between a dispatcher and its fork servers; descriptors travel beside them (SCM_RIGHTS)."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Spawn(msgspec.Struct, frozen=True, array_like=True, tag="spawn"):
    """Fork one worker."""

    request: int


class Rest(msgspec.Struct, frozen=True, array_like=True, tag="rest"):
    """Nobody wants a worker at present: do now what takes long and makes later ones better."""


class Rested(msgspec.Struct, frozen=True, array_like=True, tag="rested"):
    """Workers that are forked from now on are better than those before."""


class Spawned(msgspec.Struct, frozen=True, array_like=True, tag="spawned"):
    """A worker exists. Four descriptors come along: its channel, its stdout, its stderr and a pidfd.

    `pid` is what the fork server knows the worker by; in the dispatcher's pid namespace it may mean nothing.
    """

    request: int
    pid: int


class Exited(msgspec.Struct, frozen=True, array_like=True, tag="exited"):
    """A worker has ended: `status` is its exit code, or minus the signal that killed it."""

    pid: int
    status: int


class Preloaded(msgspec.Struct, frozen=True, array_like=True, tag="preloaded"):
    """The fork server is ready at this isolation level; `missing` tells what could not be imported, and why."""

    isolation: str
    missing: dict[str, str]


class Unfit(msgspec.Struct, frozen=True, array_like=True, tag="unfit"):
    """The fork server ends: the isolation level that it was to have cannot be had on this host."""

    text: str


class Trouble(msgspec.Struct, frozen=True, array_like=True, tag="trouble"):
    """The fork server could not answer this request."""

    request: int
    text: str


ToForkServer: TypeAlias = Spawn | Rest
FromForkServer: TypeAlias = Spawned | Rested | Exited | Preloaded | Unfit | Trouble
