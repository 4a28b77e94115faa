"""What is asked for when a job is submitted: checked for what can be told from it alone."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.jobs import checks
from hybrid_runtime.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.resources.jobs import JobRequest

MAX_SHOTS = 10_000_000
MAX_CIRCUIT_CHARACTERS = 1_000_000
MAX_KEY = 200
# The languages that a circuit can be written in.
_LANGUAGES = ("cqasm1", "cqasm3")


def new_job_id(now: float) -> str:
    """A name for a job: the time it was made, so that names sort, and enough that is random for thousands a second."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(6)}"


def check_request(request: JobRequest) -> None:
    """Pass if the request makes sense by itself.

    Raises:
        InvalidInput: it does not; the text names the field.
    """
    given = [name for name in ("bundle", "algorithm", "circuit") if getattr(request, name) is not None]
    if len(given) != 1:
        raise InvalidInput(
            f"a job has exactly one of bundle, algorithm and circuit, not {' and '.join(given) or 'none'}"
        )
    checks.text("name", request.name)
    if request.project is not None:
        checks.name("project", request.project)
    checks.plain("parameters", request.parameters)
    if request.shots is not None:
        _check_whole("shots", request.shots, 1, MAX_SHOTS)
    if request.seed is not None:
        _check_whole("seed", request.seed, 0, checks.LARGEST)
    checked_limits(request.limits)
    if request.start_after is not None:
        checks.seconds("start_after", request.start_after)
    if request.circuit is not None:
        _check_circuit(request)
    elif request.language is not None:
        raise InvalidInput("language belongs to a circuit; an algorithm names that of each circuit itself")


def _check_circuit(request: JobRequest) -> None:
    text = request.circuit or ""
    if not text.strip() or len(text) > MAX_CIRCUIT_CHARACTERS:
        raise InvalidInput(f"circuit is a text of 1 to {MAX_CIRCUIT_CHARACTERS} characters, not of {len(text)}")
    if "\0" in text or not _encodable(text):
        raise InvalidInput("circuit is text, without zero bytes and halves of characters")
    if request.language is not None and request.language not in _LANGUAGES:
        raise InvalidInput(f"language is one of {', '.join(_LANGUAGES)}, not {request.language!r:.40}")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_whole(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidInput(f"{name} is a whole number from {least} to {most}, not {value!r:.60}")


def checked_limits(limits: dict[str, Any]) -> dict[str, Any]:
    """The limits, by name, as `Limits` takes them.

    Raises:
        InvalidInput: one is not known, or cannot be used.
    """
    known = Limits.__struct_fields__
    unknown = [name for name in limits if name not in known]
    if unknown:
        raise InvalidInput(f"limit {unknown[0]!r:.40} is not known; there are {', '.join(known)}")
    checked: dict[str, Any] = msgspec.to_builtins(Limits(**limits))
    return checked


def check_key(key: str) -> str:
    """The key, an idempotency key.

    Raises:
        InvalidInput: it is none.
    """
    if not key:
        raise InvalidInput("an idempotency key has at least one character")
    return checks.text("an idempotency key", key, MAX_KEY)


def digest(requests: Sequence[JobRequest], many: bool) -> str:
    """What tells whether two requests with one idempotency key are the same."""
    asked = msgspec.json.encode([many, [msgspec.to_builtins(request) for request in requests]], order="deterministic")
    return hashlib.sha256(asked).hexdigest()
