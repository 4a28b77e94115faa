"""Begins a job's journal with the first steps of another job's."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

from hybrid_runtime.dispatcher.branches import Branches
from hybrid_runtime.dispatcher.journal import (
    Began,
    Branched,
    Defined,
    Drawn,
    Forked,
    Fsync,
    Journal,
    Moved,
    Noted,
    Record,
    Resumed,
    Stepped,
    Turned,
    read,
)
from hybrid_runtime.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def fork_journal(path: Path, source: Path, steps: int, began: Began, origin: str, *, optimizer: str = "") -> None:
    """Make a journal that holds so many steps of another one, as if its own job had made them.

    Args:
        path: The new journal; it is there when it is whole.
        source: The other one, whose job may be running.
        steps: How many.
        began: What the new job is.
        origin: The other one's name.
        optimizer: The method that takes over after them; the algorithm's own where it is empty.

    Raises:
        JournalError: the other journal cannot be read, or has fewer steps; or the new one cannot be written.
    """
    earlier = [one for forked in islice(read(source), 2) if isinstance(forked, Forked) for one in forked.optimizers]
    takeovers = [one for one in earlier if one[1] <= steps] + ([(optimizer, steps)] if optimizer else [])
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with closing(Journal(partial, Fsync.GROUP)) as journal:
            journal.append(began)
            journal.append(Forked(origin, steps, takeovers))
            for record in _until(source, steps):
                journal.append(record)
    except JournalError:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def _counting(source: Path) -> set[int]:
    """Which answers of a journal count: not those from which its algorithm went another way later."""
    branches = Branches()
    number = 0
    for record in read(source):
        if isinstance(record, Stepped | Turned):
            branches.answered(isinstance(record, Stepped))
            number += 1
        elif isinstance(record, Branched):
            branches.cut(record.kept)
    kept = branches.kept
    return set(range(number)) if kept is None else {one for part in kept for one in part}


def _until(source: Path, steps: int) -> Iterator[Record]:
    """What belongs to the first steps of a journal, and to nothing after them."""
    counting = _counting(source)
    answer = found = 0
    notes: list[Record] = []
    for record in read(source) if steps else ():
        if isinstance(record, Noted | Drawn):
            notes.append(record)
        elif isinstance(record, Resumed):
            # The step that these belonged to was never answered: the algorithm has made them again since.
            notes.clear()
        elif isinstance(record, Defined | Moved):
            yield record
        elif isinstance(record, Stepped | Turned):
            if answer in counting:
                yield from notes
                yield record
                found += isinstance(record, Stepped)
            notes.clear()
            answer += 1
            if found == steps:
                return
    if found < steps:
        raise JournalError(f"{source} has {found} steps, not {steps}: choose one of them")
