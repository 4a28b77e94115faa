"""A remote quantum runtime: answers relays on other hosts, and runs their requests on one driver.

::

    relay ──ZeroMQ──▶ ┌────────┐ ──SEQPACKET──▶ quantum runtime (driver)
    relay ──ZeroMQ──▶ │ Server │ ◀───────────── in a process of its own
    reader ◀──status─ └────────┘

The driver has a process of its own so that this one always answers: to pings while the driver computes, to a
request that is withdrawn, and to everyone when the driver dies.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import select
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybrid_runtime.errors import ChannelClosed, HybridRuntimeError, InvalidInput, ProtocolError, as_data
from hybrid_runtime.protocol.address import Address, resolve
from hybrid_runtime.protocol.framing import DEFAULT_HEARTBEAT, Heartbeat
from hybrid_runtime.protocol.listening import Listener, Peer
from hybrid_runtime.protocol.messages import (
    PROTOCOL_VERSION,
    Execute,
    Failure,
    Forget,
    decode,
    decoder,
    encode,
)
from hybrid_runtime.protocol.sessions import Attach, Attached, BackendState, RawDefine, ToRemote
from hybrid_runtime.protocol.status import Status
from hybrid_runtime.protocol.zeromq import Kind, Wire
from hybrid_runtime.quantum.sessions import Request, Session, Sessions, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.protocol.messages import Capabilities
    from hybrid_runtime.protocol.zeromq import ServerKeys
    from hybrid_runtime.quantum.supervisor import Supervisor

# Changes of state that follow each other more quickly are published together.
_PUBLISH_APART_S = 0.1

_log = logging.getLogger(__name__)
_now = time.monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where a remote quantum runtime listens, and to whom.

    Attributes:
        bind: Where relays reach it.
        status: Where it publishes its status; None for nowhere.
        keys: Its own key and those of its clients; None lets in everyone.
        insecure: Whether it may do without keys where other hosts can reach it.
        heartbeat: How soon a silent client counts as gone, and how often the status is published.
    """

    bind: Address
    status: Address | None = None
    keys: ServerKeys | None = None
    insecure: bool = False
    heartbeat: Heartbeat = DEFAULT_HEARTBEAT

    def check(self) -> None:
        """Refuse to be open to a network.

        Raises:
            InvalidInput: other hosts could reach it without a key.
        """
        for address in (self.bind, self.status):
            if address is not None and not address.loopback and self.keys is None and not self.insecure:
                raise InvalidInput(
                    f"{address} can be reached from other hosts: make keys with qi-run keys DIR and give --keys DIR, "
                    "or say --insecure on a network where everyone may use this backend"
                )


class Server:
    """Serves until it is stopped.

    Args:
        supervisor: What runs the driver; the server owns it.
        settings: Where to listen.
        on_listening: Called once with the address of the relays and that of the status, when both are open.
    """

    def __init__(
        self, supervisor: Supervisor, settings: ServerSettings, on_listening: Callable[[str, str | None], None]
    ) -> None:
        self._supervisor = supervisor
        self._settings = settings
        self._on_listening = on_listening
        self._sessions = Sessions()
        self._decoder = decoder(ToRemote)
        self._instance = secrets.token_hex(8)
        self._listener: Listener | None = None
        self._publisher: Wire | None = None
        self._published: tuple[BackendState, float] = (BackendState.OFFLINE, -math.inf)
        self._stopped = False
        self._stop = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def stop(self) -> None:
        """End `run` soon; may be called from a signal handler."""
        self._stopped = True
        if self._stop >= 0:
            os.eventfd_write(self._stop, 1)

    def run(self) -> None:
        """Serve.

        Raises:
            HybridRuntimeError: the driver cannot be opened, or one cannot listen at the address.
        """
        try:
            while not self._stopped:
                self._wait(self._tick())
                self._take_answer()
                if self._listener is not None:
                    self._take_messages(self._listener)
                elif self._supervisor.capabilities is not None:
                    self._listener = self._listen()
                self._begin()
        finally:
            self._close()

    def _listen(self) -> Listener:
        settings = self._settings
        listener = Listener(resolve(settings.bind), settings.keys, heartbeat=settings.heartbeat)
        try:
            if settings.status is not None:
                self._publisher = listener.station.bind(Kind.PUBLISH, resolve(settings.status), settings.keys)
        except HybridRuntimeError:
            listener.close()
            raise
        self._on_listening(listener.address, self._publisher.address if self._publisher else None)
        return listener

    def _wait(self, timeout_s: float) -> None:
        poll = select.poll()
        for source in (self._stop, self._supervisor.fileno(), self._listener and self._listener.fileno()):
            if source is not None:
                poll.register(source, select.POLLIN)
        poll.poll(math.ceil(timeout_s * 1000))

    # ------------------------------------------------------------------ clients

    def _take_messages(self, listener: Listener) -> None:
        while (found := listener.next_nowait()) is not None:
            peer, data = found
            try:
                self._on_message(peer, data)
            except ProtocolError as error:
                _log.warning("a client broke the protocol and is let go: %s", error)
                peer.close(str(error))
        listener.tick()
        for peer in listener.take_lost():
            session = self._sessions.lose(peer, _now())
            if session is not None:
                _log.info("client %s has gone", session.name[:8])

    def _on_message(self, peer: Peer, data: bytes) -> None:
        message = decode(self._decoder, data)
        session = self._sessions.of(peer)
        if isinstance(message, Attach):
            self._attach(peer, message)
        elif session is None:
            raise ProtocolError("a client attaches to a session before anything else")
        elif isinstance(message, Execute):
            self._on_execute(peer, session, message)
        elif isinstance(message, RawDefine):
            session.define(message.program, message.body)
        elif isinstance(message, Forget):
            self._supervisor.forget(session.forget(message.programs))
        else:
            self._sessions.withdraw(session, message.request)

    def _attach(self, peer: Peer, message: Attach) -> None:
        if message.version != PROTOCOL_VERSION:
            text = f"this quantum runtime speaks protocol {PROTOCOL_VERSION}, not {message.version}"
            self._send(peer, encode(Failure(0, as_data(ProtocolError(text)))))
            raise ProtocolError(text)
        session, before, dropped = self._sessions.attach(peer, message.session)
        self._supervisor.forget(dropped)
        if before is not None:
            before.close("the session goes on over another connection")
        _log.info("client %s is here", session.name[:8])
        self._send(peer, encode(Attached(PROTOCOL_VERSION, self._instance, self._capabilities())))

    def _capabilities(self) -> Capabilities:
        capabilities = self._supervisor.capabilities
        assert capabilities is not None, "nobody is listened to before the driver is open"
        return capabilities

    def _on_execute(self, peer: Peer, session: Session, message: Execute) -> None:
        if not 0 < message.timeout_s < math.inf:
            error = ProtocolError(f"a request's timeout is a number of seconds above 0, not {message.timeout_s}")
            self._send(peer, encode(Failure(message.request, as_data(error))))
            return
        known = self._sessions.execute(session, message, _now())
        if known is not None:
            self._send(peer, known)

    def _send(self, peer: Peer, data: bytes) -> None:
        try:
            if not peer.send_within(data, 0.0):
                peer.close("you do not read")
        except ChannelClosed:
            _log.debug("an answer is kept: its client has gone")

    # ------------------------------------------------------------------ requests

    def _begin(self) -> None:
        for request in self._sessions.overdue(_now()):
            self._finish(request, refusal(request))
        while self._supervisor.ready:
            due = self._sessions.begin()
            if due is None:
                return
            failure = self._supervisor.run(due)
            if failure is not None:
                self._finish(due, encode(failure))

    def _take_answer(self) -> None:
        if self._supervisor.fileno() is None:
            return
        found = self._supervisor.take()
        if found is not None:
            self._finish(found[0], encode(found[1]))

    def _finish(self, request: Request, answer: bytes) -> None:
        peer = self._sessions.finish(request, answer)
        self._supervisor.forget(program for program in request.programs.values() if program and program.dropped)
        if peer is not None:
            self._send(peer, answer)

    # ------------------------------------------------------------------ time

    def _tick(self) -> float:
        for session in self._sessions.expire(_now()):
            _log.info("client %s has not come back", session.name[:8])
            self._supervisor.forget(session.forget(list(session.programs)))
        patience = min(self._supervisor.tick(), self._sessions.patience(_now()), self._settings.heartbeat.interval_s)
        return patience if self._publisher is None else min(patience, self._publish(self._publisher))

    def _publish(self, publisher: Wire) -> float:
        state, sent = self._published
        now = _now()
        present = self._supervisor.state
        due = sent + (_PUBLISH_APART_S if present is not state else self._settings.heartbeat.interval_s)
        if now < due:
            return due - now
        self._published = (present, now)
        sessions = self._sessions
        status = Status(
            state=present,
            time=time.time(),
            instance=self._instance,
            capabilities=self._capabilities(),
            clients=sessions.attached,
            waiting=sessions.waiting,
        )
        publisher.send([encode(status)])
        return self._settings.heartbeat.interval_s

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._supervisor.close()
        stop, self._stop = self._stop, -1
        os.close(stop)
