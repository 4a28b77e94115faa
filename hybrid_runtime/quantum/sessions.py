"""What a remote quantum runtime knows of its clients: their programs, requests and answers. No input or output.

A request is run once, however often it is sent: it waits, it runs, or its answer is known. So a client whose
link broke may send again whatever it has no answer to.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from hybrid_runtime.errors import BackendFailed, BackendTimeout, HybridRuntimeError, ProtocolError, as_data
from hybrid_runtime.protocol.messages import Execute, Failure, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from hybrid_runtime.protocol.listening import Peer

MAX_SESSIONS = 64
MAX_WAITING = 16
MAX_PROGRAMS = 100_000
MAX_PROGRAM_BYTES = 512 * 1024 * 1024
# Answers that a session may ask for again; a relay has one request under way, so one would nearly do.
MAX_ANSWERS = 4
MAX_ANSWER_BYTES = 128 * 1024 * 1024
# A session without a client is kept so long, in case its client comes back.
KEEP_S = 300.0


class StoredProgram:
    """A program as a client sent it, and its number in the driver's process that knows it, if one does.

    Attributes:
        dropped: Whether the client has forgotten it; requests that it sent before may still use it.
    """

    __slots__ = ("body", "dropped", "generation", "number")

    def __init__(self, body: msgspec.Raw) -> None:
        self.body = body
        self.number = 0
        self.generation = 0
        self.dropped = False


class Request:
    """An `Execute` of one session, until it is answered.

    Attributes:
        programs: The programs that it uses, as they were when it came.
        deadline: When the client stops waiting.
        unwanted: Whether the client has withdrawn it.
    """

    __slots__ = ("deadline", "message", "programs", "session", "unwanted")

    def __init__(self, session: Session, message: Execute, now: float) -> None:
        self.session = session
        self.message = message
        self.programs = {call.program: session.programs.get(call.program) for call in message.calls}
        self.deadline = now + message.timeout_s
        self.unwanted = False


class Session:
    """One client, across all the channels it has come by."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.peer: Peer | None = None
        self.away_since = 0.0
        self.programs: dict[int, StoredProgram] = {}
        self._program_bytes = 0
        self._answers: OrderedDict[int, bytes] = OrderedDict()
        self._answer_bytes = 0

    def define(self, number: int, body: msgspec.Raw) -> None:
        """Keep a program. One that exceeds what a session may hold is left out, and found missing when it is run."""
        room = len(self.programs) < MAX_PROGRAMS and self._program_bytes + len(body) <= MAX_PROGRAM_BYTES
        if room and number not in self.programs:
            self.programs[number] = StoredProgram(body)
            self._program_bytes += len(body)

    def forget(self, numbers: list[int]) -> Iterator[StoredProgram]:
        """Drop programs, and give them out."""
        for number in numbers:
            program = self.programs.pop(number, None)
            if program is not None:
                self._program_bytes -= len(program.body)
                program.dropped = True
                yield program

    def answer(self, request: int) -> bytes | None:
        """The answer to a request that was run before."""
        return self._answers.get(request)

    def keep_answer(self, request: int, answer: bytes) -> None:
        """Keep an answer for when it is asked for again; the newest always, older ones within bounds."""
        self._answers[request] = answer
        self._answer_bytes += len(answer)
        while len(self._answers) > 1 and (len(self._answers) > MAX_ANSWERS or self._answer_bytes > MAX_ANSWER_BYTES):
            _, dropped = self._answers.popitem(last=False)
            self._answer_bytes -= len(dropped)


class Sessions:
    """All clients, and the order in which their requests run: first come, first served."""

    def __init__(self) -> None:
        self._by_name: dict[str, Session] = {}
        self._by_peer: dict[Peer, Session] = {}
        self._waiting: deque[Request] = deque()
        self.running: Request | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._waiting)

    @property
    def attached(self) -> int:
        """How many clients are here."""
        return len(self._by_peer)

    def of(self, peer: Peer) -> Session | None:
        """The session that a channel carries."""
        return self._by_peer.get(peer)

    def attach(self, peer: Peer, name: str) -> tuple[Session, Peer | None, list[StoredProgram]]:
        """Let a channel carry a session: a new one, or one that is known by its name.

        Returns:
            The session, the channel that carried it before and must be closed, and the programs it has dropped.

        Raises:
            ProtocolError: there are too many sessions, or the channel carries one.
        """
        if peer in self._by_peer:
            raise ProtocolError("this channel carries a session already")
        session = self._by_name.get(name)
        if session is None:
            if len(self._by_name) >= MAX_SESSIONS:
                raise ProtocolError(f"{MAX_SESSIONS} clients are known here; try again later")
            session = self._by_name[name] = Session(name)
        before = session.peer
        if before is not None:
            del self._by_peer[before]
        session.peer = peer
        self._by_peer[peer] = session
        self._waiting = deque(request for request in self._waiting if request.session is not session)
        return session, before, list(session.forget(list(session.programs)))

    def execute(self, session: Session, message: Execute, now: float) -> bytes | None:
        """Take in a request; its answer, encoded, where that is known already.

        Raises:
            ProtocolError: too many requests of this session wait.
        """
        known = session.answer(message.request)
        if known is not None:
            return known
        mine = [request for request in (*self._waiting, self.running) if request and request.session is session]
        if any(request.message.request == message.request for request in mine):
            return None
        if len(mine) > MAX_WAITING:
            raise ProtocolError(f"{MAX_WAITING} requests of this client wait; wait for their answers")
        self._waiting.append(Request(session, message, now))
        return None

    def begin(self) -> Request | None:
        """The request whose turn it is; None while one is running or none waits."""
        if self.running is not None or not self._waiting:
            return None
        self.running = self._waiting.popleft()
        return self.running

    def overdue(self, now: float) -> list[Request]:
        """Requests that nobody waits for any more and that have not begun; they wait no longer."""
        found = [request for request in self._waiting if request.unwanted or now >= request.deadline]
        if found:
            self._waiting = deque(request for request in self._waiting if request not in found)
        return found

    def patience(self, now: float) -> float:
        """Seconds until the next request that waits is overdue."""
        return max(min((request.deadline for request in self._waiting), default=math.inf) - now, 0.0)

    def withdraw(self, session: Session, number: int) -> None:
        """A client waits for a request no more."""
        for request in (*self._waiting, self.running):
            if request and request.session is session and request.message.request == number:
                request.unwanted = True

    def finish(self, request: Request, answer: bytes) -> Peer | None:
        """A request has its answer; the channel to send it by, if its client is here."""
        if self.running is request:
            self.running = None
        request.session.keep_answer(request.message.request, answer)
        return request.session.peer

    def lose(self, peer: Peer, now: float) -> Session | None:
        """A channel is gone; the session that it carried is kept for a while."""
        session = self._by_peer.pop(peer, None)
        if session is not None:
            session.peer = None
            session.away_since = now
        return session

    def expire(self, now: float) -> list[Session]:
        """Give up the sessions whose clients have not come back; they are left without programs by the caller."""
        gone = [s for s in self._by_name.values() if s.peer is None and now - s.away_since >= KEEP_S]
        for session in gone:
            del self._by_name[session.name]
            self._waiting = deque(request for request in self._waiting if request.session is not session)
            if self.running is not None and self.running.session is session:
                self.running.unwanted = True
        return gone


def refusal(request: Request) -> bytes:
    """The answer to a request that has not begun and never will."""
    error: HybridRuntimeError
    if request.unwanted:
        error = BackendFailed("the request was withdrawn before it began")
    else:
        error = BackendTimeout(
            f"the request waited {request.message.timeout_s:g} s behind others; allow more time, or try again later"
        )
    return encode(Failure(request.message.request, as_data(error), isinstance(error, BackendTimeout)))
