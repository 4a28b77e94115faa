"""What the file of an algorithm declares about itself: inline script metadata, as PEP 723 defines it.

::

    # /// script
    # requires-python = ">=3.11"
    # dependencies = ["numpy>=2", "networkx"]
    #
    # [tool.hybrid-runtime]
    # include = ["molecules/*.json"]
    # parameters = { layers = 2 }
    # limits = { steps = 200, wall = "60s" }
    # ///

The file stays an ordinary program: the block is a comment, and other tools read the same one.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec

from hybrid_runtime.errors import BundleError, InvalidInput
from hybrid_runtime.limits import Limits, parse_limits

TABLE = "hybrid-runtime"
# The expression of PEP 723, for the one block that it defines.
_BLOCK = re.compile(r"^# /// (?P<type>script)$\s(?P<content>(^#(| .*)$\s)+)^# ///$", re.MULTILINE)


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What a file declares; all of it may be left out.

    Attributes:
        requires_python: Versions of Python it runs on.
        requires: Packages it needs.
        include: Patterns of data files, seen from the file's folder.
        parameters: Values of parameters that a job does not name.
        limits: Limits that a job does not name.
    """

    requires_python: str = ""
    requires: list[str] = []
    include: list[str] = []
    parameters: dict[str, Any] = {}
    limits: dict[str, Any] = {}


def declared_in(source: str, name: str) -> Declared:
    """What this source declares.

    Raises:
        BundleError: the block is not TOML, or says what nobody understands.
    """
    blocks = list(_BLOCK.finditer(source.replace("\r\n", "\n")))
    if not blocks:
        return Declared()
    if len(blocks) > 1:
        raise BundleError(f"{name} has two blocks '# /// script': join them")
    lines = blocks[0].group("content").splitlines()
    try:
        table = tomllib.loads("\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines))
        return _read(table)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BundleError(f"{name}: the block '# /// script' is not TOML: {error}") from None
    except InvalidInput as error:
        raise BundleError(f"{name}: the block '# /// script': {error}") from None


def _read(table: dict[str, Any]) -> Declared:
    python = table.get("requires-python", "")
    if not isinstance(python, str):
        raise InvalidInput('requires-python is a text such as ">=3.11"')
    tools = table.get("tool", {})
    own = tools.get(TABLE, {}) if isinstance(tools, dict) else {}
    if not isinstance(own, dict):
        raise InvalidInput(f"tool.{TABLE} is a table")
    unknown = sorted(set(own) - {"include", "parameters", "limits"})
    if unknown:
        raise InvalidInput(f"tool.{TABLE} has no {unknown[0]!r:.60}; there are include, parameters and limits")
    return Declared(
        requires_python=python,
        requires=_texts(table, "dependencies"),
        include=_texts(own, "include"),
        parameters=_parameters(own),
        limits=_limits(own),
    )


def _texts(table: dict[str, Any], key: str) -> list[str]:
    texts = table.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidInput(f"{key} is a list of texts")
    return texts


def _parameters(own: dict[str, Any]) -> dict[str, Any]:
    parameters = own.get("parameters", {})
    try:
        # What TOML has beyond JSON, dates and infinities, no parameter has.
        plain = msgspec.json.decode(msgspec.json.encode(parameters))
    except OverflowError as error:
        raise InvalidInput(f"parameters: {error}") from None
    if not isinstance(parameters, dict) or plain != parameters:
        raise InvalidInput("parameters is a table of values that JSON has, too: no dates, no infinities")
    return parameters


def _limits(own: dict[str, Any]) -> dict[str, Any]:
    given = own.get("limits", {})
    if not isinstance(given, dict):
        raise InvalidInput('limits is a table such as { steps = 200, wall = "60s" }')
    return limits_by_name(parse_limits([f"{name}={_limit_text(value)}" for name, value in given.items()]))


def _limit_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def limits_by_name(limits: Limits) -> dict[str, Any]:
    """Those limits that are not as they are by themselves."""
    plain: dict[str, Any] = msgspec.to_builtins(limits)
    return plain


def merged_limits(declared: dict[str, Any], given: Limits | None) -> Limits:
    """The limits of a job: those given, over those that its algorithm declares."""
    own = limits_by_name(given) if given is not None else {}
    return Limits(**{**declared, **own})
