"""Requests over httpx, sync and async: the only place that knows it. What is sent, and when, `exchange` decides."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from hybrid_runtime._version import __version__
from hybrid_runtime.client.credentials import Credentials, is_loopback
from hybrid_runtime.client.exchange import Answer, Flow, Lost, Pause, Request
from hybrid_runtime.client.follow import Follow, is_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from hybrid_runtime.resources.records import Event

T = TypeVar("T")

# A host that is there answers within a few milliseconds; one that drops packets is given up before the user gives up.
_CONNECT_S = 10.0
# An answer that takes longer is not coming.
TIMEOUT_S = 30.0
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Transport:
    """Sends requests and waits for their answers.

    Args:
        credentials: Where to send them, with which token.
        timeout_s: Seconds without a sign of the server after which an answer is given up.
    """

    def __init__(self, credentials: Credentials, timeout_s: float) -> None:
        self.url = credentials.url
        self._timeout_s = timeout_s
        self._http = httpx.Client(**_settings(credentials))

    def do(self, flow: Flow[T]) -> T:
        """Do what a flow wants done, until it has what it was for."""
        came: Answer | Lost | None = None
        while True:
            try:
                wanted = flow.send(came)
            except StopIteration as end:
                value: T = end.value
                return value
            if isinstance(wanted, Pause):
                time.sleep(wanted.seconds)
                came = None
            else:
                came = self._send(wanted)

    def _send(self, request: Request) -> Answer | Lost:
        try:
            with self._open(request) as response:
                response.read()
                return _answer(response)
        except (httpx.HTTPError, ssl.SSLError) as error:
            return _lost(error, self.url)

    def follow(self, follow: Follow) -> Iterator[Event]:
        """The events that `follow` is after, over as many connections as it takes."""
        while not follow.over:
            try:
                with self._open(follow.request()) as response:
                    if is_stream(_head(response)):
                        for data in response.iter_bytes():
                            yield from follow.feed(data)
                        delay = 0.0 if follow.over else follow.broken(_closed(self.url))
                    else:
                        response.read()
                        delay = follow.refused(_answer(response))
            except (httpx.HTTPError, ssl.SSLError) as error:
                delay = follow.broken(_lost(error, self.url))
            time.sleep(delay)

    def _open(self, request: Request) -> AbstractContextManager[httpx.Response]:
        return self._http.stream(**_arguments(request, self.url, self._timeout_s))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncTransport:
    """The same, for `asyncio`."""

    def __init__(self, credentials: Credentials, timeout_s: float) -> None:
        self.url = credentials.url
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(**_settings(credentials))

    async def do(self, flow: Flow[T]) -> T:
        """Do what a flow wants done, until it has what it was for."""
        came: Answer | Lost | None = None
        while True:
            try:
                wanted = flow.send(came)
            except StopIteration as end:
                value: T = end.value
                return value
            if isinstance(wanted, Pause):
                await asyncio.sleep(wanted.seconds)
                came = None
            else:
                came = await self._send(wanted)

    async def _send(self, request: Request) -> Answer | Lost:
        try:
            async with self._open(request) as response:
                await response.aread()
                return _answer(response)
        except (httpx.HTTPError, ssl.SSLError) as error:
            return _lost(error, self.url)

    async def follow(self, follow: Follow) -> AsyncIterator[Event]:
        """The events that `follow` is after, over as many connections as it takes."""
        while not follow.over:
            try:
                async with self._open(follow.request()) as response:
                    if is_stream(_head(response)):
                        async for data in response.aiter_bytes():
                            for event in follow.feed(data):
                                yield event
                        delay = 0.0 if follow.over else follow.broken(_closed(self.url))
                    else:
                        await response.aread()
                        delay = follow.refused(_answer(response))
            except (httpx.HTTPError, ssl.SSLError) as error:
                delay = follow.broken(_lost(error, self.url))
            await asyncio.sleep(delay)

    def _open(self, request: Request) -> AbstractAsyncContextManager[httpx.Response]:
        return self._http.stream(**_arguments(request, self.url, self._timeout_s))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _settings(credentials: Credentials) -> dict[str, Any]:
    return {
        "headers": {
            "authorization": f"Bearer {credentials.token}",
            "user-agent": f"hybrid-runtime/{__version__}",
            "accept": "application/json",
        },
        # The token goes to the server that it is for, and not where an answer points to.
        "follow_redirects": False,
        # A proxy that the environment names cannot reach this host's own addresses.
        "trust_env": not is_loopback(credentials.url),
        # Below the 5 s after which uvicorn closes what is idle: a request on a connection that is just being closed
        # is lost, and whether it was heard is not known.
        "limits": httpx.Limits(keepalive_expiry=3.0),
    }


def _arguments(request: Request, url: str, timeout_s: float) -> dict[str, Any]:
    wait = httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s), read=timeout_s + request.wait_s)
    return {
        "method": request.method,
        "url": url + request.path,
        "params": request.query,
        "headers": request.headers,
        "content": request.content,
        "timeout": wait,
    }


def _head(response: httpx.Response) -> Answer:
    return Answer(status=response.status_code, headers=response.headers, content=b"")


def _answer(response: httpx.Response) -> Answer:
    return Answer(status=response.status_code, headers=response.headers, content=response.content)


def _closed(url: str) -> Lost:
    return Lost(why=f"{url} closed the connection", sent=True)


def _lost(error: Exception, url: str) -> Lost:
    """Why there is no answer, and what to do about it."""
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, _NOT_SENT):
        return Lost(why=f"{url} does not answer in time: try again later", sent=True)
    if isinstance(error, _NOT_SENT):
        said = str(error) or type(error).__name__
        why = f"cannot connect to {url}: {said}; is the server running (qi-run serve), and the URL right?"
        return Lost(why=why, sent=False)
    return Lost(why=f"the connection to {url} broke: {str(error) or type(error).__name__}; try again", sent=True)
