"""The data folder: where everything is, and that one service only uses it.

::

    DATA/jobs.sqlite            the database, unless another one is named
    DATA/bundles/               uploaded bundles
    DATA/jobs/JOB_ID/           journal.bin and bundle.bin of a job
    DATA/run/                   locks, doorbells and the settings that hold; of no use when nothing runs
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, Self

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.jobs.bells import bell_of

if TYPE_CHECKING:
    from pathlib import Path

_LOOK_AGAIN_S = 0.05


class DataFolder:
    """Paths in the data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.jobs = path / "jobs"
        self.run = path / "run"
        self.settings = self.run / "settings.json"

    def prepare(self) -> None:
        """Make what is missing, for this user's eyes only.

        Raises:
            InvalidInput: nothing can be written there.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.jobs, self.run):
                folder.mkdir(exist_ok=True, mode=0o700)
            probe = self.run / ".probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InvalidInput(
                f"the data folder {self.path} cannot be written: {error.strerror}; name another one with --data"
            ) from error

    def job(self, job_id: str) -> Path:
        """The folder of a job."""
        return self.jobs / job_id

    def bell(self, backend: str) -> Path:
        """The socket that wakes the runner of a backend."""
        return bell_of(self.run, backend)

    def nodes(self, backend: str) -> Path:
        """The folder for what a backend's dispatchers need while they run."""
        return self.run / f"runner-{backend}.nodes"

    def runner_lock(self, backend: str) -> Path:
        """The file that the runner of a backend holds locked."""
        return self.run / f"runner-{backend}.lock"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever finds a part of it, and so that it outlives a power failure.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb", opener=_for_us_only) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _for_us_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Lock:
    """A file that one process at a time holds locked, until it ends, however it ends.

    Raises:
        BlockingIOError: another process holds it; `holder` reads which.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    @classmethod
    def patiently(cls, path: Path, patience_s: float) -> Lock:
        """The lock, once whoever holds it has ended.

        Raises:
            BlockingIOError: it is still held after that time.
        """
        until = time.monotonic() + patience_s
        while True:
            try:
                return cls(path)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(_LOOK_AGAIN_S)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def holder(path: Path) -> str:
    """The process that holds a lock, for a person."""
    try:
        return path.read_text() or "unknown"
    except OSError:
        return "unknown"
