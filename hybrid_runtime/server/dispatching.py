"""The dispatcher of one backend, as its runner holds it: started, heard, and started again when it was lost."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from hybrid_runtime.errors import ChannelClosed, ErrorData
from hybrid_runtime.local import PRELOAD
from hybrid_runtime.nodeprocess import NodeProcess
from hybrid_runtime.placement import parse, settled
from hybrid_runtime.protocol.control import Cancel, FromDispatcher, Open, Pause, Submit, Unavailable
from hybrid_runtime.protocol.messages import Capabilities, decode, decoder, encode
from hybrid_runtime.server.brake import Brake
from hybrid_runtime.submission import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hybrid_runtime.server.settings import BackendSettings, EnvironmentSettings

# Messages taken in at a time: what a runner owes to others must not wait for a job that talks without end.
_MESSAGES_A_TURN = 1000

_log = logging.getLogger(__name__)
_now = time.monotonic


class Dispatching:
    """At most one dispatcher at a time.

    Args:
        backend: What it serves.
        environment: What its workers find installed.
        others: Backends that stand in for it when it fails, in this order.

    Attributes:
        capabilities: What the backend can do; None while it does not serve.
        why: Why it does not.
        failing: Whether it has said that it cannot serve any more.
    """

    def __init__(
        self, backend: BackendSettings, environment: EnvironmentSettings, others: Sequence[BackendSettings] = ()
    ) -> None:
        self._command = node_arguments(backend, environment, others)
        self._decoder = decoder(FromDispatcher)
        self._brake = Brake()
        self._node: NodeProcess | None = None
        self._started = 0.0
        self.failing = False
        self.start_at = 0.0
        self.capabilities: Capabilities | None = None
        self.why = "its dispatcher is starting"

    def fileno(self) -> int | None:
        """The descriptor to wait on; None while no dispatcher is there."""
        return None if self._node is None else self._node.channel.fileno()

    def start_if_due(self) -> None:
        """Start a dispatcher if there is none and it is time for one."""
        if self._node is None and _now() >= self.start_at:
            self._started = _now()
            self.start_at = float("inf")
            try:
                self._node = NodeProcess(self._command)
            except OSError as error:
                self._lost(f"it cannot be started: {error.strerror}")

    def send(self, message: Submit | Cancel | Pause) -> None:
        """Tell the dispatcher something; one that is gone is noticed by `messages`."""
        if self._node is not None:
            try:
                self._node.channel.send(encode(message))
            except ChannelClosed:
                _log.debug("the dispatcher is gone, and was not told %s", type(message).__name__)

    def messages(self) -> Iterator[FromDispatcher]:
        """What the dispatcher has said since the last call; it is not `present` any more where that was its end."""
        for _ in range(_MESSAGES_A_TURN):
            if self._node is None:
                return
            try:
                data = self._node.channel.receive_nowait()
            except ChannelClosed:
                self._lost(f"the dispatcher {self._node.how_it_was_lost()}")
                return
            if data is None:
                return
            message: FromDispatcher = decode(self._decoder, data)
            if isinstance(message, Open):
                self.capabilities, self.why = message.backend, ""
            elif isinstance(message, Unavailable):
                self._give_up(message.error)
            else:
                yield message

    @property
    def serving(self) -> bool:
        """Whether jobs can be given to it."""
        return self.capabilities is not None and not self.failing

    @property
    def present(self) -> bool:
        """Whether there is a process."""
        return self._node is not None

    def _give_up(self, error: ErrorData) -> None:
        """It cannot serve any more: it is ended once the jobs that it has are told so."""
        self.why = f"{error.kind}: {error.text}"
        self.failing = True
        _log.error("the dispatcher cannot serve: %s", self.why)
        if self.capabilities is None:
            self.close()

    def _lost(self, why: str) -> None:
        self.why = why
        self.close()
        wait = max(0.0, self.start_at - _now())
        _log.error("%s; another one is started%s", why, f" in {wait:.1f} s" if wait else "")

    def close(self) -> None:
        """End it, with all that belongs to it; another one is started when it is time."""
        if self._node is not None:
            self._node.close()
            self._node = None
        self.capabilities, self.failing = None, False
        self.start_at = self._brake.ended(self._started, _now())


def node_arguments(
    backend: BackendSettings, environment: EnvironmentSettings, others: Sequence[BackendSettings] = ()
) -> list[str]:
    """The command line of the dispatcher's process; the other backends stand in for this one when it fails."""
    command = ["--driver", backend.driver, "--options", as_json(backend.options), "--warm", str(backend.warm)]
    for name in PRELOAD if environment.preload is None else environment.preload:
        command += ["--preload", name]
    if backend.isolation is not None:
        command += ["--isolation", backend.isolation]
    for other in others:
        command += ["--failover", other.driver, "--failover-options", as_json(other.options)]
    command += ["--placement", settled(parse(backend.placement), shared=True).value]
    if environment.python is not None:
        command += ["--python", environment.python]
    return command
