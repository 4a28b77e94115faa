"""What the dispatcher needs of its neighbours, so that it need not know their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hybrid_runtime.program import Program
    from hybrid_runtime.protocol.messages import CircuitCall, Executed, Failure
    from hybrid_runtime.protocol.seqpacket import SeqPacketChannel


class InlinePort(Protocol):
    """What runs brief steps of a backend in the dispatcher's process."""

    def define(self, number: int, program: Program) -> None:
        """Keep a program that has been checked and may be asked for."""

    def forget(self, numbers: Iterable[int]) -> None:
        """Drop programs; those that are not known are left out."""

    def seconds(self, calls: list[CircuitCall]) -> float | None:
        """About how long a step takes here; None where it is for the backend's own process."""

    def answer(self, calls: list[CircuitCall], seed: int) -> Executed | Failure:
        """The answer to a step, whose numbers have been checked."""


class QuantumPort(Protocol):
    """The process of one quantum runtime, which can be started again."""

    @property
    def channel(self) -> SeqPacketChannel:
        """Leads to it; another one after each `start`."""

    def start(self) -> None:
        """Start it, at first or after it was lost; one that is there is ended.

        Raises:
            OSError: the host has no room for it.
        """

    def inline(self) -> InlinePort | None:
        """What runs its brief steps in this process, made now, which may take a tenth of a second; None for nothing."""


class WorkerPort(Protocol):
    """One leased worker."""

    pid: int
    channel: SeqPacketChannel
    stdout: int
    stderr: int

    def interrupt(self) -> None:
        """Signal it to read the `Stop` in its channel."""

    def dump(self) -> None:
        """Have it write to its stderr where it is."""

    def kill(self) -> None:
        """End it, whatever it does. After `close` it does nothing."""

    def close(self) -> None:
        """Let go of its descriptors."""


class ClassicalPort(Protocol):
    """A source of workers."""

    def lease_nowait(self) -> WorkerPort | None:
        """A worker for one job; None while there is none: it becomes readable when there is.

        Raises:
            ChannelClosed: there will be none ever.
        """

    def refill(self) -> None:
        """Now is a good time to prepare other workers: no job is slowed by it that has just begun."""

    def rest(self) -> None:
        """Nobody wants a worker at present: what takes long and makes later ones better may be done."""

    def on_readable(self) -> list[tuple[int, int]]:
        """Take in news; the leased workers that ended, as (pid, exit status).

        Raises:
            InternalError: a worker could not be started, and no other is on its way.
            ChannelClosed: there will be none ever, and those leased are gone.
        """

    def fileno(self) -> int:
        """The descriptor to wait on."""
