"""How much of the disk a worker has taken, where its scratch directory is not a file system with bounds of its own.

Limits of the kernel bound each file, not how many there are. So the fork server looks from time to time, and ends the
worker that has taken more than it may: what a worker can take beyond that is what it can write between two looks.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

LOOK_EVERY_S: Final = 0.25
# A tree can be made so deep that no path leads to its end: what is there would not be seen.
MAX_DEPTH: Final = 64
_BLOCK = 512
_ALL = 0o700


def exceeded(scratch: str, pid: int, *, most_bytes: int, most_files: int) -> bool:
    """Whether the worker `pid` has more than so much in files of its own, or more files, or nests them too deeply.

    Files that were removed while open count too, where this process may look at what the worker has open.
    """
    size = 0
    for files, (entry, depth) in enumerate(_entries(scratch), start=1):
        size += entry.st_blocks * _BLOCK
        if files > most_files or size > most_bytes or depth > MAX_DEPTH:
            return True
    return size + sum(_removed_but_open(pid)) > most_bytes


def _entries(top: str) -> Iterator[tuple[os.stat_result, int]]:
    """Every file and directory below `top`, with its depth; those that vanish meanwhile are left out."""
    waiting = [(top, 1)]
    while waiting:
        folder, depth = waiting.pop()
        with suppress(OSError), _listed(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    yield entry.stat(follow_symlinks=False), depth
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))


def _listed(folder: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    try:
        return os.scandir(folder)
    except PermissionError:
        # Its owner may make a directory that cannot be listed, and still put files there.
        os.chmod(folder, _ALL)
        return os.scandir(folder)


def _removed_but_open(pid: int) -> Iterator[int]:
    """Sizes of the files that have no name any more and are held open."""
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found = link.stat()
                if stat.S_ISREG(found.st_mode) and not found.st_nlink:
                    yield found.st_blocks * _BLOCK
