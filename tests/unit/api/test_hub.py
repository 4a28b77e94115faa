"""Events reach everybody who watches, once and in order; reading them costs the same for one watcher and for many."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from hybrid_runtime.api.hub import HEARTBEAT, Hub, encode
from hybrid_runtime.api.settings import ApiSettings
from hybrid_runtime.errors import InvalidInput, QuotaExceeded, Unavailable
from hybrid_runtime.resources.records import Event

PATIENCE_S = 30.0


class Records:
    """Events of jobs as a store keeps them, and how often they were read."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.fruitful = 0
        self.failures = 0
        self._lock = threading.Lock()

    def add(self, job_id: str, *types: str, data: dict | None = None) -> None:
        with self._lock:
            known = self.events[job_id]
            for kind in types:
                known.append(Event(id=len(known) + 1, at=1.0, type=kind, data=data or {"state": kind}))

    def read(self, job_id: str, after: int, limit: int) -> list[Event]:
        with self._lock:
            if self.failures:
                self.failures -= 1
                raise Unavailable("the database does not answer")
            found = [event for event in self.events[job_id] if event.id > after][:limit]
            self.fruitful += bool(found)
            return found


def settings(**given) -> ApiSettings:
    return ApiSettings(data=Path("/nowhere"), **{"poll_s": 0.001, "heartbeat_s": PATIENCE_S, **given})


def ids(pieces: list[bytes]) -> list[int]:
    lines = b"".join(pieces).split(b"\n")
    return [int(line.removeprefix(b"id: ")) for line in lines if line.startswith(b"id: ")]


async def collect(hub: Hub, job_id: str, after: int = 0, *, began: asyncio.Event | None = None) -> list[bytes]:
    pieces = []
    async for piece in hub.watch(job_id, after):
        pieces.append(piece)
        if began is not None:
            began.set()
    return pieces


async def following(watcher: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(watcher)


def run(hub: Hub, main) -> Any:
    async def whole():
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await main()
        finally:
            await hub.close()

    return asyncio.run(whole())


def test_a_watcher_gets_every_event_in_order_and_the_stream_ends_with_the_job():
    records = Records()
    records.add("job", "state", "progress")
    hub = Hub(records.read, settings())

    async def main():
        began = asyncio.Event()
        watching = asyncio.create_task(collect(hub, "job", began=began))
        await began.wait()
        records.add("job", "progress")
        records.add("job", "progress", "ended")
        return await watching

    assert ids(run(hub, main)) == [1, 2, 3, 4, 5]
    assert hub.watchers == 0


def test_a_watcher_that_comes_back_gets_what_followed_its_last_event():
    records = Records()
    records.add("job", "state", "progress", "progress", "ended")
    hub = Hub(records.read, settings())
    assert ids(run(hub, lambda: collect(hub, "job", 2))) == [3, 4]


def test_an_event_is_read_and_encoded_once_for_all_watchers_of_a_job():
    records = Records()
    hub = Hub(records.read, settings())

    async def main():
        watchers = [hub.watch("job", 0) for _ in range(200)]
        for watcher in watchers:
            assert (await anext(watcher)).startswith(b"retry:")
        # All of them wait for the same portion now.
        waiting = [asyncio.create_task(following(watcher)) for watcher in watchers]
        await asyncio.sleep(0)
        records.add("job", "state", "progress")
        pieces = await asyncio.gather(*waiting)
        for watcher in watchers:
            await watcher.aclose()
        return pieces

    pieces = run(hub, main)
    assert ids(pieces[:1]) == [1, 2]
    assert all(piece is pieces[0] for piece in pieces)
    assert records.fruitful == 1


def test_watchers_of_different_jobs_get_their_own_events():
    records = Records()
    records.add("one", "state", "ended")
    records.add("two", "state", "progress", "ended")
    hub = Hub(records.read, settings())

    async def main():
        return await asyncio.gather(collect(hub, "one"), collect(hub, "two"))

    one, two = run(hub, main)
    assert ids(one) == [1, 2]
    assert ids(two) == [1, 2, 3]


def test_a_watcher_that_is_far_behind_goes_on_at_its_own_pace_and_misses_nothing():
    records = Records()
    hub = Hub(records.read, settings())
    large = {"text": "x" * 200_000}

    async def main():
        slow = hub.watch("job", 0)
        assert (await anext(slow)).startswith(b"retry:")
        began = asyncio.Event()
        quick = asyncio.create_task(collect(hub, "job", began=began))
        await began.wait()
        for _ in range(30):
            records.add("job", "log", data=large)
        records.add("job", "ended")
        # Meanwhile its topic has let go of what came first: more was added than it keeps.
        assert ids(await quick) == list(range(1, 32))
        return [piece async for piece in slow]

    assert ids(run(hub, main)) == list(range(1, 32))


def test_a_watcher_joins_from_an_event_in_the_middle_of_what_others_are_sent():
    records = Records()
    records.add("job", *["progress"] * 10)
    hub = Hub(records.read, settings())

    async def main():
        began = asyncio.Event()
        first = asyncio.create_task(collect(hub, "job", began=began))
        await began.wait()
        second_began = asyncio.Event()
        second = asyncio.create_task(collect(hub, "job", 7, began=second_began))
        await second_began.wait()
        records.add("job", "ended")
        return await asyncio.gather(first, second)

    first, second = run(hub, main)
    assert ids(first) == list(range(1, 12))
    assert ids(second) == [8, 9, 10, 11]


def test_a_quiet_stream_shows_that_it_lives():
    hub = Hub(Records().read, settings(heartbeat_s=0.01))

    async def main():
        watcher = hub.watch("job", 0)
        pieces = [await anext(watcher) for _ in range(3)]
        await watcher.aclose()
        return pieces

    assert run(hub, main)[1:] == [HEARTBEAT, HEARTBEAT]


def test_watchers_go_on_when_the_store_answers_again():
    records = Records()
    records.add("job", "state", "ended")
    records.failures = 3
    hub = Hub(records.read, settings())
    assert ids(run(hub, lambda: collect(hub, "job"))) == [1, 2]


def test_closing_ends_all_streams():
    hub = Hub(Records().read, settings())

    async def main():
        began = [asyncio.Event() for _ in range(5)]
        watching = [asyncio.create_task(collect(hub, "job", began=one)) for one in began]
        for one in began:
            await one.wait()
        await hub.close()
        return await asyncio.gather(*watching)

    assert [ids(pieces) for pieces in run(hub, main)] == [[]] * 5


def test_an_event_that_the_job_never_had_is_refused():
    records = Records()
    records.add("job", "state", "progress")
    hub = Hub(records.read, settings())

    async def main():
        await hub.check("job", 0)
        await hub.check("job", 2)
        with pytest.raises(InvalidInput, match="no event 3 yet"):
            await hub.check("job", 3)

    run(hub, main)


def test_more_watchers_than_there_is_room_for_are_told_to_come_back():
    hub = Hub(Records().read, settings(max_watchers=1))

    async def main():
        await hub.check("job", 0)
        watcher = hub.watch("job", 0)
        await anext(watcher)
        with pytest.raises(QuotaExceeded) as caught:
            await hub.check("job", 0)
        await watcher.aclose()
        await hub.check("job", 0)
        return caught.value.retry_after_s

    assert run(hub, main) > 0


def test_what_a_job_that_has_ended_left_is_read_to_its_end():
    records = Records()
    records.add("job", *["progress"] * 1200, "ended")
    hub = Hub(records.read, settings())

    async def main():
        return [piece async for piece in hub.past("job", 5)]

    assert ids(run(hub, main)) == list(range(6, 1202))


def test_whatever_an_event_holds_its_data_is_one_line():
    event = Event(id=7, at=1.0, type="log", data={"lines": ["one\ntwo\r\n\n", "\u2028", 'id: 9\n"']})
    lines = encode(event).split(b"\n")
    assert [line.partition(b":")[0] for line in lines] == [b"id", b"event", b"data", b"", b""]
    assert b"\r" not in encode(event)
