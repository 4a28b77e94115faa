"""A journal as a table in Parquet, one row a circuit that was executed: for pandas, Polars, DuckDB and others."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hybrid_runtime.dispatcher.journal import Stepped, read
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.protocol.replay import decode_canonical
from hybrid_runtime.protocol.results import decode_results

_ROWS_AT_ONCE = 10_000


def write_parquet(journal: Path, target: Path) -> int:
    """Write the steps of a journal to a file; how many rows it has.

    Raises:
        InvalidInput: pyarrow is not installed, or the file cannot be written.
        JournalError: the journal cannot be read, or is corrupt.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise InvalidInput("Parquet needs pyarrow: pip install 'hybrid-runtime[parquet]'") from None
    schema = pa.schema(
        [
            ("step", pa.int64()),
            ("circuit", pa.int32()),
            ("program", pa.string()),
            ("parameters", pa.list_(pa.float64())),
            ("shots", pa.int64()),
            ("shots_done", pa.int64()),
            ("duration_s", pa.float64()),
            ("seed", pa.int64()),
            ("counts", pa.map_(pa.string(), pa.int64())),
            ("probabilities", pa.map_(pa.string(), pa.float64())),
            ("value", pa.float64()),
        ]
    )
    count = 0
    try:
        with parquet.ParquetWriter(target, schema) as file:
            for rows in _in_pieces(_rows(journal)):
                file.write_table(pa.Table.from_pylist(rows, schema))
                count += len(rows)
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror or error}; name another file") from error
    return count


def _rows(journal: Path) -> Iterator[dict[str, Any]]:
    for record in read(journal):
        if not isinstance(record, Stepped):
            continue
        results = iter(enumerate(decode_results(record.items)))
        for call in decode_canonical(record.request):
            width = len(call.values) // call.rows if call.rows else 0
            for row in range(call.rows):
                index, result = next(results)
                yield {
                    "step": record.number,
                    "circuit": index,
                    "program": call.program.hex(),
                    "parameters": struct.unpack_from(f"<{width // 8}d", call.values, row * width),
                    "shots": call.shots,
                    "shots_done": result.shots_done,
                    "duration_s": result.duration_s,
                    "seed": result.seed,
                    "counts": list(result.counts.items()),
                    "probabilities": None if result.probabilities is None else list(result.probabilities.items()),
                    "value": result.value,
                }


def _in_pieces(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    piece: list[dict[str, Any]] = []
    for row in rows:
        piece.append(row)
        if len(piece) == _ROWS_AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece
