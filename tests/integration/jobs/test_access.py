"""One tenant and another: every rule, and an attempt to break it."""

from __future__ import annotations

import pytest

from hybrid_runtime.errors import Conflict, Forbidden, InvalidInput, NotFound
from hybrid_runtime.job import JobState
from hybrid_runtime.resources.accounts import Member, ProjectRole, Role
from hybrid_runtime.resources.algorithms import AlgorithmRequest
from hybrid_runtime.resources.backends import BackendChange, BackendStatus
from hybrid_runtime.resources.jobs import Failure, ForkRequest, JobRequest, Priority


def attempts(store, who, job_id):
    """Everything that can be tried on a job."""
    return {
        "get": lambda: store.jobs.get(who, job_id),
        "history": lambda: store.jobs.history(who, job_id),
        "cancel": lambda: store.jobs.cancel(who, job_id),
        "kill": lambda: store.jobs.cancel(who, job_id, kill=True),
        "pause": lambda: store.jobs.pause(who, job_id),
        "resume": lambda: store.jobs.resume(who, job_id),
        "fork": lambda: store.jobs.fork(who, job_id, ForkRequest(step=0)),
        "result": lambda: store.jobs.result(who, job_id),
        "logs": lambda: store.jobs.logs(who, job_id),
        "metrics": lambda: store.jobs.metrics(who, job_id),
        "events": lambda: store.jobs.events(who, job_id),
    }


def test_another_tenants_job_does_not_exist(world):
    job = world.submit(world.ann, bundle=world.bundle())
    world.finish(world.run(steps=1))
    absent = {}
    for name, attempt in attempts(world.store, world.bob, "20260101-000000-000000000000").items():
        with pytest.raises(NotFound) as caught:
            attempt()
        absent[name] = str(caught.value).replace("20260101-000000-000000000000", "…")
    for name, attempt in attempts(world.store, world.bob, job.id).items():
        with pytest.raises(NotFound) as caught:
            attempt()
        # Not even the words tell that it is there.
        assert str(caught.value).replace(job.id, "…") == absent[name]
    assert world.store.jobs.list(world.bob).items == []
    for filters in ({"user": "ann"}, {"backend": "emulator"}, {"name": ""}, {"state": "completed"}, {"since": 0.0}):
        assert world.store.jobs.list(world.bob, **filters).items == []
    with pytest.raises(NotFound):
        world.store.jobs.list(world.bob, project="ann")


def test_a_member_reads_what_the_project_shares_and_steers_only_own_jobs(world):
    world.join(world.bob, "ann")
    job = world.submit(world.ann, bundle=world.bundle())
    assert world.store.jobs.get(world.bob, job.id).id == job.id
    assert world.store.jobs.logs(world.bob, job.id) == []
    for name in ("cancel", "kill", "pause", "resume"):
        with pytest.raises(Forbidden, match="ann"):
            attempts(world.store, world.bob, job.id)[name]()
    own = world.submit(world.bob, project="ann")
    assert world.store.jobs.cancel(world.bob, own.id).state == "cancelled"
    fork = world.store.jobs.fork(world.bob, job.id, ForkRequest(step=0))
    assert (fork.user, fork.project, fork.forked_from) == ("bob", "ann", job.id)


def test_an_owner_of_the_project_steers_the_jobs_of_all_members(world):
    world.join(world.bob, "ann")
    theirs = world.submit(world.bob, project="ann")
    assert world.store.jobs.pause(world.ann, theirs.id).state == "paused"
    assert world.store.jobs.cancel(world.ann, theirs.id).state == "cancelled"


def test_who_has_left_a_project_is_a_stranger_to_it(world):
    world.join(world.bob, "ann")
    own = world.submit(world.bob, project="ann")
    world.store.projects.remove_member(world.ann, "ann", "bob")
    for attempt in attempts(world.store, world.bob, own.id).values():
        with pytest.raises(NotFound):
            attempt()
    with pytest.raises(NotFound):
        world.submit(world.bob, project="ann")


def test_an_operator_sees_how_a_job_stands_and_not_what_is_in_it(world):
    operator = world.user("olga", Role.OPERATOR)
    job = world.submit(world.ann, bundle=world.bundle())
    tried = attempts(world.store, operator, job.id)
    assert tried["get"]().id == job.id
    assert tried["history"]()[0].state == "queued"
    assert world.store.jobs.list(operator, project="ann").items[0].id == job.id
    for name in ("result", "logs", "metrics", "events", "fork"):
        with pytest.raises(Forbidden, match="members of the project"):
            tried[name]()
    assert tried["pause"]().state == "paused"
    assert tried["resume"]().state == "queued"
    assert tried["cancel"]().state == "cancelled"
    # The project itself is the members' business.
    with pytest.raises(NotFound):
        world.store.projects.get(operator, "ann")
    with pytest.raises(NotFound):
        world.store.bundles.get(operator, job.bundle)


def test_what_an_error_says_is_not_for_operators(world):
    operator = world.user("olga", Role.OPERATOR)
    job = world.submit(world.ann)
    failure = Failure(kind="ValueError", text="the secret is known to ann", traceback="line 7")
    world.finish(world.claim(), JobState.FAILED, error=failure)
    assert world.store.jobs.get(world.ann, job.id).error == failure
    for shown in (world.store.jobs.get(operator, job.id), world.store.jobs.list(operator).items[0]):
        assert "known to ann" not in repr(shown.error)
        assert shown.error.kind == "ValueError"
    assert "known to ann" not in repr(world.store.jobs.history(operator, job.id))
    assert "known to ann" not in repr(world.store.audit.list(operator))


def test_a_bundle_is_for_those_who_have_it_even_when_its_name_is_known(world):
    sha256 = world.bundle(world.ann)
    assert world.store.bundles.get(world.ann, sha256).sha256 == sha256
    with pytest.raises(NotFound):
        world.store.bundles.get(world.bob, sha256)
    with pytest.raises(NotFound):
        world.submit(world.bob, bundle=sha256)
    with pytest.raises(NotFound):
        world.store.algorithms.add(world.bob, AlgorithmRequest(name="stolen", bundle=sha256))
    # Whoever has the same content may use it: it was not told by us.
    world.store.bundles.put(world.bob, world.store.bundles.read(sha256))
    assert world.submit(world.bob, bundle=sha256).bundle == sha256


def test_members_use_what_was_used_in_their_project(world):
    sha256 = world.bundle(world.ann)
    world.join(world.bob, "ann")
    with pytest.raises(NotFound):
        world.store.bundles.get(world.bob, sha256)
    world.submit(world.ann, bundle=sha256)
    assert world.store.bundles.get(world.bob, sha256).sha256 == sha256


def test_another_tenants_algorithm_does_not_exist(world):
    world.store.algorithms.add(world.ann, AlgorithmRequest(name="vqe", bundle=world.bundle()))
    for attempt in (
        lambda: world.store.algorithms.get(world.bob, "vqe"),
        lambda: world.store.algorithms.get(world.bob, "vqe", "ann"),
        lambda: world.store.algorithms.list(world.bob, project="ann"),
        lambda: world.submit(world.bob, algorithm="vqe"),
        lambda: world.submit(world.bob, algorithm="vqe", project="ann"),
        lambda: world.store.algorithms.add(
            world.bob, AlgorithmRequest(name="vqe", bundle=world.bundle(world.bob), project="ann")
        ),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert world.store.algorithms.list(world.bob).items == []
    assert world.store.algorithms.list(world.admin).items[0].name == "vqe"


def test_projects_are_changed_by_their_owners(world):
    projects = world.store.projects
    with pytest.raises(NotFound):
        projects.get(world.bob, "ann")
    with pytest.raises(NotFound):
        projects.set_member(world.bob, "ann", Member(user="bob", role=ProjectRole.OWNER))
    world.join(world.bob, "ann")
    with pytest.raises(Forbidden):
        projects.set_member(world.bob, "ann", Member(user="bob", role=ProjectRole.OWNER))
    with pytest.raises(Forbidden):
        projects.remove_member(world.bob, "ann", "ann")
    with pytest.raises(Conflict, match="no owner"):
        projects.remove_member(world.ann, "ann", "ann")
    with pytest.raises(Conflict, match="no owner"):
        projects.set_member(world.ann, "ann", Member(user="ann", role=ProjectRole.MEMBER))
    assert [member.user for member in projects.get(world.ann, "ann").members] == ["ann", "bob"]
    assert [project.name for project in projects.list(world.bob)] == ["ann", "bob"]
    assert [member.user for member in projects.remove_member(world.bob, "ann", "bob").members] == ["ann"]
    with pytest.raises(NotFound):
        projects.set_member(world.ann, "ann", Member(user="nobody", role=ProjectRole.MEMBER))


def test_a_queue_shows_places_of_all_and_names_of_ones_own(world):
    theirs, own = world.submit(world.ann), world.submit(world.bob)
    entries = world.store.backends.queue(world.bob, "emulator").items
    assert [(entry.position, entry.job_id, entry.user) for entry in entries] == [(1, None, None), (2, own.id, "bob")]
    assert [entry.job_id for entry in world.store.backends.queue(world.admin, "emulator").items] == [theirs.id, own.id]


def test_usage_is_ones_own_and_an_owners_whole_project(world):
    world.join(world.bob, "ann")
    world.submit(world.ann)
    world.submit(world.bob, project="ann")

    def seen(who, **filters):
        return [(one.user, one.project, one.jobs) for one in world.store.usage.report(who, **filters)]

    assert seen(world.bob) == [("bob", "ann", 1)]
    assert seen(world.ann) == [("ann", "ann", 1), ("bob", "ann", 1)]
    assert seen(world.user("olga", Role.OPERATOR)) == seen(world.ann)
    world.store.projects.remove_member(world.ann, "ann", "bob")
    assert seen(world.bob) == []
    with pytest.raises(NotFound):
        seen(world.bob, project="ann")


def test_backends_are_set_by_operators(world):
    for change in (BackendChange(accepting=False), BackendChange(status=BackendStatus.OFFLINE), BackendChange()):
        with pytest.raises(Forbidden):
            world.store.backends.change(world.ann, "emulator", change)


def test_the_highest_class_takes_an_operator(world):
    with pytest.raises(Forbidden, match="priority high"):
        world.submit(world.ann, priority=Priority.HIGH)
    with pytest.raises(Forbidden, match="priority high"):
        world.store.jobs.submit_many(world.ann, [JobRequest(backend="emulator", circuit="x", priority=Priority.HIGH)])
    operators = world.submit(world.admin, bundle=world.bundle(world.admin), priority=Priority.HIGH)
    world.join(world.ann, "default")
    fork = world.store.jobs.fork(world.ann, operators.id, ForkRequest(step=0))
    assert fork.priority is Priority.NORMAL


def test_which_project_is_meant_has_to_be_clear(world):
    world.join(world.bob, "ann")
    with pytest.raises(InvalidInput, match="ann, bob"):
        world.submit(world.bob)
    world.join(world.bob, "default")
    assert world.submit(world.bob).project == "default"
    assert world.submit(world.ann).project == "ann"
