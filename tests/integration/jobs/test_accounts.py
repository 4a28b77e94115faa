"""Users and tokens."""

from __future__ import annotations

import pytest

from hybrid_runtime.errors import Conflict, Forbidden, InvalidInput, NotFound, QuotaExceeded, Unauthenticated
from hybrid_runtime.resources.accounts import ProjectRequest, Role, TokenRequest, UserRequest


def refused(store, secret):
    with pytest.raises(Unauthenticated) as caught:
        store.accounts.authenticate(secret)
    return caught.value.reason


def test_the_first_start_gives_an_admin_once(world):
    assert world.admin.role is Role.ADMIN
    assert world.store.accounts.whoami(world.admin).projects == ["default"]
    assert world.store.accounts.bootstrap() is None


def test_every_secret_but_the_right_one_is_refused(world):
    secret = world.secret
    scheme, number, random = secret.split("_", 2)
    other = world.token("ann").split("_", 2)
    assert refused(world.store, "") == "missing"
    wrong = [
        secret[:-1],
        secret + "x",
        secret.upper(),
        f" {secret}",
        number,
        f"{scheme}_{number}_",
        f"{scheme}_{number}",
        f"qix_{number}_{random}",
        f"{scheme}_{number}_{other[2]}",
        f"{scheme}_{other[1]}_{random}",
        f"{scheme}_%_{random}",
        f"{scheme}_' OR 1=1 --_{random}",
        "\0",
        "\ud800",
        "x" * 100_000,
    ]
    assert {refused(world.store, one) for one in wrong} == {"unknown"}
    assert world.store.accounts.authenticate(secret) == world.admin


def test_a_secret_is_kept_nowhere(world, tmp_path):
    random = world.secret.split("_", 2)[2]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert random.encode() not in kept
    tokens = world.store.accounts.tokens(world.admin)
    assert random not in repr(tokens)


def test_tokens_expire_are_revoked_and_follow_their_user(world):
    short = world.store.accounts.add_token(world.ann, TokenRequest(label="short", expires_in_s=10)).secret
    long = world.store.accounts.add_token(world.ann, TokenRequest(label="long"))
    assert world.store.accounts.authenticate(short).user == "ann"
    world.clock.pass_s(11)
    assert refused(world.store, short) == "expired"
    world.store.accounts.revoke_token(world.ann, long.token.id)
    assert refused(world.store, long.secret) == "revoked"
    third = world.token("ann")
    world.store.accounts.set_user(world.admin, "ann", disabled=True)
    assert refused(world.store, third) == "disabled"
    world.store.accounts.set_user(world.admin, "ann", role=Role.OPERATOR, disabled=False)
    assert world.store.accounts.authenticate(third).role is Role.OPERATOR


def test_when_a_token_was_used_is_kept_to_the_minute(world):
    def last():
        return world.store.accounts.whoami(world.admin).token.last_used_at

    first = last()
    world.clock.pass_s(30)
    world.store.accounts.authenticate(world.secret)
    assert last() == first
    world.clock.pass_s(31)
    world.store.accounts.authenticate(world.secret)
    assert last() > first + 60


def test_nobody_reaches_for_the_tokens_of_others(world):
    accounts = world.store.accounts
    theirs = accounts.tokens(world.bob)[0].id
    with pytest.raises(Forbidden):
        accounts.tokens(world.ann, "bob")
    with pytest.raises(Forbidden):
        accounts.add_token(world.ann, TokenRequest(user="bob"))
    with pytest.raises(NotFound):
        accounts.revoke_token(world.ann, theirs)
    with pytest.raises(NotFound):
        accounts.revoke_token(world.ann, "0" * 16)
    operator = world.user("olga", Role.OPERATOR)
    with pytest.raises(Forbidden):
        accounts.add_token(operator, TokenRequest(user="operator"))
    accounts.revoke_token(world.admin, theirs)
    assert accounts.tokens(world.admin, "bob")[0].revoked


@pytest.mark.parametrize("role", [Role.USER, Role.OPERATOR])
def test_users_and_projects_are_made_by_admins_only(world, role):
    who = world.user("cid", role)
    with pytest.raises(Forbidden):
        world.store.accounts.users(who)
    with pytest.raises(Forbidden):
        world.store.accounts.add_user(who, UserRequest(name="mallory", role=Role.ADMIN))
    with pytest.raises(Forbidden):
        world.store.accounts.set_user(who, "cid", role=Role.ADMIN)
    with pytest.raises(Forbidden):
        world.store.projects.add(who, ProjectRequest(name="free"))


def test_a_new_user_does_not_come_into_a_project_that_exists(world):
    world.store.projects.add(world.admin, ProjectRequest(name="secret-lab"))
    with pytest.raises(Conflict, match="project secret-lab"):
        world.store.accounts.add_user(world.admin, UserRequest(name="secret-lab"))
    with pytest.raises(Conflict, match="user ann"):
        world.store.accounts.add_user(world.admin, UserRequest(name="ann"))


def test_there_is_always_an_admin(world):
    with pytest.raises(Conflict, match="last admin"):
        world.store.accounts.set_user(world.admin, "operator", role=Role.USER)
    with pytest.raises(Conflict, match="last admin"):
        world.store.accounts.set_user(world.admin, "operator", disabled=True)
    assert world.store.accounts.authenticate(world.secret).role is Role.ADMIN
    with pytest.raises(NotFound):
        world.store.accounts.set_user(world.admin, "nobody", disabled=True)


@pytest.mark.parametrize("name", ["", "Ann", "a b", "-a", "a" * 65, "../x", "é", "a\n", "a\0"])
def test_names_that_could_mean_something_else_are_refused(world, name):
    with pytest.raises(InvalidInput):
        world.store.accounts.add_user(world.admin, UserRequest(name=name))


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e300])
def test_a_token_expires_after_a_time_that_makes_sense(world, seconds):
    with pytest.raises(InvalidInput):
        world.store.accounts.add_token(world.ann, TokenRequest(expires_in_s=seconds))


def test_a_user_has_so_many_tokens(make_world):
    world = make_world(tokens_per_user=2)
    world.store.accounts.add_token(world.ann, TokenRequest(expires_in_s=5))
    with pytest.raises(QuotaExceeded, match="revoke one"):
        world.store.accounts.add_token(world.ann, TokenRequest())
    world.clock.pass_s(6)
    world.store.accounts.add_token(world.ann, TokenRequest())


def test_what_admins_do_is_in_the_audit_log(world):
    world.store.accounts.set_user(world.admin, "ann", disabled=True)
    newest = world.store.audit.list(world.admin, limit=1).items[0]
    assert (newest.by, newest.subject, newest.name, newest.action) == ("operator", "user", "ann", "role user, disabled")
    first = world.store.audit.list(world.admin, limit=3)
    second = world.store.audit.list(world.admin, limit=3, cursor=first.next)
    assert [one.id for one in [*first.items, *second.items]] == sorted(
        (one.id for one in [*first.items, *second.items]), reverse=True
    )
    with pytest.raises(Forbidden):
        world.store.audit.list(world.bob)
