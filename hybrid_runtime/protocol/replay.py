"""How the steps of two runs are compared: what was asked for, in a form that is the same in every run.

::

    worker ──More──────▶ dispatcher     the worker has used up what it was sent
    worker ◀─Replay───── dispatcher     the next recorded steps, from the journal; `last` when no more follow
    worker ──Diverged──▶ dispatcher     it asked for something else than what is recorded
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hybrid_runtime.program import Program
    from hybrid_runtime.protocol.messages import CircuitCall

HASH_BYTES = 16
_encode = msgspec.msgpack.Encoder().encode


class Request(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One `CircuitCall`, its program named by content."""

    program: bytes
    shots: int
    rows: int
    values: bytes
    raw: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: `values` are the parameters of all rows, in order."""
        values = struct.unpack(f"<{len(self.values) // 8}d", self.values)
        return {"program": self.program.hex(), "shots": self.shots, "rows": self.rows, "values": list(values)}


decode_canonical = msgspec.msgpack.Decoder(list[Request]).decode


def program_hash(program: Program) -> bytes:
    """16 bytes that name a program by its content."""
    return hashlib.blake2b(_encode(program), digest_size=HASH_BYTES).digest()


def canonical(calls: Iterable[CircuitCall], hashes: Mapping[int, bytes]) -> bytes:
    """A step's request as bytes: equal in two runs if and only if the same was asked for.

    Args:
        calls: The step's calls.
        hashes: The hash of each program by the number that the calls use; empty for one that was never defined.
    """
    name = hashes.get
    return _encode([Request(name(call.program, b""), call.shots, call.rows, call.values, call.raw) for call in calls])


def request_hash(request: bytes) -> bytes:
    """16 bytes that stand for a request in a journal that keeps no requests. No request itself is as short."""
    return hashlib.blake2b(request, digest_size=HASH_BYTES).digest()


def same_request(recorded: bytes, asked: bytes) -> bool:
    """Whether a recorded request, or the hash that was kept of it, is this one."""
    return recorded == asked or (len(recorded) == HASH_BYTES and recorded == request_hash(asked))
