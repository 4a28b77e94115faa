"""Which levels a host can give, on hosts that lack one thing or another."""

from __future__ import annotations

import pytest

CHOOSES = """
    import json
    from hybrid_runtime.classical import isolation
    from hybrid_runtime.errors import InvalidInput
    wanted = {wanted!r}
    try:
        print(json.dumps(isolation.choose(wanted)))
    except InvalidInput as error:
        print(json.dumps(str(error)))
"""
AVAILABLE = """
    import json
    from hybrid_runtime.classical import isolation
    print(json.dumps(isolation.available()))
"""

NO_USER_NAMESPACES = "--no-user-namespaces"
NO_LANDLOCK = ("--refuse", "landlock_create_ruleset:EOPNOTSUPP")


def choose(host, wanted: str | None = None) -> str:
    return str(host.python(CHOOSES.format(wanted=wanted)).value)


def test_every_level_can_be_had_here(host):
    assert host.python(AVAILABLE).value == {"strict": None, "landlock": None, "process": None}


def test_the_strictest_level_is_the_default(host):
    assert choose(host) == "strict"


@pytest.mark.parametrize("level", ["strict", "landlock", "process"])
def test_a_level_is_given_by_name(nobody, level):
    assert choose(nobody, level) == level


def test_an_unknown_level_is_refused_with_those_that_exist(nobody):
    assert choose(nobody, "vm") == "isolation level 'vm' is not known; choose one of strict, landlock, process"


@pytest.mark.parametrize("user", [pytest.param((), id="root"), pytest.param(("--nobody",), id="nobody")])
def test_without_user_namespaces_landlock_is_chosen_and_strict_names_the_remedy(host_with, as_root, user):
    host = host_with(NO_USER_NAMESPACES, *user)
    assert choose(host) == "landlock"
    text = choose(host, "strict")
    assert text.startswith("isolation level 'strict' cannot be had on this host: unshare(CLONE_NEWUSER)")
    assert "sysctl user.max_user_namespaces=" in text


def test_where_a_container_refuses_namespaces_landlock_is_chosen(host_with):
    host = host_with("--nobody", "--refuse", "unshare:EPERM")
    assert choose(host) == "landlock"
    assert "a container needs a seccomp profile that allows unshare" in choose(host, "strict")


def test_a_kernel_too_old_for_mounts_by_descriptor_is_named(host_with):
    host = host_with("--nobody", "--refuse", "open_tree:ENOSYS")
    assert choose(host) == "landlock"
    assert "namespaces of workers need Linux 5.12" in choose(host, "strict")


def test_without_landlock_there_is_no_default_and_process_must_be_asked_for(host_with):
    host = host_with("--nobody", *NO_LANDLOCK)
    text = choose(host)
    assert "this host can isolate no worker" in text
    assert "'landlock' in the list that the boot parameter lsm= gives" in text
    assert "isolation level 'process' can be asked for by name" in text
    assert choose(host, "process") == "process"


def test_without_system_call_filters_there_is_no_isolation_either(host_with):
    host = host_with("--nobody", "--refuse", "seccomp:ENOSYS")
    assert "CONFIG_SECCOMP_FILTER" in choose(host, "landlock")


def test_asking_changes_nothing_in_the_process_that_asks(host):
    program = """
        import json, os
        from pathlib import Path
        def seen():
            spaces = {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}
            wanted = ("Cap", "Seccomp", "NoNewPrivs", "Uid", "Threads")
            lines = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(wanted)]
            return [spaces, lines, Path("/proc/self/mountinfo").read_text(), os.getcwd(), os.listdir("/proc/self/fd")]
        before = seen()
        from hybrid_runtime.classical import isolation
        isolation.available()
        print(json.dumps(seen() == before))
    """
    assert host.python(program).value is True
