"""Which answers of a journal count, where its algorithm went another way than it had before. Pure.

::

    answers in the file   0 1 2 3 4 | Branched(2) | 5 6
    answers that count    0 1                       5 6
"""

from __future__ import annotations


class Branches:
    """Answers of a journal, as they are read one after the other.

    Attributes:
        executed: For each answer that counts, whether it was a step that was executed, as 1, or a refusal, as 0.
    """

    def __init__(self) -> None:
        self.executed = bytearray()
        self._ranges: list[range] = []
        self._number = 0

    def answered(self, executed: bool) -> None:
        """The next answer of the file."""
        self.executed.append(executed)
        self._number += 1

    def cut(self, kept: int) -> None:
        """Of the answers that count so far, only the first ones still do."""
        self._close()
        del self.executed[kept:]
        ranges, self._ranges = self._ranges, []
        for part in ranges:
            self._ranges.append(part[:kept])
            kept -= len(self._ranges[-1])
        self._begun = self._number

    _begun = 0

    def _close(self) -> None:
        self._ranges.append(range(self._begun, self._number))

    @property
    def steps(self) -> int:
        """How many steps count."""
        return self.executed.count(1)

    @property
    def kept(self) -> list[range] | None:
        """The numbers of the answers that count; None for all."""
        if not self._ranges:
            return None
        return [part for part in (*self._ranges, range(self._begun, self._number)) if part]
