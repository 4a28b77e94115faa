"""Where the next page of a list begins, as text that a client hands back unread."""

from __future__ import annotations

import base64
import binascii

import msgspec

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.jobs.checks import LARGEST


def encode_cursor(kind: str, *place: int | str) -> str:
    """A cursor to what follows this place in a list of this kind."""
    return base64.urlsafe_b64encode(msgspec.json.encode([kind, *place])).rstrip(b"=").decode()


def decode_cursor(kind: str, cursor: str, *types: type[int] | type[str]) -> list[int | str]:
    """The place again: as many values as types.

    Raises:
        InvalidInput: it is no cursor of a list of this kind.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        place = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=list[int | str])
        fits = place[:1] == [kind] and list(map(type, place[1:])) == list(types)
        if fits and all(isinstance(value, str) or 0 <= value <= LARGEST for value in place):
            return place[1:]
    except (msgspec.DecodeError, binascii.Error, UnicodeError):
        pass  # refused below like a cursor of another list
    raise InvalidInput(f"{cursor!r:.60} is not a cursor of this list; take it from `next` of the page before")
