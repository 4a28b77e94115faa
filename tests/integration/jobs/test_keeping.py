"""What is kept, for how long, and in which tables."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from hybrid_runtime.errors import Conflict, InvalidInput, NotFound, Unavailable
from hybrid_runtime.jobs.database import Database
from hybrid_runtime.jobs.policy import Policy
from hybrid_runtime.jobs.schema import audit, events, jobs, keys, logs, metadata, metrics, results
from hybrid_runtime.jobs.store import Store
from hybrid_runtime.jobs.submissions import Submission, accept
from hybrid_runtime.resources.algorithms import AlgorithmRequest
from hybrid_runtime.resources.jobs import ForkRequest, JobRequest
from tests.integration.jobs.conftest import BACKEND

DAY = 86400.0


def test_the_migrations_make_the_tables_of_the_schema(url, tmp_path):
    store = Store(url, data=tmp_path)
    with pytest.raises(Unavailable, match="version none"):
        store.ping()
    store.migrate()
    store.migrate()
    store.ping()
    store.close()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        found = {index["name"] for index in sa.inspect(connection).get_indexes("jobs")}
        assert {index.name for index in metadata.tables["jobs"].indexes} <= found
    engine.dispose()


def test_processes_that_start_together_migrate_once(url, tmp_path):
    stores = [Store(url, data=tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(Store.migrate, stores)] == [None] * 4
    secrets = [store.accounts.bootstrap() for store in stores]
    assert sum(secret is not None for secret in secrets) == 1
    for store in stores:
        store.close()


def test_a_database_of_a_later_version_is_left_alone(url, tmp_path):
    store = Store(url, data=tmp_path)
    store.migrate()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(Conflict, match="9999"):
        store.migrate()
    with pytest.raises(Unavailable, match="9999"):
        store.ping()
    store.close()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "nothing", "", "sqlite:////proc/x/y"]
)
def test_a_database_that_cannot_be_used_is_refused(url, tmp_path):
    with pytest.raises(InvalidInput) as caught:
        Store(url, data=tmp_path)
    assert "database" in str(caught.value)


def test_a_password_is_not_shown(tmp_path):
    store = Store("postgresql://me:geheim@127.0.0.1:1/x", data=tmp_path)
    assert "geheim" not in repr(store)
    with pytest.raises(Unavailable) as caught:
        store.ping()
    assert "geheim" not in str(caught.value)
    store.close()


def test_a_database_that_is_gone_is_unavailable(tmp_path):
    place = tmp_path / "jobs.sqlite"
    store = Store(f"sqlite:///{place}", data=tmp_path)
    store.migrate()
    store.close()
    for path in tmp_path.glob("jobs.sqlite*"):
        path.unlink()
    place.write_bytes(b"this is no database" * 1000)
    with pytest.raises(Unavailable):
        store.accounts.authenticate("qir_a_b")
    store.close()


def test_the_database_is_for_its_owner_alone(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/deep/jobs.sqlite", data=tmp_path)
    store.migrate()
    assert all(path.stat().st_mode & 0o077 == 0 for path in Path(tmp_path / "deep").iterdir())
    store.close()


def rows(url, table):
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        count = connection.scalar(sa.select(sa.func.count()).select_from(table))
    engine.dispose()
    return count


def test_what_has_ended_long_ago_is_removed_with_all_it_left(world, url, tmp_path):
    job = world.submit(bundle=world.bundle())
    claimed = world.run(steps=2)
    world.store.runs.report(job.id, claimed.fence, logs=[("stdout", "x")], metrics=[("m", 1.0)])
    folder = tmp_path / "data/jobs" / job.id
    folder.mkdir(parents=True)
    (folder / "journal.bin").write_bytes(b"journal")
    world.finish(claimed)
    fork = world.store.jobs.fork(world.ann, job.id, ForkRequest(step=1))
    world.clock.pass_s(91 * DAY)
    world.store.housekeeping.sweep()
    # The fork has not begun: it needs the journal.
    assert world.store.jobs.get(world.ann, job.id).state == "completed"
    world.store.jobs.cancel(world.ann, fork.id)
    world.store.housekeeping.sweep()
    with pytest.raises(NotFound):
        world.store.jobs.get(world.ann, job.id)
    assert not folder.exists()
    assert world.store.jobs.get(world.ann, fork.id).state == "cancelled"
    world.clock.pass_s(91 * DAY)
    world.store.housekeeping.sweep()
    assert [rows(url, table) for table in (logs, metrics, results, events)] == [0, 0, 0, 0]
    assert rows(url, audit.select().where(audit.c.subject == "job").subquery()) == 0
    # What was used stays used, and no number is given twice.
    assert world.store.usage.report(world.ann)[0].jobs == 2
    world.submit()
    assert world.store.statistics().submitted == 3


def test_a_job_is_not_forked_that_was_removed_since_it_was_looked_up(world, url):
    bundle = world.bundle()
    job = world.submit(bundle=bundle)
    world.finish(world.run(steps=2))
    database = Database(url, world.clock)
    with database.read() as connection:
        row = connection.execute(sa.select(jobs).where(jobs.c.id == job.id)).one()._asdict()
    world.clock.pass_s(91 * DAY)
    world.store.housekeeping._sweep_jobs()
    request = JobRequest(backend=BACKEND, bundle=bundle)
    (answer,) = accept(database, Policy(), [Submission(world.ann, [request], fork=(row, ForkRequest(step=1)))])
    database.close()
    assert isinstance(answer, NotFound)
    assert world.store.statistics().jobs == {}


def test_what_an_upload_left_that_broke_off_is_removed_after_a_day(world, tmp_path):
    known = world.bundle()
    folder = tmp_path / "data/bundles/00"
    folder.mkdir(parents=True, exist_ok=True)
    stray, unfinished = folder / f"{'0' * 64}.bundle", folder / f".{'0' * 64}.bundle.1234"
    new = folder / f"{'00' + '1' * 62}.bundle"
    for path in (stray, unfinished, new):
        path.write_bytes(b"x")
    for path in (stray, unfinished, world.store.bundles.path(known)):
        os.utime(path, (world.clock.at - DAY - 1, world.clock.at - DAY - 1))
    world.store.housekeeping.sweep()
    assert [path.exists() for path in (stray, unfinished, new)] == [False, False, True]
    assert world.store.bundles.read(known)


def test_bundles_that_nothing_needs_are_removed_after_a_while(world):
    used, named, unneeded = world.bundle(), world.bundle(), world.bundle()
    world.submit(bundle=used)
    world.store.algorithms.add(world.ann, AlgorithmRequest(name="kept", bundle=named))
    world.clock.pass_s(6 * DAY)
    again = world.bundle()
    world.clock.pass_s(2 * DAY)
    world.store.housekeeping.sweep()
    for sha256 in (used, named, again):
        assert world.store.bundles.get(world.ann, sha256).sha256 == sha256
        assert world.store.bundles.read(sha256)
    for find in (lambda: world.store.bundles.get(world.ann, unneeded), lambda: world.store.bundles.read(unneeded)):
        with pytest.raises(NotFound):
            find()


def test_a_bundle_that_is_uploaded_again_is_new(world):
    sha256 = world.bundle()
    data = world.store.bundles.read(sha256)
    world.clock.pass_s(8 * DAY)
    world.store.bundles.put(world.ann, data)
    world.store.housekeeping.sweep()
    assert world.store.bundles.read(sha256) == data


def test_idempotency_keys_are_remembered_for_two_days(world, url):
    request = JobRequest(backend="emulator", circuit="x", seed=1)
    job = world.store.jobs.submit(world.ann, request, "key")
    world.clock.pass_s(DAY * 1.9)
    world.store.housekeeping.sweep()
    assert world.store.jobs.submit(world.ann, request, "key").id == job.id
    world.clock.pass_s(DAY * 0.2)
    world.store.housekeeping.sweep()
    assert rows(url, keys) == 0
    assert world.store.jobs.submit(world.ann, request, "key").id != job.id


def test_a_key_whose_job_was_removed_makes_no_second_one(make_world):
    world = make_world(keep_jobs_s=60.0)
    request = JobRequest(backend="emulator", circuit="x", seed=1)
    world.store.jobs.submit(world.ann, request, "key")
    world.finish(world.claim())
    world.clock.pass_s(61)
    world.store.housekeeping.sweep()
    with pytest.raises(Conflict, match="removed"):
        world.store.jobs.submit(world.ann, request, "key")
