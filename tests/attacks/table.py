"""The table of attacks in docs/explanation/sandbox.md: `python -m tests.attacks.table` writes it."""

from __future__ import annotations

from pathlib import Path

from tests.attacks import files, kernel, processes, protocol, corners, sweeps, flows  # isort: skip  # the order of the table
from tests.attacks.toolbox import ATTACKS, Attack

MODULES = (files, kernel, processes, protocol, corners, sweeps, flows)
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "sandbox.md"
START = "<!-- attacks: written by python -m tests.attacks.table -->\n"
END = "<!-- end of attacks -->\n"
LEVELS = ("strict", "landlock")


def row(attack: Attack) -> str:
    """One line of the table."""
    levels = [f"**open**: {attack.open_at[level]}" if level in attack.open_at else "fails" for level in LEVELS]
    return f"| {attack.number} | {attack.title} | {attack.stopped_by} | {' | '.join(levels)} |\n"


def table() -> str:
    """The whole table."""
    head = "| | attack | what stops it | `strict` | `landlock` |\n|---|---|---|---|---|\n"
    return "\n" + head + "".join(map(row, ATTACKS)) + "\n"


def page_with_table(page: str) -> str:
    """The page with the table in its place."""
    before, _, rest = page.partition(START)
    return before + START + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text()))
