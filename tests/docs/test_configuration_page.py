"""The page about settings says what the code has."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hybrid_runtime.server.reference import Entry, entries
from hybrid_runtime.server.writing import toml

PAGE = (Path(__file__).parent.parent.parent / "docs/reference/configuration.md").read_text()


def row(entry: Entry) -> str:
    if entry.default is msgspec.NODEFAULT:
        default = "has to be set"
    else:
        default = "not set" if entry.default is None else f"`{toml(entry.default)}`"
    return f"| `{entry.key}` | {entry.kind} | {default} | {entry.meaning} |"


@pytest.mark.parametrize("entry", list(entries()), ids=lambda entry: entry.key)
def test_it_has_a_row_for_every_setting(entry):
    assert row(entry) in PAGE.splitlines()


def test_it_has_no_row_for_anything_else():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(map(row, entries()))
