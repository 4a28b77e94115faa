"""Requests to a job manager and what becomes of them, without a connection: when to ask again, and what was answered.

A *flow* is a generator that yields what it wants done and is sent what came of it::

    flow                         driver (sync or async)
    yield Request(…)   ──▶       sends it      ──▶  Answer(…), or Lost(…) where there is none
    yield Pause(0.3)   ──▶       sleeps        ──▶  None
    return value       ──▶       hands it to the caller

So `Client` and `AsyncClient` share every decision, and tests need neither a server nor a clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import msgspec

from hybrid_runtime.client.refusals import refusal
from hybrid_runtime.errors import ServerError, Unavailable

T = TypeVar("T")

# Six tries within about five seconds: a server that is being restarted is back by then.
_DELAYS_S = (0.1, 0.3, 0.7, 1.5, 2.5)
# A server that says when to come back is heeded up to here; beyond, the user decides.
_LONGEST_PAUSE_S = 10.0
_BUSY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, of which the driver knows the server and the token.

    Attributes:
        repeatable: Whether sending it twice does no more than sending it once.
        wait_s: How long the server may take on purpose, on top of the usual time.
    """

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    repeatable: bool = True
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """There is no answer. `sent` is whether the server may have got the request all the same."""

    why: str
    sent: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is to be done for a while."""

    seconds: float


Flow: TypeAlias = Generator[Request | Pause, Answer | Lost | None, T]


def ask(request: Request, shape: type[T]) -> Flow[T]:
    """Send a request, again where that helps and harms nothing; the answer as this type.

    Raises:
        Unavailable: there is no answer.
        HybridRuntimeError: the server refuses, or answers what nobody understands.
    """
    answer = yield from asked(request)
    return decoded(answer, shape)


def asked(request: Request) -> Flow[Answer]:
    """Send a request, again where that helps and harms nothing; its good answer, undecoded.

    Raises:
        Unavailable: there is no answer.
        HybridRuntimeError: the server refuses.
    """
    tries = 0
    while True:
        came = yield request
        if isinstance(came, Answer) and came.status < 300:
            return came
        delay = delay_before_next(request, came, tries)
        if delay is None:
            raise _failure(came)
        tries += 1
        yield Pause(delay)


def delay_before_next(request: Request, came: Answer | Lost | None, tries: int) -> float | None:
    """Seconds until a request is sent again after `tries` repetitions; None when it is not."""
    if tries >= len(_DELAYS_S):
        return None
    # Half of it at random, so that clients that lost a server together do not come back together.
    delay = _DELAYS_S[tries] * random.uniform(0.5, 1.0)
    if isinstance(came, Lost):
        return delay if request.repeatable or not came.sent else None
    if not isinstance(came, Answer) or came.status not in _BUSY:
        return None
    if came.status in (502, 504) and not request.repeatable:
        return None  # a proxy lost the server, which may have got the request
    wanted = retry_after(came)
    if wanted is None:
        # Without a time the quota is not one that passes by itself.
        return None if came.status == 429 else delay
    return max(wanted, delay) if wanted <= _LONGEST_PAUSE_S else None


def retry_after(answer: Answer) -> float | None:
    """The seconds that the server asks to wait; None where it does not."""
    try:
        seconds = float(answer.headers.get("retry-after", ""))
    except ValueError:
        return None  # a date, which no job manager sends
    return seconds if 0 <= seconds < 1e6 else None


def _failure(came: Answer | Lost | None) -> Exception:
    if isinstance(came, Answer):
        return refusal(came.status, came.headers.get("content-type", ""), came.content, retry_after(came))
    why = came.why if isinstance(came, Lost) else "there is no answer"
    return Unavailable(why)


def decoded(answer: Answer, shape: type[T] | Callable[[Any], T]) -> T:
    """The answer's body as this type.

    Raises:
        ServerError: it is something else.
    """
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise ServerError(
            f"the server's answer is not understood ({error}): is this the URL of a job manager of this version?"
        ) from None


def json_body(value: Any) -> bytes:
    """A dataclass or plain value as the JSON that requests carry."""
    return msgspec.json.encode(value)
