"""What is not the same in every run, made so: generators are seeded, what comes from elsewhere is recorded."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

from hybrid_runtime.protocol.messages import MAX_NOTES, Drawn, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hybrid_runtime.classical.replaying import Replayer


class Drawing:
    """What one job has drawn since its last step.

    Attributes:
        waiting: What is to be recorded before a step that may depend on it.
    """

    def __init__(self) -> None:
        self.waiting: list[float | bytes] = []

    def draw(self, make: Callable[[], float | bytes], replayer: Replayer | None) -> float | bytes:
        """What is recorded at this place, where it is of the same kind; else what `make` gives."""
        value = make()
        if replayer is not None:
            recorded = replayer.drawn()
            if recorded is not None and _alike(recorded, value):
                return recorded
            # Drawn after the last recorded step, before the job was interrupted: the record of it is for the next one.
            before = replayer.drawn_last()
            if before is not None and _alike(before, value):
                value = before
        self.waiting.append(value)
        return value

    def take(self) -> Iterator[bytes]:
        """The messages that have what was drawn recorded."""
        drawn, self.waiting = self.waiting, []
        for first in range(0, len(drawn), MAX_NOTES):
            yield encode(Drawn(drawn[first : first + MAX_NOTES]))


def _alike(recorded: float | bytes, value: float | bytes) -> bool:
    """Whether one may stand for the other: the algorithm may have been changed since."""
    if isinstance(value, bytes):
        return isinstance(recorded, bytes) and len(recorded) == len(value)
    return isinstance(recorded, float)


def seed_everything(seed: int) -> None:
    """Seed the global generators of `random` and numpy from the job, so that a run can be repeated."""
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed & 0xFFFFFFFF)
