"""Waiting for messages: looking for a while where they are expected, then sleeping until there are any.

A message from a process that is awake is here within a microsecond where the dispatcher looks for it, and after ten
to a hundred where the kernel has to wake it. So it looks while a job steps quickly, and leaves the processor to
others as soon as it is quiet, or others want it.
"""

from __future__ import annotations

import ctypes
import os
import select
import time
from typing import TYPE_CHECKING, TypeAlias

from hybrid_runtime.protocol.lines import LAST_LOOK_S
from hybrid_runtime.protocol.looking import GLANCE, HELD_UP_S, OFFER, Looking
from hybrid_runtime.protocol.watched import WatchedChannel

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.protocol.lines import Incoming
    from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

    Handler: TypeAlias = Callable[[int], None]

# Whoever gets its core back only after so long shares it with somebody, who takes twice as long, too. It goes to
# another one; should it be held up again so soon after that, all of them are busy.
_SHARED_S, _SETTLED_S = 0.0003, 0.002

_now = time.perf_counter
_give_way = os.sched_yield
_present_core = ctypes.CDLL(None).sched_getcpu


def move_to_another_core() -> bool:
    """Have the calling thread run on another core than at present, if there is one for it: whether there is.

    Some kernels leave two that are busy on one core while another is idle, for as long as neither of them sleeps.
    """
    allowed = os.sched_getaffinity(0)
    others = allowed - {_present_core()}
    if not others:
        return False
    try:
        os.sched_setaffinity(0, others)
        os.sched_setaffinity(0, allowed)
    except OSError:
        return False  # it is not allowed here
    return True


class Watch:
    """The lines that are looked at, and how long.

    Args:
        epoll: What else the loop waits on.
        handlers: What it calls, by descriptor.
        patience_s: For how long to look after the last message; 0 is never.
        most: Jobs beside which looking is allowed; with more, nobody looks. As many as there are cores for when None.
    """

    def __init__(
        self, epoll: select.epoll, handlers: dict[int, Handler], patience_s: float, most: int | None = None
    ) -> None:
        self._poll = epoll.poll
        self._handlers = handlers
        self._patience_s = patience_s
        # Those of one job look by turns; each further one's worker needs a core to do so.
        self._most = max(1, len(os.sched_getaffinity(0)) - 2) if most is None else most
        self._backends: list[WatchedChannel] = []
        # Those of them that do not look, while the dispatcher does.
        self._asleep: set[SeqPacketChannel] = set()
        self._jobs: list[WatchedChannel] = []
        self._lines: list[tuple[Incoming, int]] = []
        self._allowed = False
        self._until = 0.0
        self._looking = Looking()
        self._moved_at = 0.0

    def add_backend(self, channel: SeqPacketChannel) -> None:
        """A quantum runtime answers by this channel."""
        if isinstance(channel, WatchedChannel):
            self._backends.append(channel)
            self._settle()

    def add_job(self, channel: SeqPacketChannel) -> None:
        """A job's worker asks by this channel."""
        if isinstance(channel, WatchedChannel):
            if not self._jobs:
                # What was learnt beside other jobs, at other times, says little of this one.
                self._looking = Looking()
            self._jobs.append(channel)
            self._settle()

    def let_sleep(self, channel: SeqPacketChannel) -> None:
        """This quantum runtime is asked for little: it is not to look for its requests."""
        self._asleep.add(channel)
        self._settle()

    def drop(self, channel: SeqPacketChannel) -> None:
        """Nothing more is expected from it; one that is not known is left alone."""
        for known in (self._backends, self._jobs):
            if channel in known:
                known.remove(channel)
                self._asleep.discard(channel)
                self._settle()

    def _settle(self) -> None:
        """Whether to look, and have the others look, too."""
        self._allowed = self._patience_s > 0 and 0 < len(self._jobs) <= self._most
        channels = [*self._backends, *self._jobs]
        for channel in channels:
            channel.grant(self._patience_s if self._allowed and channel not in self._asleep else 0.0)
        self._lines = [(channel.line, channel.fileno()) for channel in channels]

    def wait(self, timeout_s: float) -> list[tuple[int, int]]:
        """What happened at descriptors, within this time; what comes by lines is handled meanwhile.

        It also returns when messages have been handled: they may have set a timer.
        """
        if self._allowed and self._looking.wanted():
            events = self._look(timeout_s)
            if events is not None:
                return events
        events = self._doze(timeout_s) or self._poll(timeout_s)
        self._until = _now() + self._patience_s
        return events

    def _look(self, timeout_s: float) -> list[tuple[int, int]] | None:
        """Look for a while; None when it is time to sleep."""
        now = _now()
        if now >= self._until:
            return None
        lines, poll, handlers = self._lines, self._poll, self._handlers
        for line, _ in lines:
            line.wake()
        due = now + timeout_s
        handled = False
        turn = 0
        while True:
            for line, fd in lines:
                if line.ready and fd in handlers:
                    handlers[fd](select.EPOLLIN)
                    now = _now()
                    self._until = now + self._patience_s
                    self._looking.paid()
                    handled = True
            if lines is not self._lines:
                return []  # a job has come or gone
            turn += 1
            if turn % OFFER:
                continue
            if turn % GLANCE == 0:
                events = poll(0)
                if events or handled:
                    return events
            _give_way()
            before, now = now, _now()
            if now >= due:
                return []
            if now - before > _SHARED_S:
                if now - self._moved_at > _SETTLED_S and move_to_another_core():
                    self._moved_at = now
                elif now - before > HELD_UP_S:
                    self._looking.was_held_up()
                    self._until = now
            if now >= self._until:
                return [] if handled else None

    def _doze(self, timeout_s: float) -> list[tuple[int, int]]:
        """Before sleeping: what was put down while the others were being told so."""
        lines = [(line, fd) for line, fd in self._lines if line.awake]
        for line, _ in lines:
            line.doze()
        for patience_s in (0.0, min(timeout_s, LAST_LOOK_S)) if lines else ():
            events = self._poll(patience_s)
            events += [(fd, select.EPOLLIN) for line, fd in lines if line.ready]
            if events:
                return events
        return []
