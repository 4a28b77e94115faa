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

from hybrid_runtime.protocol.messages import CircuitCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hybrid_runtime.program import Program

HASH_BYTES = 16
_MOST_FRAMES = 10_000
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


class Frames:
    """What stands around the values in the requests of one call: most are like one before but for these.

    Args:
        hashes: As for `canonical`; to be called `clear` for whenever one of them changes.
    """

    def __init__(self, hashes: Mapping[int, bytes]) -> None:
        self._hashes = hashes
        self._around: dict[tuple[int, int, int, bool, int], tuple[bytes, bytes]] = {}

    def one(self, program: int, shots: int, rows: int, values: bytes, raw: bool) -> bytes:
        """As `canonical` of this call alone."""
        key = program, shots, rows, raw, len(values)
        around = self._around.get(key)
        if around is None:
            whole = canonical([CircuitCall(program, shots, rows, values, raw)], self._hashes)
            # The values are followed by one more field, of a single byte.
            around = whole[: len(whole) - 1 - len(values)], whole[-1:]
            if len(self._around) >= _MOST_FRAMES:
                self._around.clear()
            self._around[key] = around
        return around[0] + values + around[1]

    def clear(self) -> None:
        """Numbers may stand for other programs from now on."""
        self._around.clear()


class Canonical:
    """Makes the requests of one worker canonical, whose programs have numbers of its own."""

    def __init__(self) -> None:
        self._hashes: dict[int, bytes] = {}
        self._frames = Frames(self._hashes)

    def one(self, program: tuple[int, Program], shots: int, values: bytes, raw: bool) -> bytes:
        """The request for one circuit, of a program with its number."""
        self._learn([program])
        return self._frames.one(program[0], shots, 1, values, raw)

    def many(self, calls: Iterable[CircuitCall], programs: Iterable[tuple[int, Program]]) -> bytes:
        """The request with these calls of these programs."""
        self._learn(programs)
        return canonical(calls, self._hashes)

    def _learn(self, programs: Iterable[tuple[int, Program]]) -> None:
        for key, program in programs:
            if key not in self._hashes:
                self._hashes[key] = program_hash(program)

    def hash_of(self, key: int) -> bytes:
        """The hash of a program that was called."""
        return self._hashes[key]

    def forget(self, keys: Iterable[int]) -> None:
        """These numbers will not be used again."""
        for key in keys:
            self._hashes.pop(key, None)


def request_hash(request: bytes) -> bytes:
    """16 bytes that stand for a request in a journal that keeps no requests. No request itself is as short."""
    return hashlib.blake2b(request, digest_size=HASH_BYTES).digest()


def same_request(recorded: bytes, asked: bytes) -> bool:
    """Whether a recorded request, or the hash that was kept of it, is this one."""
    return recorded == asked or (len(recorded) == HASH_BYTES and recorded == request_hash(asked))
