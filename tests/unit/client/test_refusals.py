from __future__ import annotations

import msgspec
import pytest

from hybrid_runtime import errors
from hybrid_runtime.client.refusals import refusal

JSON = "application/problem+json"


def problem(status, **fields):
    return refusal(status, JSON, msgspec.json.encode(fields))


@pytest.mark.parametrize(
    "kind", ["NotFound", "Forbidden", "Conflict", "BundleError", "InvalidInput", "CircuitRejected", "QuotaExceeded"]
)
def test_a_problem_is_the_error_that_its_kind_names(kind):
    error = problem(418, kind=kind, detail="it is so")
    assert type(error).__name__ == kind
    assert str(error) == "it is so"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidInput),
        (401, errors.Unauthenticated),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.QuotaExceeded),
        (422, errors.InvalidInput),
        (418, errors.JobManagerError),
        (429, errors.QuotaExceeded),
        (500, errors.ServerError),
        (503, errors.Unavailable),
        (599, errors.ServerError),
    ],
)
def test_without_a_kind_the_status_decides(status, kind):
    assert type(problem(status, detail="no")) is kind


def test_a_kind_that_does_not_exist_here_is_not_made_up():
    assert type(problem(404, kind="SystemExit", detail="no")) is errors.NotFound


def test_the_next_action_is_part_of_the_text_once():
    assert str(problem(409, detail="it is paused.", action="Resume it.")) == "it is paused; resume it"
    assert str(problem(409, detail="it is paused; resume it", action="Look again")) == "it is paused; resume it"


def test_the_reason_of_a_refused_token_is_kept():
    error = problem(401, kind="Unauthenticated", detail="the token has expired", reason="expired")
    assert isinstance(error, errors.Unauthenticated)
    assert error.reason == "expired"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"detail": 3}', b"[" * 100_000])
def test_a_body_that_is_no_problem_leaves_the_status(content):
    assert type(refusal(404, JSON, content)) is errors.NotFound


def test_a_page_of_a_proxy_is_shown_from_its_beginning_and_harmless():
    error = refusal(502, "text/html", b"<h1>Bad\n\n gateway</h1>\x1b[31m" + b"x" * 10_000)
    assert "HTTP 502 from something that is not a job manager" in str(error)
    assert "<h1>Bad gateway</h1>?[31m" in str(error)
    assert len(str(error)) < 400


def test_a_redirect_is_told_and_not_followed():
    assert "give the URL that it really has" in str(refusal(307, "", b""))
