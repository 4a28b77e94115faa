"""What every operation on `/v1` asks before anything else: who it is, how often, and whether the request is one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from hybrid_runtime.api.parts import parts_of
from hybrid_runtime.api.problems import Malformed, WrongType
from hybrid_runtime.errors import InvalidInput, Unauthenticated
from hybrid_runtime.jobs.access import Principal
from hybrid_runtime.values import MAX_DEPTH

_JSON = "application/json"


def secret_of(request: Request) -> str:
    """The secret that the request carries.

    Raises:
        Unauthenticated: it carries none.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("the request carries no bearer token", reason="missing")
    return secret.strip()


async def authenticate(request: Request) -> Principal:
    """Who asks, counted against the rate that a token has.

    Raises:
        Unauthenticated: nobody who is known.
        QuotaExceeded: too often.
    """
    parts = parts_of(request)
    who = await parts.known.ask(secret_of(request))
    request.state.who = who
    parts.rates.take(who.token_id)
    return who


class Guarded(APIRoute):
    """An operation for those who have a token. Nothing of the body is read for anybody else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()
        names = {field.alias for field in self.dependant.query_params}
        takes_json = self.body_field is not None

        async def handler(request: Request) -> Response:
            await authenticate(request)
            for name in request.query_params:
                if name not in names:
                    known = ", ".join(sorted(names)) or "none"
                    raise InvalidInput(f"query.{name[:80]}: no such parameter is known here; there are: {known}")
            return await inner(_JsonRequest(request.scope, request.receive) if takes_json else request)

        return handler


class _JsonRequest(Request):
    """A request whose body is JSON to the letter, as every database and client can take it."""

    async def body(self) -> bytes:
        body = await super().body()
        given = self.headers.get("content-type", "")
        if body and given.partition(";")[0].strip().lower() != _JSON:
            raise WrongType(given, _JSON)
        return body

    async def json(self) -> Any:
        return decode(await self.body())


def decode(body: bytes) -> Any:
    """JSON without what only some parsers take: NaN, lone surrogates, NUL, hundreds of levels.

    Raises:
        Malformed: it is not JSON.
        InvalidInput: it is, but cannot be kept.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise Malformed(f"the body is nested deeper than {MAX_DEPTH} levels") from error
    # Looked for only where it can be: most bodies are small and flat.
    if rb"\u0000" in body or body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check(value, 0)
    return value


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidInput(f"the body is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidInput(f"a text holds a NUL character: {value[:40]!r}; leave it out")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth + 1)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


def _principal(request: Request) -> Principal:
    who: Principal = request.state.who
    return who


Who = Annotated[Principal, Depends(_principal)]
