"""Following a job's events over connections that break: what to ask for next, and what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.client.exchange import Answer, Lost, Request, retry_after
from hybrid_runtime.client.refusals import refusal
from hybrid_runtime.client.sse import EventStream, ServerSent
from hybrid_runtime.errors import ServerError, Unavailable
from hybrid_runtime.resources.records import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

# The server sends a comment every 15 s: after three that did not come, the connection is dead.
SILENCE_S = 45.0
# Servers are restarted, and their hosts are: what runs there goes on meanwhile.
PATIENCE_S = 120.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 5.0
ENDED = "ended"


class Follow:
    """Says what to request, takes in what comes, and is `over` once the job has ended.

    Args:
        job_id: The job.
        after: Id of the last event known; 0 for all of them.
    """

    def __init__(self, job_id: str, after: int = 0) -> None:
        self._path = f"/v1/jobs/{job_id}/events"
        self._stream = EventStream()
        self._lost_s = 0.0
        self._delay_s = _FIRST_DELAY_S
        self.after = after
        self.over = False

    def request(self) -> Request:
        """The request for what is not known yet."""
        self._stream = EventStream()
        return Request(
            method="GET",
            path=self._path,
            headers={
                "accept": "text/event-stream",
                "accept-encoding": "identity",  # a compressor would hold events back
                "last-event-id": str(self.after),
            },
            wait_s=SILENCE_S,
        )

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events in these bytes that were not known.

        Raises:
            ServerError: it is not a stream of events of a job.
        """
        for sent in self._stream.feed(data):
            event = self._event(sent)
            if event.id <= self.after:
                continue  # told again after the connection was made anew
            self.after = event.id
            self._lost_s, self._delay_s = 0.0, _FIRST_DELAY_S
            yield event
            if event.type == ENDED:
                self.over = True
                return

    def _event(self, sent: ServerSent) -> Event:
        try:
            data = msgspec.json.decode(sent.data, type=dict)
            return Event(id=int(sent.id), at=float(data.pop("at", 0.0)), type=sent.type, data=data)
        except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
            raise ServerError(f"the stream of events is not understood ({error}): update client or server") from None

    def broken(self, lost: Lost) -> float:
        """The connection could not be made, or ended; seconds until the next one.

        Raises:
            Unavailable: this has been going on for too long.
        """
        if self._lost_s >= PATIENCE_S:
            raise Unavailable(f"{lost.why}; the job goes on without you: follow it again later")
        delay = self._stream.retry_s or self._delay_s
        self._lost_s += delay
        self._delay_s = min(2 * self._delay_s, _LONGEST_DELAY_S)
        return delay

    def refused(self, answer: Answer) -> float:
        """The server answered with something else than a stream; seconds until the next request.

        Raises:
            HybridRuntimeError: it will not answer otherwise.
        """
        if answer.status == 204:  # the job has ended, and all of it is known
            self.over = True
            return 0.0
        error = refusal(answer.status, answer.headers.get("content-type", ""), answer.content, retry_after(answer))
        if isinstance(error, Unavailable) or answer.status == 429:
            return max(self.broken(Lost(why=str(error), sent=True)), retry_after(answer) or 0.0)
        raise error


def is_stream(answer: Answer) -> bool:
    """Whether events follow."""
    return answer.status == 200 and answer.headers.get("content-type", "").startswith("text/event-stream")
