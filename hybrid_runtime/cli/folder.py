"""What `--out DIR` keeps of a job: `DIR/JOB_ID/{result.json, metrics.csv, log.txt, bundle.bin}`."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import shutil
from pathlib import Path

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.job import JobResult


class OutFolder:
    """A folder that is made and tried before the job runs, and that gets its name when it is complete.

    Raises:
        InvalidInput: nothing can be written there.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._partial = place / f".partial-{secrets.token_hex(6)}"
        try:
            self._made = _first_missing(place)
            place.mkdir(parents=True, exist_ok=True)
            self._partial.mkdir()
        except OSError as error:
            raise _cannot_write(place, error) from error

    def keep(self, result: JobResult, bundle: bytes) -> Path:
        """Write everything, then give the folder the job's name; its path.

        Raises:
            InvalidInput: it could not be written after all, as on a full disk.
        """
        files = {
            "result.json": json.dumps(result.to_dict(), indent=2, allow_nan=False).encode() + b"\n",
            "metrics.csv": metrics_table(result.metrics).encode(),
            "log.txt": "".join(f"{line}\n" for line in result.logs).encode("utf-8", "backslashreplace"),
            "bundle.bin": bundle,
        }
        target = self._place / result.job_id
        try:
            for name, content in files.items():
                _write_through(self._partial / name, content)
            self._partial.rename(target)
        except OSError as error:
            raise _cannot_write(self._place, error) from error
        return target

    def discard(self) -> None:
        """Leave nothing behind unless `keep` was called: for a job that never ran."""
        shutil.rmtree(self._partial, ignore_errors=True)
        folder = self._place
        while self._made is not None and folder.is_relative_to(self._made):
            try:
                folder.rmdir()
            except OSError:
                return  # something is in it, or another process was quicker
            folder = folder.parent


def _first_missing(place: Path) -> Path | None:
    """The topmost folder that has to be made for this one; None when it exists."""
    missing = None
    for folder in (place, *place.parents):
        if folder.exists():
            break
        missing = folder
    return missing


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _cannot_write(place: Path, error: OSError) -> InvalidInput:
    return InvalidInput(f"--out {str(place)!r} cannot be written: {error.strerror}; choose another folder")


def metrics_table(metrics: dict[str, list[float]]) -> str:
    """Metrics as CSV, one value a row: its metric, its number in the order reported, and the value."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("metric", "number", "value"))
    for name, values in metrics.items():
        rows.writerows((name, number, repr(value)) for number, value in enumerate(values))
    return text.getvalue()
