"""Removing what a worker has left, whatever it made to prevent that.

`shutil.rmtree` follows a tree down, so directories nested a few thousand deep end it with a RecursionError or for
want of descriptors, and one that its owner may not enter is left. Here every directory is first moved to the top and
only then looked into, so that no path is ever longer than two names.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress

_ALL = 0o700


def remove_tree(top: str, *, most: int | None = None) -> bool:
    """Remove a directory with all that is in it, as far as this process may; nothing must be changing it.

    Args:
        top: The directory.
        most: Stop after that many files and directories.

    Returns:
        Whether it is gone.
    """
    token = secrets.token_hex(8)
    waiting = [top]
    emptied: list[str] = []
    count = 0
    while waiting:
        folder = waiting.pop()
        emptied.append(folder)
        for name in _names(folder):
            count += 1
            if most is not None and count > most:
                return False
            entry = os.path.join(folder, name)
            with suppress(OSError):
                if os.path.islink(entry) or not os.path.isdir(entry):
                    os.unlink(entry)
                else:
                    waiting.append(_moved(entry, os.path.join(top, f"{token}-{count}")))
    for folder in reversed(emptied):
        with suppress(OSError):
            os.rmdir(folder)
    return not os.path.lexists(top)


def _names(folder: str) -> list[str]:
    with suppress(OSError):
        os.chmod(folder, _ALL)
        return os.listdir(folder)
    return []


def _moved(folder: str, target: str) -> str:
    # Its own entry for the directory above changes, which takes the right to write in it.
    os.chmod(folder, _ALL)
    os.rename(folder, target)
    return target
