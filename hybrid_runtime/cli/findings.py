"""What `qi-run check` finds."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Severity: TypeAlias = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True, order=True):
    """One thing to correct.

    Attributes:
        file: The file, named from where the user is.
        line: Its line, from 1.
        severity: An `error` fails the job; a `warning` may.
        text: What is wrong and what to do, the first line being enough.
    """

    file: str
    line: int
    severity: Severity
    text: str

    def __str__(self) -> str:
        first, *others = self.text.split("\n")
        return "\n".join([f"{self.file}:{self.line}: {self.severity}: {first}", *(f"    {line}" for line in others)])
