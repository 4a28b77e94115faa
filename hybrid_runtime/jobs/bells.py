"""Doorbells: whoever has put something into the database wakes the runner that is to find it.

A ring that is lost costs only the time until the runner looks by itself.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def bell_of(folder: Path, backend: str) -> Path:
    """The doorbell of a backend's runner, in the folder for them."""
    return folder / f"runner-{backend}.bell"


class Bells:
    """The doorbells of all runners, for those who ring.

    Args:
        folder: Where they are; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ring(self, backend: str) -> None:
        """Wake the runner of this backend, if there is one on this host."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                with _address(bell_of(self._folder, backend)) as address:
                    sock.sendto(b"!", address)
            except OSError:
                return  # nobody is there, or does not hear: it looks by itself when it comes to that


class Bell:
    """A runner's own doorbell; made anew, whatever is left there of a former one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        path.unlink(missing_ok=True)
        with _address(path) as address:
            self._socket.bind(address)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    def answer(self) -> None:
        """Take in all rings."""
        try:
            while True:
                self._socket.recv(16)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Take it down."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A short name for a path, which may be longer than a socket's address can be."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
