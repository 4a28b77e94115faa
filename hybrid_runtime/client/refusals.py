"""A server's refusal as one of our own errors: what `qi-run` and user programs catch."""

from __future__ import annotations

import re

import msgspec

from hybrid_runtime.errors import (
    Conflict,
    Forbidden,
    HybridRuntimeError,
    InvalidInput,
    JobManagerError,
    NotFound,
    QuotaExceeded,
    ServerError,
    Unauthenticated,
    Unavailable,
    error_classes,
)

_BY_STATUS: dict[int, type[HybridRuntimeError]] = {
    400: InvalidInput,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: QuotaExceeded,
    422: InvalidInput,
    429: QuotaExceeded,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
_MOST_TEXT = 2000


class _Problem(msgspec.Struct):
    """What is read of an RFC 9457 problem, all of it optional: a proxy may write its own."""

    title: str = ""
    detail: str = ""
    kind: str = ""
    action: str = ""
    reason: str = ""


def refusal(status: int, content_type: str, content: bytes, retry_after_s: float | None = None) -> HybridRuntimeError:
    """The error that an answer which is no success stands for."""
    problem = _problem(content_type, content)
    cls = error_classes().get(problem.kind) or _BY_STATUS.get(status) or _by_hundreds(status)
    text = _text(problem, status, content)
    if issubclass(cls, Unauthenticated):
        return cls(text, reason=problem.reason or "unknown")
    if issubclass(cls, QuotaExceeded):
        return cls(text, retry_after_s=retry_after_s)
    return cls(text)


def _problem(content_type: str, content: bytes) -> _Problem:
    if not re.match(r"application/(problem\+)?json\b", content_type):
        return _Problem()
    try:
        return msgspec.json.decode(content, type=_Problem)
    except (msgspec.DecodeError, RecursionError):
        return _Problem()


def _by_hundreds(status: int) -> type[HybridRuntimeError]:
    return ServerError if status >= 500 else JobManagerError


def _text(problem: _Problem, status: int, content: bytes) -> str:
    said = problem.detail or problem.title
    if not said:
        return _without_problem(status, content)
    action = problem.action[:1].lower() + problem.action[1:].rstrip(".")
    # A text that goes on behind its cause says what to do by itself, and better than what fits every error of its kind.
    if action and not re.search("[;:] ", said):
        said = f"{said.rstrip('.;')}; {action}"
    return said[:_MOST_TEXT]


def _without_problem(status: int, content: bytes) -> str:
    """What to say of an answer that no job manager gives: something else stands before it, or in its place."""
    begin = re.sub(r"\s+", " ", content[:200].decode("utf-8", "replace")).strip()
    shown = "".join(letter if letter.isprintable() else "?" for letter in begin)
    if 300 <= status < 400:
        return (
            f"the server sends elsewhere (HTTP {status}): give the URL that it really has, with https:// if it has it"
        )
    said = f": {shown}" if shown else ""
    return f"HTTP {status} from something that is not a job manager, or stands before one{said}; check the URL"
