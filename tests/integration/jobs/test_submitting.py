"""Accepting jobs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hybrid_runtime.errors import BackendUnknown, BundleError, Conflict, InvalidInput, NotFound, QuotaExceeded
from hybrid_runtime.resources.algorithms import AlgorithmRequest
from hybrid_runtime.resources.backends import Environment
from hybrid_runtime.resources.jobs import ForkRequest, JobRequest, Priority

REQUEST = JobRequest(backend="emulator", circuit="version 3.0\nqubit q", seed=7)


def test_a_job_is_as_it_was_asked_for(world):
    sha256 = world.bundle()
    job = world.submit(
        bundle=sha256, name="Grüße", parameters={"x": [1, None]}, shots=5, seed=3, limits={"steps": 9, "wall_s": 2}
    )
    assert (job.state, job.kind, job.bundle, job.name, job.shots, job.seed) == (
        "queued",
        "hybrid",
        sha256,
        "Grüße",
        5,
        3,
    )
    assert job.limits == {"steps": 9, "wall_s": 2.0}
    assert (job.position, job.waiting_for) == (1, "a free place on emulator")
    assert world.store.jobs.get(world.ann, job.id) == job
    claimed = world.claim()
    assert (claimed.parameters, claimed.limits, claimed.resume) == ({"x": [1, None]}, job.limits, False)


def test_a_job_and_its_fork_are_exact_where_that_was_asked_for(world):
    job = world.submit(bundle=world.bundle(), shots=None)
    assert job.shots is None
    assert world.store.jobs.get(world.ann, job.id) == job
    assert world.run().shots is None
    fork = world.store.jobs.fork(world.ann, job.id, ForkRequest(step=0))
    assert (fork.shots, world.claim().shots) == (None, None)


def test_what_is_not_there_is_refused_and_leaves_nothing(world):
    for request, error in (
        ({"backend": "qpu"}, BackendUnknown),
        ({"bundle": "0" * 64}, NotFound),
        ({"algorithm": "vqe"}, NotFound),
        ({"project": "nowhere"}, NotFound),
        ({"bundle": world.bundle(), "environment": "python-2"}, InvalidInput),
    ):
        with pytest.raises(error):
            world.submit(**request)
    assert world.store.jobs.list(world.admin).items == []
    assert world.store.statistics().submitted == 0


def test_an_algorithm_is_submitted_by_name_and_version(world):
    first, second = world.bundle(), world.bundle()
    world.store.algorithms.add(world.ann, AlgorithmRequest(name="vqe", bundle=first))
    again = world.store.algorithms.add(world.ann, AlgorithmRequest(name="vqe", bundle=first))
    assert [version.version for version in again.versions] == [1]
    known = world.store.algorithms.add(world.ann, AlgorithmRequest(name="vqe", bundle=second))
    assert [(version.version, version.bundle) for version in known.versions] == [(2, second), (1, first)]
    assert world.submit(algorithm="vqe").algorithm == "vqe@2"
    assert world.submit(algorithm="vqe@1").bundle == first
    for wrong in ("vqe@3", "vqe@", "vqe@-1", "vqe@x", "vqe@1@2", "vqe@99999999999999999999"):
        with pytest.raises((NotFound, InvalidInput)):
            world.submit(algorithm=wrong)


def test_algorithms_are_listed_page_by_page(world):
    sha256 = world.bundle()
    for name in ("c", "a", "b"):
        world.store.algorithms.add(world.ann, AlgorithmRequest(name=name, bundle=sha256))
    first = world.store.algorithms.list(world.ann, limit=2)
    rest = world.store.algorithms.list(world.ann, limit=2, cursor=first.next)
    assert [one.name for one in [*first.items, *rest.items]] == ["a", "b", "c"]
    assert rest.next is None


def test_a_pickle_of_another_python_is_refused_with_what_would_fit(world):
    pickled = world.bundle(entry="", files={}, pickle=b"x", python="3.12")
    with pytest.raises(InvalidInput, match=r"pickled by Python 3\.12.*python-3\.11 has Python 3\.11\.2.*yourself"):
        world.submit(bundle=pickled)
    world.store.runs.announce("other", {}, Environment(name="modern", python="3.12.1", packages={}))
    with pytest.raises(InvalidInput, match="an environment that fits: modern"):
        world.submit(bundle=pickled)
    assert world.submit(bundle=pickled, backend="other").bundle == pickled
    # Source runs anywhere.
    assert world.submit(bundle=world.bundle(python="3.13")).state == "queued"


def test_a_repeated_request_gives_the_job_of_the_first_one(world):
    job = world.store.jobs.submit(world.ann, REQUEST, "key")
    assert world.store.jobs.submit(world.ann, REQUEST, "key").id == job.id
    assert world.store.jobs.list(world.ann).items == [job]
    with pytest.raises(Conflict, match="another request"):
        world.store.jobs.submit(world.ann, replace(REQUEST, seed=8), "key")
    with pytest.raises(Conflict, match="another request"):
        world.store.jobs.submit_many(world.ann, [REQUEST], "key")
    # A key is its user's own.
    assert world.store.jobs.submit(world.bob, REQUEST, "key").id != job.id
    batch = world.store.jobs.submit_many(world.ann, [REQUEST, REQUEST], "batch")
    repeated = world.store.jobs.submit_many(world.ann, [REQUEST, REQUEST], "batch")
    assert [one.id for one in repeated] == [one.id for one in batch]


def test_a_repeated_request_shows_how_the_job_stands_now(world):
    job = world.store.jobs.submit(world.ann, REQUEST, "key")
    world.finish(world.claim())
    assert world.store.jobs.submit(world.ann, REQUEST, "key").state == "completed"
    assert world.store.jobs.submit(world.ann, REQUEST, "key").id == job.id


def test_one_key_at_the_same_moment_makes_one_job(world):
    with ThreadPoolExecutor(16) as pool:
        made = [*pool.map(lambda _: world.store.jobs.submit(world.ann, REQUEST, "key").id, range(64))]
    assert len(set(made)) == 1
    assert world.store.statistics().submitted == 1


def test_a_batch_is_accepted_as_a_whole_or_not_at_all(world):
    bad = replace(REQUEST, circuit=None, bundle="0" * 64)
    with pytest.raises(NotFound):
        world.store.jobs.submit_many(world.ann, [REQUEST, bad, REQUEST], "key")
    with pytest.raises(InvalidInput, match="job 1 of the batch: shots"):
        world.store.jobs.submit_many(world.ann, [REQUEST, replace(REQUEST, shots=0)])
    with pytest.raises(InvalidInput, match="1 to 10000"):
        world.store.jobs.submit_many(world.ann, [])
    assert world.store.jobs.list(world.ann).items == []
    made = world.store.jobs.submit_many(world.ann, [REQUEST] * 700, "key")
    assert [job.position for job in made] == [*range(1, 701)]


def test_submissions_of_many_threads_are_all_kept_and_refusals_are_their_own(world):
    def submit(number):
        try:
            return world.store.jobs.submit(
                world.ann, replace(REQUEST, shots=number + 1, backend="emulator" if number % 5 else "no")
            )
        except BackendUnknown:
            return None

    with ThreadPoolExecutor(16) as pool:
        made = [*pool.map(submit, range(300))]
    assert [job is None for job in made] == [number % 5 == 0 for number in range(300)]
    assert [job.shots for job in made if job] == [number + 1 for number in range(300) if number % 5]
    assert {job.id for job in made if job} == {job.id for job in world.store.jobs.list(world.ann, limit=1000).items}


def test_a_user_has_so_many_jobs_waiting(make_world):
    world = make_world(queued_per_user=3)
    first = world.submit()
    world.submit(start_after=world.clock.at + 60)
    world.store.jobs.pause(world.ann, world.submit().id)
    with pytest.raises(QuotaExceeded, match="3 jobs waiting") as caught:
        world.submit()
    assert caught.value.retry_after_s
    with pytest.raises(QuotaExceeded):
        world.store.jobs.submit_many(world.bob, [REQUEST] * 4)
    assert world.submit(world.bob).state == "queued"
    world.store.jobs.cancel(world.ann, first.id)
    assert world.submit().state == "queued"


def test_a_planned_job_waits_for_its_time(world):
    job = world.submit(start_after=world.clock.at + 60)
    assert (job.state, job.position) == ("planned", None)
    assert "its time to start" in job.waiting_for
    assert world.store.housekeeping.promote() == 0
    assert world.store.runs.claim("emulator", "one", 10) is None
    world.clock.pass_s(61)
    assert world.store.housekeeping.promote() == 1
    assert world.claim().job_id == job.id
    assert world.submit(start_after=1.0).state == "queued"


def test_a_fork_is_a_new_job_with_the_first_steps_of_another(world):
    job = world.submit(bundle=world.bundle(), parameters={"x": 1}, seed=5, name="first", priority=Priority.LOW)
    with pytest.raises(Conflict, match="0 steps"):
        world.store.jobs.fork(world.ann, job.id, ForkRequest(step=1))
    world.finish(world.run(steps=3))
    fork = world.store.jobs.fork(world.ann, job.id, ForkRequest(step=2, parameters={"x": 2}, name="second"))
    assert (fork.forked_from, fork.bundle, fork.seed, fork.priority, fork.name) == (
        job.id,
        job.bundle,
        5,
        Priority.LOW,
        "second",
    )
    claimed = world.claim()
    assert (claimed.fork_of, claimed.parameters) == ((job.id, 2), {"x": 2})
    with pytest.raises(InvalidInput):
        world.store.jobs.fork(world.ann, job.id, ForkRequest(step=-1))
    circuit = world.submit()
    with pytest.raises(Conflict, match="single circuit"):
        world.store.jobs.fork(world.ann, circuit.id, ForkRequest(step=0))


def test_a_bundle_is_kept_once_under_the_name_of_its_content(world, tmp_path):
    data = world.store.bundles.read(world.bundle(world.ann, files={"a.py": b"same"}))
    again = world.store.bundles.put(world.bob, data)
    files = [path for path in (tmp_path / "data/bundles").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [f"{again.sha256}.bundle"]
    assert files[0].stat().st_mode & 0o077 == 0
    with pytest.raises(BundleError):
        world.store.bundles.put(world.ann, b"\x80")
    with pytest.raises(NotFound):
        world.store.bundles.read("../../../../etc/passwd")


def test_a_user_uploads_so_much(make_world):
    world = make_world(bundle_bytes_per_user=1000)
    data = world.store.bundles.read(world.bundle(files={"a.py": b"x" * 800}))
    with pytest.raises(QuotaExceeded):
        world.bundle(files={"a.py": b"y" * 800})
    world.store.bundles.put(world.ann, data)
    world.bundle(world.bob, files={"a.py": b"y" * 800})
