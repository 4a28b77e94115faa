"""Which processes run, and what a change of settings does to them."""

from __future__ import annotations

from msgspec.structs import replace

from hybrid_runtime.server.plan import change, parts, refused
from hybrid_runtime.server.settings import BackendSettings, Caps, EnvironmentSettings, LogSettings, Retention, Settings

A, B = BackendSettings(driver="null"), BackendSettings(driver="scripted")
SETTINGS = Settings(data="/d", backends={"a": A, "b": B})


def after(**settings: object) -> tuple[list[str], list[str], list[str]]:
    """What these settings, in place of the former ones, stop, renew and start."""
    found = change(parts(SETTINGS), parts(replace(SETTINGS, **settings)))
    return found.stop, found.renew, found.start


def test_there_is_an_api_a_manager_and_a_runner_for_each_backend():
    assert list(parts(SETTINGS)) == ["api", "manager", "runner-a", "runner-b"]


def test_nothing_changes_when_nothing_did():
    assert after() == ([], [], [])


def test_a_backend_that_is_added_or_removed_touches_no_other_runner():
    stop, renew, start = after(backends={"a": A, "c": B})
    assert (stop, start) == (["runner-b"], ["runner-c"])
    assert not any(name.startswith("runner") for name in renew)


def test_a_backend_that_changed_has_its_runner_started_anew():
    _, renew, _ = after(backends={"a": replace(A, jobs=2), "b": B})
    assert "runner-a" in renew
    assert "runner-b" not in renew


def test_an_environment_that_changed_concerns_the_backends_that_use_it():
    environments = {"default": EnvironmentSettings(), "other": EnvironmentSettings(preload=())}
    old = replace(SETTINGS, backends={"a": A, "b": replace(B, environment="other")}, environments=environments)
    new = replace(old, environments=environments | {"other": EnvironmentSettings(preload=("numpy",))})
    assert [name for name in change(parts(old), parts(new)).renew if name.startswith("runner")] == ["runner-b"]


def test_a_backend_that_stands_in_for_another_concerns_that_one_too():
    old = replace(SETTINGS, backends={"a": replace(A, failover=("b",)), "b": B, "c": A})
    new = replace(old, backends=old.backends | {"b": replace(B, options={"x": 1})})
    renewed = change(parts(old), parts(new)).renew
    assert [name for name in renewed if name.startswith("runner")] == ["runner-a", "runner-b"]


def test_caps_concern_the_api_and_retention_the_manager():
    assert "api" in after(caps=Caps(batch=5))[1]
    assert after(retention=Retention(jobs_days=5.0))[1] == ["manager"]


def test_the_log_concerns_all():
    assert after(log=LogSettings(level="debug"))[1] == ["api", "manager", "runner-a", "runner-b"]


def test_where_data_is_and_where_it_listens_cannot_change():
    assert refused(SETTINGS, replace(SETTINGS, data="/e", database="sqlite:////x", backends={})) == ["data", "database"]
    assert refused(SETTINGS, replace(SETTINGS, backends={})) == []
