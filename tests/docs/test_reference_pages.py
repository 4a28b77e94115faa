"""The reference pages that are written by hand name all that the code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from hybrid_runtime.api.app import description
from hybrid_runtime.cli.app import command
from hybrid_runtime.errors import error_classes
from hybrid_runtime.limits import Limits, StopReason
from hybrid_runtime.program import GATES
from hybrid_runtime.protocol import control, forking, messages, sessions

DOCS = Path(__file__).parent.parent.parent / "docs"

DIRECTIONS = [
    messages.FromWorker,
    messages.ToWorker,
    messages.FromQuantum,
    messages.ToQuantum,
    control.ToDispatcher,
    control.FromDispatcher,
    forking.FromForkServer,
    sessions.ToRemote,
    sessions.FromRemote,
    sessions.FromDriver,
]
# Modules may keep errors of their own, which show under the name of the family they belong to.
ERRORS = {name: error for name, error in error_classes().items() if error.__module__ == "hybrid_runtime.errors"}
MESSAGES = [message for direction in DIRECTIONS for message in get_args(direction)] + [forking.Spawn]
TAGS = sorted({message.__struct_config__.tag for message in MESSAGES})


@pytest.mark.parametrize("tag", TAGS)
def test_protocol_page_names_every_message_with_its_tag(tag: str) -> None:
    page = (DOCS / "reference/protocol.md").read_text()
    assert f"` | `{tag}` |" in page or f"` (`{tag}`)" in page


def test_errors_page_draws_and_describes_every_error() -> None:
    page = (DOCS / "reference/errors.md").read_text()
    tree = page.partition("```text")[2].partition("```")[0].split()
    described = [name for name in ERRORS if f"::: hybrid_runtime.errors.{name}\n" in page]
    assert [name for name in ERRORS if name not in tree or name not in described] == []


def test_protocol_page_names_the_version_of_the_code() -> None:
    assert f"Version **{messages.PROTOCOL_VERSION}**" in (DOCS / "reference/protocol.md").read_text()


def test_exit_codes_page_names_every_error() -> None:
    page = (DOCS / "reference/exit-codes.md").read_text()
    rows = [f"| `{name}` | {error.exit_code} |" for name, error in ERRORS.items()]
    assert [row for row in rows if row not in page] == []


def test_circuits_page_names_every_gate() -> None:
    page = (DOCS / "reference/circuits.md").read_text()
    assert [name for name in GATES if f"`{name}" not in page] == []


def test_stop_conditions_page_names_every_limit_and_reason() -> None:
    page = (DOCS / "how-to/stop-conditions.md").read_text()
    assert [name for name in Limits.__struct_fields__ if f"`{name}" not in page] == []
    assert [reason.value for reason in StopReason if f"`{reason.value}`" not in page] == []


def test_command_line_page_names_every_command_and_option() -> None:
    page = (DOCS / "reference/cli.md").read_text()
    commands = command().commands
    options = {option for one in commands.values() for parameter in one.params for option in parameter.opts}
    assert [name for name in commands if f"## `qi-run {name}" not in page] == []
    assert [option for option in sorted(options) if option.startswith("--") and f"`{option}" not in page] == []


def test_rest_api_page_has_every_operation_in_its_section() -> None:
    page = (DOCS / "reference/rest-api.md").read_text()
    missing = []
    for path, operations in description()["paths"].items():
        for method, operation in operations.items():
            section = page.partition(f"### {operation['tags'][0].capitalize()}\n")[2].partition("\n#")[0]
            if f"| `{operation['operationId']}` | `{method.upper()} {path}` | " not in section:
                missing.append(operation["operationId"])
    assert missing == []


def test_rest_api_page_names_no_operation_that_is_not_there() -> None:
    named = re.findall(r"^\| `(\w+)` \| `[A-Z]+ /", (DOCS / "reference/rest-api.md").read_text(), re.MULTILINE)
    known = [one["operationId"] for operations in description()["paths"].values() for one in operations.values()]
    assert sorted(named) == sorted(known)
