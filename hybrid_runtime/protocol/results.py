"""Results as they travel, row by row: what a `ResultTable` holds, and how to read a list of both kinds of items."""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.errors import ProtocolError
from hybrid_runtime.protocol.messages import ResultData, ResultItem, ResultTable
from hybrid_runtime.result import Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SEED = "I"
REAL = "d"
# Counts of few shots take half as much.
_SHORT, _LONG = "H", "I"
_SHORT_BYTES, _LONG_BYTES = 2, 4
_MOST_SHORT = 0xFFFF
# How MessagePack begins a list: its length in the same byte, or in so many that follow.
_SHORT_LIST, _LONG_LIST = 0x90, b"\xdd"
_SHORT_LISTS = [bytes((_SHORT_LIST + count,)) for count in range(16)]
_LENGTH_BYTES = {0xDC: 2, 0xDD: 4}
_SWAP = sys.byteorder == "big"  # numbers travel as little-endian

_decode = msgspec.msgpack.Decoder(list[ResultItem]).decode


def numbers(kind: str, data: bytes) -> array[Any]:
    """A column as numbers of the kind `SEED` or `REAL`, or of a kind of counts."""
    found: array[Any] = array(kind, data)
    if _SWAP:
        found.byteswap()
    return found


def column(kind: str, given: Iterable[float]) -> bytes:
    """Numbers of such a kind as a column."""
    made: array[Any] = array(kind, given)
    if _SWAP:
        made.byteswap()
    return made.tobytes()


def kind_of_counts(shots: int) -> str:
    """The kind of counts that add up to so many shots, as `array` has it."""
    return _SHORT if shots <= _MOST_SHORT else _LONG


class Table:
    """A `ResultTable` whose columns can be read.

    Raises:
        ProtocolError: the columns are not of one length.

    Attributes:
        seeds: One a row.
        values: One a row; None where the program has no observable.
        counts: The counts of each row.
        probabilities: The exact probabilities of each row; None where they were not asked for.
    """

    def __init__(self, table: ResultTable) -> None:
        check_table(table)
        self.seeds: Sequence[int] = numbers(SEED, table.seeds)
        self.values: Sequence[float] | None = numbers(REAL, table.values) or None
        short = len(table.counts) < _LONG_BYTES * len(self.seeds) * len(table.labels)
        counts, exact = numbers(_SHORT if short else _LONG, table.counts), numbers(REAL, table.probabilities)
        self.counts: Rows[int] = Rows(table.labels if counts else (), counts)
        self.probabilities: Rows[float] | None = Rows(table.labels, exact) if exact else None


def check_table(table: ResultTable) -> None:
    """Refuse a table whose columns are not of one length.

    Raises:
        ProtocolError: they are not.
    """
    rows, width = len(table.seeds) // 4, len(table.labels)
    sizes = [len(table.seeds), len(table.counts), len(table.probabilities), len(table.values)]
    counts = (0, _SHORT_BYTES * rows * width, _LONG_BYTES * rows * width)
    allowed = [(4 * rows,), counts, (0, 8 * rows * width), (0, 8 * rows)]
    if any(size not in sizes for size, sizes in zip(sizes, allowed, strict=True)):
        raise ProtocolError("the columns of a table of results are not of one length")


def listed(count: int, parts: Sequence[bytes | memoryview]) -> bytes:
    """An encoded list of so many items, which stand encoded in these parts."""
    if count == len(parts) == 1:
        return _SHORT_LISTS[1] + parts[0]
    head = _SHORT_LISTS[count] if count < len(_SHORT_LISTS) else _LONG_LIST + count.to_bytes(4, "big")
    return b"".join([head, *parts])


def joined(*lists: bytes | msgspec.Raw) -> bytes:
    """Encoded lists of items as one, without reading the items.

    Raises:
        ProtocolError: one is no list.
    """
    count = 0
    parts: list[memoryview] = []
    for encoded in lists:
        items = memoryview(encoded)
        kind = items[0] if len(items) else 0
        size = 0 if kind & 0xF0 == _SHORT_LIST else _LENGTH_BYTES.get(kind, len(items))
        if len(items) <= size:
            raise ProtocolError("what should be a list of results is none")
        count += int.from_bytes(items[1 : 1 + size], "big") if size else kind & 0x0F
        parts.append(items[1 + size :])
    return listed(count, parts)


def rows_of(item: ResultItem) -> int:
    """How many rows an item answers."""
    return len(item.seeds) // 4 if isinstance(item, ResultTable) else 1


def each(items: Iterable[ResultItem]) -> Iterator[ResultData]:
    """The results of all rows, one by one.

    Raises:
        ProtocolError: a table is not one.
    """
    for item in items:
        if isinstance(item, ResultData):
            yield item
            continue
        table = Table(item)
        for row, seed in enumerate(table.seeds):
            exact = None if table.probabilities is None else table.probabilities.row(row)
            value = None if table.values is None else table.values[row]
            yield ResultData(table.counts.row(row), item.shots_done, item.duration_s, seed, None, exact, value)


def decode_results(items: bytes | msgspec.Raw) -> list[ResultData]:
    """The results of all rows of an encoded list of items.

    Raises:
        ProtocolError: a table in it is not one.
        msgspec.DecodeError: it is no such list.
    """
    return list(each(_decode(items)))
