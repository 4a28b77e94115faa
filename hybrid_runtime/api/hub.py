"""Events of jobs, to everybody who watches: one reader for each watched job, however many watch it.

::

    store ──new events──▶ Topic (one for each job; encoded once) ──▶ watcher, at its own place
                                                                 ──▶ watcher, …

A watcher holds nothing but its place. One that is behind what its topic keeps reads from the store itself, at the
pace at which it takes what it is sent; so does one that comes back with the id of the last event it had.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from starlette.concurrency import run_in_threadpool

from hybrid_runtime.errors import InvalidInput, QuotaExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hybrid_runtime.api.settings import ApiSettings
    from hybrid_runtime.resources.records import Event

    # Events of a job after an id, at most so many.
    Read = Callable[[str, int, int], list[Event]]

_log = logging.getLogger(__name__)
_MOST_EVENTS = 500
# What one topic keeps for watchers that are a little behind.
_MOST_KEPT = 1024 * 1024
# With more watchers the events come in larger portions: sending is what costs, and it must not slow the jobs.
_WATCHERS_PER_S = 1000
_RETRY_S = 5.0
HEARTBEAT = b": still here\n\n"
_json = msgspec.json.Encoder().encode


def encode(event: Event) -> bytes:
    """An event as the stream has it."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.type.encode(), _json(event.data))


class Portion(NamedTuple):
    """Events that were read together: what each watcher is sent, encoded once."""

    ids: list[int]
    parts: list[bytes]
    whole: bytes
    ended: bool

    def after(self, place: int) -> bytes:
        """Those of them that follow an event."""
        if place < self.ids[0]:
            return self.whole
        return b"".join(part for number, part in zip(self.ids, self.parts, strict=True) if number > place)


def portion(events: list[Event]) -> Portion:
    """Encode these events."""
    parts = [encode(event) for event in events]
    ended = any(event.type == "ended" for event in events)
    return Portion([event.id for event in events], parts, b"".join(parts), ended)


class _Topic:
    """What is newest of one job.

    Args:
        begun: The newest event when it was made; what is older is not kept here.
    """

    def __init__(self, begun: int) -> None:
        self.newest = begun
        self.oldest = begun  # everything after this one is kept
        self.watchers = 0
        self.ended = False
        self._kept: deque[Portion] = deque()
        self._size = 0
        self._changed = asyncio.Event()

    def add(self, new: Portion) -> None:
        self._kept.append(new)
        self._size += len(new.whole)
        self.newest = new.ids[-1]
        while self._size > _MOST_KEPT and len(self._kept) > 1:
            gone = self._kept.popleft()
            self._size -= len(gone.whole)
            self.oldest = gone.ids[-1]
        self.ended = self.ended or new.ended
        self.wake()

    def wake(self) -> None:
        """Let everybody look who waits for a change."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def after(self, place: int) -> bytes:
        """What is kept of what follows an event, in one piece."""
        newer = [one for one in self._kept if one.ids[-1] > place]
        return newer[0].after(place) if len(newer) == 1 else b"".join(one.after(place) for one in newer)

    async def change(self, timeout_s: float) -> bool:
        """Wait until there is something new; False when there is not."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return False
        return True


class Hub:
    """All topics, and the one task that reads for them while anybody watches.

    Args:
        read: Reads events of a job from the store; called in a thread.
        settings: How often to look, how long to be silent.
    """

    def __init__(self, read: Read, settings: ApiSettings) -> None:
        self._read = read
        self._settings = settings
        self._topics: dict[str, _Topic] = {}
        self._reader: asyncio.Task[None] | None = None
        self.watchers = 0
        self.closed = False

    async def close(self) -> None:
        """End all streams; those who watch may resume elsewhere."""
        self.closed = True
        for topic in self._topics.values():
            topic.wake()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def check(self, job_id: str, after: int) -> None:
        """Refuse a watcher that there is no room for, or whose last event the job never had.

        Raises:
            QuotaExceeded: too many watch already.
            InvalidInput: the job has no such event.
        """
        if self.watchers >= self._settings.max_watchers:
            text = f"{self.watchers} event streams are open, and no more are served at a time"
            raise QuotaExceeded(text, retry_after_s=_RETRY_S)
        if after and not await self._page(job_id, after - 1, 1):
            raise InvalidInput(f"this job has no event {after} yet: begin with `after=0`")

    async def _page(self, job_id: str, after: int, limit: int) -> list[Event]:
        return await run_in_threadpool(self._read, job_id, after, limit)

    async def past(self, job_id: str, after: int) -> AsyncGenerator[bytes, None]:
        """What a job that has ended left, after an event."""
        while events := await self._page(job_id, after, _MOST_EVENTS):
            yield portion(events).whole
            after = events[-1].id

    async def watch(self, job_id: str, after: int) -> AsyncGenerator[bytes, None]:
        """A job's events after one of them, as pieces of the stream, until it has ended or the hub closes."""
        with self._watching(job_id, after) as topic:
            yield b"retry: 1000\n\n"
            while not self.closed:
                if after < topic.oldest:
                    # Not kept any more, or older than the topic.
                    events = await self._page(job_id, after, _MOST_EVENTS)
                    if events:
                        old = portion(events)
                        yield old.whole
                        after = old.ids[-1]
                        if old.ended:
                            return
                    else:
                        after = topic.oldest
                elif piece := topic.after(after):
                    after = topic.newest
                    yield piece
                elif topic.ended:
                    return
                elif not await topic.change(self._settings.heartbeat_s):
                    yield HEARTBEAT

    @contextmanager
    def _watching(self, job_id: str, after: int) -> Iterator[_Topic]:
        topic = self._topics.get(job_id)
        if topic is None:
            topic = self._topics[job_id] = _Topic(after)
        topic.watchers += 1
        self.watchers += 1
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._keep_reading(), name="events")
        try:
            yield topic
        finally:
            self.watchers -= 1
            topic.watchers -= 1
            if not topic.watchers:
                del self._topics[job_id]

    async def _keep_reading(self) -> None:
        """Look for new events as long as anybody watches."""
        while self._topics:
            wanted = [(job_id, topic) for job_id, topic in self._topics.items() if not topic.ended]
            places = [(job_id, topic.newest) for job_id, topic in wanted]
            try:
                found = await run_in_threadpool(self._look, places)
            except Exception as error:  # noqa: BLE001 (whatever it is: those who watch go on when it has passed)
                _log.warning("events cannot be read now: %r", error)
                found = [None] * len(places)
            for (_, topic), new in zip(wanted, found, strict=True):
                if new is not None:
                    topic.add(new)
            if not any(new is not None and len(new.ids) == _MOST_EVENTS for new in found):
                await asyncio.sleep(max(self._settings.poll_s, self.watchers / _WATCHERS_PER_S))

    def _look(self, places: list[tuple[str, int]]) -> list[Portion | None]:
        found = [self._read(job_id, place, _MOST_EVENTS) for job_id, place in places]
        return [portion(events) if events else None for events in found]
