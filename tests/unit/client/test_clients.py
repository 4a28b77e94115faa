"""`Client` and `AsyncClient` are one thing in two forms."""

from __future__ import annotations

import inspect

import pytest

from hybrid_runtime import AsyncClient, Client
from hybrid_runtime.client.aio import AsyncJob
from hybrid_runtime.client.sync import Job


def public(cls):
    return {name: member for name, member in vars(cls).items() if name[0] != "_"}


def signature(member):
    text = str(inspect.signature(member))
    return text.replace("AsyncJob", "Job").replace("AsyncIterator", "Iterator")


@pytest.mark.parametrize(("sync", "aio"), [(Client, AsyncClient), (Job, AsyncJob)], ids=["client", "job"])
def test_both_have_the_same_methods_with_the_same_arguments_and_words(sync, aio):
    assert list(public(sync)) == list(public(aio))
    for name, member in public(sync).items():
        other = public(aio)[name]
        if inspect.isfunction(member):
            assert signature(member) == signature(other), name
        assert inspect.getdoc(member) == inspect.getdoc(other), name


@pytest.mark.parametrize("cls", [AsyncClient, AsyncJob])
def test_whatever_asks_the_server_is_awaited(cls):
    plain = {name for name, member in public(cls).items() if not inspect.iscoroutinefunction(member)}
    assert plain <= {"events", "id", "job_id", "state"}


def test_a_client_that_is_made_has_asked_nobody():
    with Client("http://127.0.0.1:1", "secret") as client:
        assert repr(client) == "<Client of http://127.0.0.1:1>"
