"""Lists, positions, and the numbers that make them quick."""

from __future__ import annotations

import itertools
import random

import pytest
import sqlalchemy as sa

from hybrid_runtime.errors import Conflict, InvalidInput, LeaseLost, NotFound
from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.schema import blocks, jobs, lanes, loads
from hybrid_runtime.resources.jobs import JobRequest, Priority


def test_pages_hold_every_job_once_newest_first(world):
    made = [world.submit().id for _ in range(7)]
    seen, cursor = [], None
    for _ in range(4):
        page = world.store.jobs.list(world.ann, limit=2, cursor=cursor)
        seen += [job.id for job in page.items]
        cursor = page.next
        # What comes in between does not move the pages.
        world.submit()
    assert (seen, cursor) == (made[::-1], None)


def test_lists_are_filtered_by_everything_at_once(world):
    world.join(world.bob, "ann")
    world.serve("other")
    expected = {}
    for number, (who, backend, name) in enumerate(
        itertools.product((world.ann, world.bob), ("emulator", "other"), "xy")
    ):
        job = world.submit(who, backend=backend, name=name, project="ann")
        if number % 2:
            world.store.jobs.cancel(who, job.id)
        expected[job.id] = (who.user, backend, name, "cancelled" if number % 2 else "queued")
    values: list[tuple[str | None, ...]] = [
        (None, "ann", "bob"),
        (None, "emulator", "other"),
        (None, "x", "y"),
        (None, "queued", "cancelled"),
    ]
    for wanted in itertools.product(*values):
        user, backend_name, name_is, state = wanted
        filters = {"user": user, "backend": backend_name, "name": name_is, "state": state and JobState(state)}
        right = [one for one, has in expected.items() if all(w in (None, h) for w, h in zip(wanted, has, strict=True))]
        for who in (world.ann, world.bob, world.admin):
            assert [job.id for job in world.store.jobs.list(who, **filters).items] == right[::-1]
    middle = world.store.jobs.get(world.ann, [*expected][4]).created_at
    assert [job.id for job in world.store.jobs.list(world.ann, since=middle).items] == [*expected][4:][::-1]
    assert world.store.jobs.list(world.ann, since=middle + 1e6).items == []


@pytest.mark.parametrize(
    "filters", [{"limit": 0}, {"limit": 1001}, {"limit": True}, {"cursor": "x"}, {"since": float("nan")}]
)
def test_what_is_no_page_is_refused(world, filters):
    with pytest.raises(InvalidInput):
        world.store.jobs.list(world.ann, **filters)


def test_odd_filters_find_nothing(world):
    world.submit(name="")
    for text in ("%", "\0", "\ud800", "' OR 1=1 --", "x" * 10_000):
        assert world.store.jobs.list(world.ann, name=text).items == []
        assert world.store.jobs.list(world.admin, user=text).items == []
        with pytest.raises(NotFound):
            world.store.jobs.get(world.ann, text)


def test_places_are_right_over_many_blocks_and_classes(world):
    made = []
    for who, priority in ((world.ann, Priority.NORMAL), (world.bob, Priority.LOW), (world.admin, Priority.HIGH)):
        request = JobRequest(backend="emulator", circuit="x", priority=priority)
        made.append([job.id for job in world.store.jobs.submit_many(who, [request] * 700)])
    order = [*made[2], *made[0], *made[1]]
    for place in (1, 2, 511, 512, 513, 700, 701, 1024, 1400, 1401, 2100):
        shown = world.store.jobs.get(world.admin, order[place - 1])
        assert shown.position == place
    for gone in (order[0], order[600], order[1500]):
        world.store.jobs.cancel(world.admin, gone)
    assert world.store.jobs.get(world.admin, order[-1]).position == 2097
    page = world.store.backends.queue(world.admin, "emulator", limit=900)
    rest = world.store.backends.queue(world.admin, "emulator", limit=1000, cursor=page.next)
    last = world.store.backends.queue(world.admin, "emulator", limit=1000, cursor=rest.next)
    entries = [*page.items, *rest.items, *last.items]
    assert [entry.job_id for entry in entries] == [
        one for one in order if one not in (order[0], order[600], order[1500])
    ]
    assert [entry.position for entry in entries] == [*range(1, 2098)]


def count_anew(connection):
    """What the tables that count must say."""
    rows = connection.execute(sa.select(jobs)).all()
    waiting = {JobState.PLANNED, JobState.QUEUED, JobState.PAUSED}
    lane: dict = {}
    block: dict = {}
    load: dict = {}
    for row in rows:
        state = JobState(row.state)
        if state is JobState.QUEUED:
            count, head = lane.get((row.backend, row.user, row.rank), (0, row.number))
            lane[row.backend, row.user, row.rank] = (count + 1, min(head, row.number))
            key = (row.backend, row.rank, row.number - row.number % 512)
            block[key] = block.get(key, 0) + 1
        if not state.final:
            before = load.get((row.backend, row.user), (0, 0))
            waits = state in waiting
            load[row.backend, row.user] = (before[0] + waits, before[1] + (not waits))
    return lane, block, load


def counted(connection):
    return (
        {(row.backend, row.user, row.rank): (row.queued, row.head) for row in connection.execute(sa.select(lanes))},
        {(row.backend, row.rank, row.block): row.queued for row in connection.execute(sa.select(blocks))},
        {
            (row.backend, row.user): (row.waiting, row.running)
            for row in connection.execute(sa.select(loads))
            if row.waiting or row.running
        },
    )


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_the_counts_are_those_of_the_jobs(make_world, url, seed):
    world = make_world(running_per_user=3)
    chance = random.Random(seed)
    held: dict = {}
    known: list[str] = []
    engine = sa.create_engine(url)

    def submit():
        who = chance.choice([world.ann, world.bob])
        later = chance.choice([None, None, world.clock.at + 5])
        request = JobRequest(
            backend="emulator", circuit="x", priority=chance.choice([*Priority][:2]), start_after=later
        )
        known.extend(job.id for job in world.store.jobs.submit_many(who, [request] * chance.randint(1, 5)))

    def claim():
        claimed = world.store.runs.claim("emulator", "one", 10)
        if claimed is not None:
            held[claimed.job_id] = claimed

    def with_held(act):
        return lambda: held and act(held[chance.choice([*held])])

    def with_known(act):
        return lambda: known and act(world.admin, chance.choice(known))

    runs, steer = world.store.runs, world.store.jobs
    acts = [
        submit,
        claim,
        claim,
        claim,
        with_held(world.finish),
        with_held(lambda one: runs.report(one.job_id, one.fence, state=chance.choice([*JobState]))),
        with_held(lambda one: runs.release(one.job_id, one.fence, "")),
        with_held(lambda one: runs.paused(one.job_id, one.fence)),
        with_known(steer.pause),
        with_known(steer.resume),
        with_known(steer.cancel),
        with_known(lambda who, one: steer.cancel(who, one, kill=True)),
        world.store.housekeeping.promote,
        lambda: held.update({one.job_id: one for one in runs.take_over("emulator", "two", 10)}),
        lambda: world.clock.pass_s(3),
    ]
    refused = 0
    for _ in range(150):
        try:
            chance.choice(acts)()
        except (Conflict, LeaseLost):
            refused += 1
        with engine.connect() as connection:
            assert counted(connection) == count_anew(connection)
    engine.dispose()
    assert 0 < refused < 150
