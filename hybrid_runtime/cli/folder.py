"""What `--out DIR` keeps of a job: `DIR/JOB_ID/{bundle.bin, journal.bin, result.json, metrics.csv, log.txt}`."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

from hybrid_runtime.dispatcher.journal import BUNDLE_NAME, JOURNAL_NAME
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.job import JobResult
from hybrid_runtime.submission import new_job_id


class OutFolder:
    """A job's own folder: made and tried before the job runs, and complete once `result.json` is in it.

    Args:
        place: The folder that holds it.
        resume: Name of the job to go on with; a new one when None.
        job_id: Name of a job that ran elsewhere, of which the outcome is kept.
        option: How the user named the place.

    Raises:
        InvalidInput: nothing can be written there, or nothing is kept there of the job to go on with.
    """

    def __init__(
        self, place: Path, resume: str | None = None, *, job_id: str | None = None, option: str = "--out"
    ) -> None:
        self._option = option
        self._place = place
        self._made: Path | None = None
        self.resumed = resume is not None
        self.job_id = resume or job_id or new_job_id()
        self.folder = place / self.job_id
        if resume is not None and (Path(resume).name != resume or not self.journal.is_file()):
            raise InvalidInput(f"{place} keeps no journal of a job {resume!r}; its jobs are the folders in it")
        try:
            self._made = _first_missing(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            _probe(self.folder)
        except OSError as error:
            raise _cannot_write(self._option, place, error) from error

    @property
    def journal(self) -> Path:
        """The file with the job's steps."""
        return self.folder / JOURNAL_NAME

    @property
    def has_result(self) -> bool:
        """Whether what became of the job is in it."""
        return (self.folder / "result.json").exists()

    def begin(self, bundle: bytes) -> None:
        """Keep what is to be run.

        Raises:
            InvalidInput: it cannot be written.
        """
        self._write(files={BUNDLE_NAME: bundle})

    def keep(self, result: JobResult) -> Path:
        """Write what became of the job, `result.json` last; the folder.

        Raises:
            InvalidInput: it could not be written after all, as on a full disk.
        """
        self._write(
            again=f"make space, then write it by --resume {self.job_id}" if self.journal.exists() else "",
            files={
                "metrics.csv": metrics_table(result.metrics).encode(),
                "log.txt": "".join(f"{line}\n" for line in result.logs).encode("utf-8", "backslashreplace"),
                "result.json": json.dumps(result.to_dict(), indent=2, allow_nan=False).encode() + b"\n",
            },
        )
        return self.folder

    def _write(self, *, files: dict[str, bytes], again: str = "") -> None:
        for name, content in files.items():
            partial = self.folder / f".{name}.partial"
            try:
                _write_through(partial, content)
                partial.replace(self.folder / name)
            except OSError as error:
                partial.unlink(missing_ok=True)
                raise _cannot_write(self._option, self._place, error, again) from error

    def discard(self) -> None:
        """Leave nothing behind of a job that never ran; one that has a journal or a result is kept."""
        if self.resumed or self.journal.exists() or self.has_result:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
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


def _probe(folder: Path) -> None:
    probe = folder / ".probe"
    probe.touch()
    probe.unlink()


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _cannot_write(option: str, place: Path, error: OSError, again: str = "") -> InvalidInput:
    then = again or "choose another folder"
    return InvalidInput(f"{option} {str(place)!r} cannot be written: {error.strerror}; {then}")


def metrics_table(metrics: dict[str, list[float]]) -> str:
    """Metrics as CSV, one value a row: its metric, its number in the order reported, and the value."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("metric", "number", "value"))
    for name, values in metrics.items():
        rows.writerows((name, number, repr(value)) for number, value in enumerate(values))
    return text.getvalue()
