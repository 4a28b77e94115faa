"""Starts the runtime of a `qi-run run` before its command line is parsed.

The runtime's processes need longest to load, and reading options properly costs as much time as a small job:
so the backend and the file are guessed from the arguments, and the two go on side by side. A guess that
turns out wrong costs a restart and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hybrid_runtime.bundle import bundle_file, split_target
from hybrid_runtime.cli.preload import preload_of
from hybrid_runtime.errors import HybridRuntimeError
from hybrid_runtime.local import DEFAULT_BACKEND, LocalRuntime
from hybrid_runtime.placement import Placement
from hybrid_runtime.protocol.bundles import Bundle

_BACKEND = ("--backend", "-b")
_ISOLATION = ("--isolation",)
_PLACEMENT = ("--placement",)
_NO_JOB = ("--help", "-h")
# Options that decide about the runtime's processes and are not guessed.
_NOT_GUESSED = ("--keys", "--backend-option", "--failover", "--trace")


class _Wanted(NamedTuple):
    backend: str
    isolation: str | None
    placement: str
    preload: tuple[str, ...]


class HeadStart:
    """At most one runtime that is starting.

    Args:
        arguments: What follows `run`.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._client: LocalRuntime | None = None
        self._wanted: _Wanted | None = None
        target = _target(arguments)
        if target is None or not {*arguments}.isdisjoint(_NO_JOB):
            return
        if any(argument.startswith(_NOT_GUESSED) for argument in arguments):
            return
        try:
            backend = _value(arguments, _BACKEND) or DEFAULT_BACKEND
            placement = _value(arguments, _PLACEMENT) or Placement.AUTO
            preload = preload_of(bundle_file(target))
            self._wanted = _Wanted(backend, _value(arguments, _ISOLATION), placement, preload)
            self._client = _start(self._wanted)
        except HybridRuntimeError:
            return  # the command meets the same problem, and reports it

    def client(
        self,
        backend: str,
        bundle: Bundle,
        options: Mapping[str, Any],
        *,
        isolation: str | None = None,
        placement: str = Placement.AUTO,
        trace: Path | None = None,
        failover: Sequence[str] = (),
    ) -> LocalRuntime:
        """The runtime for this bundle; whoever takes it closes it."""
        wanted = _Wanted(backend, isolation, placement, preload_of(bundle))
        if self._client is None or wanted != self._wanted or options or trace or failover:
            self.close()
            return _start(wanted, options, trace=trace, failover=failover)
        client, self._client = self._client, None
        return client

    def close(self) -> None:
        """End the runtime if nobody took it."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _start(
    wanted: _Wanted,
    options: Mapping[str, Any] | None = None,
    *,
    trace: Path | None = None,
    failover: Sequence[str] = (),
) -> LocalRuntime:
    return LocalRuntime(
        wanted.backend,
        options=options,
        failover=failover,
        preload=wanted.preload,
        isolation=wanted.isolation,
        placement=wanted.placement,
        trace=trace,
    )


def _target(arguments: list[str]) -> str | None:
    """The argument that looks like the file to run."""
    for argument in arguments:
        path = split_target(argument)[0]
        if path.endswith(".py") and not argument.startswith("-") and Path(path).is_file():
            return argument
    return None


def _value(arguments: list[str], names: tuple[str, ...]) -> str | None:
    """What the arguments seem to give for the option with these names."""
    found = None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument in names:
            found = following
        elif argument.startswith(f"{names[0]}="):
            found = argument.partition("=")[2]
    return found
