"""What the two ends of a remote channel have in common.

ZeroMQ alone hides when a peer dies and comes back. Here a channel is one conversation with one process: it is
opened, kept up by pings, and closed for good when either end says so or falls silent; who wants to go on opens
a new one. A message is one frame. Frames of the channel itself follow an empty one::

    client ──"", open──────▶ server     answered by "", opened
    client ──"", ping──────▶ server     answered by "", pong; or by "", unknown, when nothing was opened
    client ◀─"", close, why─▶ server    the last word
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

OPEN, OPENED, PING, PONG, UNKNOWN, CLOSE = b"open", b"opened", b"ping", b"pong", b"unknown", b"close"

GONE = "the peer has closed the channel"
# Time that a last word has to reach the peer.
LINGER_S = 0.25
# Messages taken in before the caller gets its turn again, so that a flood of pings cannot hold it.
MOST_AT_ONCE = 1000
_MAX_REASON = 200


class Heartbeat(NamedTuple):
    """How the ends of a channel watch each other, in seconds."""

    interval_s: float = 1.0
    dead_after_s: float = 5.0


DEFAULT_HEARTBEAT = Heartbeat()


def kind_of(frames: Sequence[bytes]) -> bytes:
    """Which of the words above it is; empty for what is none."""
    return frames[1] if len(frames) > 1 and frames[0] == b"" else b""


def reason_of(frames: Sequence[bytes]) -> str:
    """Why the peer says it closes."""
    return frames[2][:_MAX_REASON].decode(errors="replace") if len(frames) > 2 else GONE


def too_large(size: int, limit: int) -> str:
    """What is said about a message that is refused for its size."""
    return f"a message of {size} bytes is over the limit of {limit}"
