"""Every error has its status, says what to do, and a fault of ours shows nothing of the inside."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest
from starlette.requests import Request

from hybrid_runtime.api.problems import MEDIA_TYPE, of_error, on_error, refusals
from hybrid_runtime.errors import (
    BundleError,
    Conflict,
    Forbidden,
    InternalError,
    InvalidInput,
    JournalError,
    NotFound,
    QuotaExceeded,
    Unauthenticated,
    Unavailable,
    error_classes,
)
from hybrid_runtime.resources.problem import Problem

REQUEST = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "state": {"request_id": "r-1"}})


def answered(error: Exception):
    response = asyncio.run(on_error(REQUEST, error))
    return response, msgspec.json.decode(response.body, type=Problem)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("there is no job x"), 404),
        (Forbidden("no"), 403),
        (Unauthenticated("no", reason="expired"), 401),
        (Conflict("it has ended"), 409),
        (InvalidInput("not so"), 422),
        (BundleError("no algorithm"), 422),
        (QuotaExceeded("too many"), 429),
        (Unavailable("the database is away"), 503),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_the_sender_is_told_with_its_text(error, status):
    response, problem = answered(error)
    assert response.status_code == problem.status == status
    assert response.media_type == MEDIA_TYPE
    assert problem.detail == str(error)
    assert problem.kind == type(error).__name__
    assert problem.type == f"urn:hybrid-runtime:{problem.kind}"
    assert problem.action
    assert problem.instance == "urn:request:r-1"


@pytest.mark.parametrize("error", [InternalError("at 0xdead"), JournalError("/secret/path is corrupt")])
def test_a_fault_of_ours_is_for_the_log_only(error, caplog):
    with caplog.at_level(logging.ERROR):
        response, problem = answered(error)
    assert response.status_code == 500
    assert problem.kind == "ServerError"
    assert str(error) not in response.body.decode()
    assert str(error) in caplog.text
    assert "r-1" in caplog.text


@pytest.mark.parametrize("cls", error_classes().values(), ids=lambda cls: cls.__name__)
def test_every_error_of_the_tree_can_be_answered(cls):
    response, problem = answered(cls("the cause"))
    assert response.status_code == of_error(cls()).status
    assert problem.kind in error_classes()


@pytest.mark.parametrize("reason", ["missing", "unknown", "expired", "revoked", "disabled"])
def test_who_is_not_known_is_told_how_to_be(reason):
    response, _ = answered(Unauthenticated("no", reason=reason))
    assert response.headers["www-authenticate"].startswith('Bearer realm="hybrid-runtime"')
    assert ("invalid_token" in response.headers["www-authenticate"]) is (reason != "missing")


@pytest.mark.parametrize(("given", "told"), [(0.2, "1"), (2.0, "2"), (2.1, "3"), (None, "1")])
def test_who_asks_too_much_is_told_when_to_come_back(given, told):
    response, _ = answered(QuotaExceeded("too many", retry_after_s=given))
    assert response.headers["retry-after"] == told


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503])
def test_every_documented_error_has_an_example_of_its_status(status):
    content = refusals(status)[status]["content"][MEDIA_TYPE]
    assert msgspec.convert(content["example"], Problem).status == status
