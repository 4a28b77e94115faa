"""The outermost layer: names every request, bounds its body, counts it, logs it, and lets no exception through."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from hybrid_runtime.api.problems import MEDIA_TYPE, TooLarge, TooSlow, of_error, on_http_error, problem
from hybrid_runtime.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hybrid_runtime.api.settings import ApiSettings

_log = logging.getLogger(__name__)
# A body may take `stall_s`, and longer by what it holds: slower than this is nobody's network.
_SLOWEST_BYTES_PER_S = 1000
access_log = logging.getLogger("hybrid_runtime.access")


class Edge:
    """The outermost layer of the application.

    Args:
        app: What is below.
        settings: How large bodies may be.
        observe: Told of every request: method, path as declared, status and seconds.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings, observe: Callable[[str, str, int, float], None]) -> None:
        self._app = app
        self._settings = settings
        self._observe = observe
        self._prefix = os.urandom(4).hex()
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"{self._prefix}-{next(self._numbers)}"
        exchange = _Exchange(scope, receive, send, self._most(scope["path"]), self._settings.stall_s, request_id)
        scope.setdefault("state", {})["request_id"] = exchange.request_id
        begun = time.perf_counter()
        try:
            await exchange.run(self._app)
        finally:
            self._tell(scope, exchange, time.perf_counter() - begun)

    def _most(self, path: str) -> int:
        large = path.startswith("/v1/bundles/") or path == "/v1/jobs/batch"
        return self._settings.max_body_bytes if large else self._settings.max_json_bytes

    def _tell(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        # As declared, not as sent: names of jobs would make a series of metrics each.
        declared = getattr(scope.get("route"), "path", None) or "other"
        self._observe(scope["method"], declared, exchange.status, seconds)
        if access_log.isEnabledFor(logging.INFO):
            who = scope["state"].get("who")
            entry = {
                "time": round(time.time(), 3),
                "request": exchange.request_id,
                "client": (scope.get("client") or ("", 0))[0],
                "user": who.user if who is not None else None,
                "method": scope["method"],
                "path": scope["path"],
                "status": exchange.status,
                "ms": round(seconds * 1000, 2),
            }
            access_log.info("%s", json.dumps(entry))


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, most: int, stall_s: float, request_id: str) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._most = most
        self._stall_s = stall_s
        self._begun = time.monotonic()
        self.request_id = request_id
        # 499, as of proxies: the client left before it was answered.
        self.status = 499
        self._taken = 0
        self._ended = not _has_body(scope)

    async def run(self, app: ASGIApp) -> None:
        try:
            if _declared_length(self._scope) > self._most:
                await self._refuse(TooLarge(self._most))
            else:
                await app(self._scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 (whatever it is: the one who asks gets an answer)
            _log.error("request %s failed", self.request_id, exc_info=error)
            if self.status == 499:
                kind = of_error(InternalError())
                instance = f"urn:request:{self.request_id}"
                await self._problem(problem(kind, "the job manager could not do this", "ServerError", instance))

    async def _refuse(self, error: TooLarge) -> None:
        response = await on_http_error(Request(self._scope), error)
        await response(self._scope, self.receive, self.send)

    async def _problem(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(content)).encode())]
        await self.send({"type": "http.response.start", "status": body["status"], "headers": headers})
        await self.send({"type": "http.response.body", "body": content})

    async def receive(self) -> Message:
        message = await self._next_message()
        if message["type"] == "http.request":
            self._taken += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)
            if self._taken > self._most:
                raise TooLarge(self._most)
        return message

    async def _next_message(self) -> Message:
        if self._ended:
            return await self._receive()
        # Not a time between two parts: one byte now and then would hold a connection for ever.
        left = self._begun + self._stall_s + self._taken / _SLOWEST_BYTES_PER_S - time.monotonic()
        try:
            async with asyncio.timeout(left):
                return await self._receive()
        except TimeoutError:
            raise TooSlow() from None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", []), (b"x-request-id", self.request_id.encode())]
            # What is not going to be read of the body would be taken for the next request, or be waited for.
            if not self._ended and not any(name == b"connection" for name, _ in headers):
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            # The server has checked that it is a number.
            return int(value)
    return 0


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in scope["headers"])
