"""The local channel between processes that wait for each other by turns: its receivers look before they sleep.

A `SeqPacketChannel` and the shared memory of `lines`. Small messages go through the memory while the receiver
looks there, all others through the socket, which also tells of the peer's death.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import TYPE_CHECKING

from hybrid_runtime.protocol.lines import LAST_LOOK_S, Incoming, Outgoing, map_memory, new_memory
from hybrid_runtime.protocol.looking import GLANCE, HELD_UP_S, OFFER, Looking
from hybrid_runtime.protocol.messages import MAX_MESSAGE_BYTES
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

if TYPE_CHECKING:
    import mmap

# Tells a receiver that has fallen asleep to look at the line; no message is one byte long.
_BELL = b"\xc0"
_MOST_BELLS = 32

_now = time.perf_counter
_give_way = os.sched_yield


class WatchedChannel(SeqPacketChannel):
    """A channel over one end of a SEQPACKET socket pair, and memory that both ends have mapped.

    Args:
        sock: The socket.
        memory: The memory.
        first: Whether this end sends by the first of the two lines. Exactly one does.
    """

    def __init__(
        self, sock: socket.socket, memory: mmap.mmap, *, first: bool, max_message_bytes: int = MAX_MESSAGE_BYTES
    ) -> None:
        super().__init__(sock, max_message_bytes=max_message_bytes)
        self._out = Outgoing(memory, second=not first)
        self.line = Incoming(memory, second=first)
        self._held: bytes | memoryview | None = None
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._looking = Looking()

    @classmethod
    def pair(cls) -> tuple[WatchedChannel, WatchedChannel]:
        """Two channels connected to each other."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = new_memory()
        try:
            return cls(ours, map_memory(fd), first=True), cls(theirs, map_memory(fd), first=False)
        finally:
            os.close(fd)

    def grant(self, patience_s: float) -> None:
        """Let both ends look for so long before they sleep; 0, which is how they begin, is not at all."""
        self._out.grant(patience_s)
        self.line.grant(patience_s)

    # ------------------------------------------------------------------ sending

    def send(self, data: bytes) -> None:
        """Send one message, by whichever way."""
        if not self.post(data):
            super().send(data)

    def post(self, data: bytes) -> bool:
        """Put a message where the peer sees it; False when it is to go by the socket: call it once for each message."""
        line = self._out
        if line.put(data):
            if line.asleep:
                # Where there is no room for it, packets wait to be read, and whoever reads them looks at the line, too.
                self.send_nowait(_BELL)
            return True
        line.count()
        return False

    # ------------------------------------------------------------------ receiving

    def receive(self, timeout_s: float | None = None) -> bytes | memoryview:
        """The next message; it is looked for, and then slept for."""
        data = self._at_hand()
        if data is not None:
            return data
        patience_us = self.line.patience_us
        if patience_us and self._looking.wanted():
            data = self._look(patience_us * 1e-6)
            if data is not None:
                self._looking.paid()
                return data
        if self.line.awake:
            data = self._doze(timeout_s)
            if data is not None:
                return data
        while True:
            data = self._sorted(super().receive(timeout_s))
            if data is not None:
                return data

    def _look(self, patience_s: float) -> bytes | memoryview | None:
        """The next message if it comes soon."""
        line = self.line
        line.wake()
        take, poll = line.take, self._poll.poll
        now = _now()
        until = now + patience_s
        turn = 0
        while True:
            data: bytes | memoryview | None = take()
            if data is not None:
                return data
            turn += 1
            if turn % OFFER:
                continue
            _give_way()
            before, now = now, _now()
            if now - before > HELD_UP_S:
                self._looking.was_held_up()
                return None
            if now > until:
                self._looking.found_nothing()
                return None
            if turn % GLANCE == 0 and poll(0):
                data = self.receive_nowait()
                if data is not None:
                    return data

    def _doze(self, timeout_s: float | None) -> bytes | None:
        """Go to sleep; a message that was put down as this end did."""
        line = self.line
        line.doze()
        data = line.take()
        if data is None and not self._poll.poll(
            1e3 * min(LAST_LOOK_S, LAST_LOOK_S if timeout_s is None else timeout_s)
        ):
            data = line.take()
        return data

    def receive_nowait(self) -> bytes | memoryview | None:
        """The next message if it is here whole, by whichever way it came."""
        found = self._at_hand()
        if found is not None:
            return found
        for _ in range(_MOST_BELLS):
            data = super().receive_nowait()
            if data is None:
                return None
            found = self._sorted(data)
            if found is not None:
                return found
        return None

    def _at_hand(self) -> bytes | memoryview | None:
        held = self._held
        if held is not None:
            self._held = None
            return held
        return self.line.take()

    def _sorted(self, data: bytes | memoryview) -> bytes | memoryview | None:
        """What the socket gave; or what was put down before that was sent. None for a bell that rang in vain."""
        if len(data) == 1 and data[0] == _BELL[0]:
            return self.line.take()
        # Taken up first, it may yet have been sent last: the other one was put down since the line was looked at.
        earlier = self.line.take()
        self.line.count()
        if earlier is None:
            return data
        self._held = data
        return earlier

    @property
    def holding(self) -> bool:
        """Whether the next message is here, and no descriptor tells of it."""
        return self._held is not None or self.line.ready

    def assemble(self, packet: memoryview) -> bytes | memoryview | None:
        """As for any channel; a bell may come between the parts of a message."""
        return packet if packet == _BELL else super().assemble(packet)

    def close(self) -> None:
        """Close the socket; the peer's messages go there from now on."""
        self.line.doze()
        super().close()
