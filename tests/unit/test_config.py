"""What processes of the runtime inherit."""

from __future__ import annotations

from hybrid_runtime.config import child_environment, worker_environment


def test_secrets_of_the_environment_are_not_inherited(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("TZ", "Europe/Amsterdam")
    environment = child_environment()
    assert "secret" not in environment.values()
    assert environment["TZ"] == "Europe/Amsterdam"


def test_linear_algebra_keeps_to_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    for environment in (child_environment(), worker_environment()):
        assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"


def test_workers_have_the_same_environment_everywhere(monkeypatch):
    before = worker_environment()
    monkeypatch.setenv("TZ", "Europe/Amsterdam")
    monkeypatch.setenv("PATH", "/somewhere")
    assert worker_environment() == before
    assert before["PYTHONHASHSEED"] == "0"
