"""The stream of server-sent events, as bytes come in; the sender may be anything that listens at the URL."""

from __future__ import annotations

import re
from typing import NamedTuple

from hybrid_runtime.errors import ServerError

# A job manager sends at most a few hundred kilobytes at once; whatever is longer is not one.
MAX_EVENT_BYTES = 8 * 1024 * 1024
_LONGEST_RETRY_MS = 60_000
# A carriage return at the very end may be followed by the line feed that belongs to it.
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")


class ServerSent(NamedTuple):
    """One event."""

    id: str
    type: str
    data: str


class EventStream:
    """Cuts bytes into events, as the HTML standard says.

    Attributes:
        last_id: The id of the newest event, with which a new connection goes on.
        retry_s: How long the server asks to wait before connecting again; None where it did not say.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self.retry_s: float | None = None
        self._rest = bytearray()
        self._searched = 0
        self._first = True
        self._type = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> list[ServerSent]:
        """The events that are complete now.

        Raises:
            ServerError: one is larger than any job manager sends.
        """
        self._rest += data
        found: list[ServerSent] = []
        while (line := self._next_line()) is not None:
            event = self._take(line)
            if event is not None:
                found.append(event)
        if len(self._rest) + self._size > MAX_EVENT_BYTES:
            raise ServerError(f"the server sent an event of more than {MAX_EVENT_BYTES} bytes: check the URL")
        return found

    def _next_line(self) -> str | None:
        """The next complete line; a line ends with a line feed, a carriage return, or both."""
        end = _LINE_END.search(self._rest, self._searched)
        if end is None:
            # What was looked through is not looked through again when more comes.
            self._searched = max(0, len(self._rest) - 1)
            return None
        line = self._rest[: end.start()].decode("utf-8", "replace")
        del self._rest[: end.end()]
        self._searched = 0
        if self._first:
            self._first = False
            line = line.removeprefix("\ufeff")
        return line

    def _take(self, line: str) -> ServerSent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value) + 1
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self.last_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_s = min(int(value[:9]), _LONGEST_RETRY_MS) / 1000
        return None

    def _dispatch(self) -> ServerSent | None:
        data, kind = self._data, self._type
        self._data, self._type, self._size = [], "", 0
        return ServerSent(self.last_id, kind or "message", "\n".join(data)) if data else None
