"""Finds the circuits in a file's text, and makes of each one that can be parsed on its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import msgspec

from hybrid_runtime.cli.sources import PACKAGE, Module

_CIRCUIT = f"{PACKAGE}.Circuit"
_VERSION = re.compile(r"(?:\s+|//[^\n]*|#[^\n]*|/\*.*?\*/)*version\s+(?:3|1\.0)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{([^\W\d]\w*)(?:\[(\d+)\])?\}")
# Numbers that stand for what is not known before the algorithm runs: an angle, a size, and for indices those
# from 0 on, a different one for each different expression, so that no gate gets one qubit twice.
_ANGLE, _SIZE = "0.5", "32"
# So many names and additions are followed, one inside the other: a name may lead back to itself.
_DEEPEST = 12


class CircuitText(msgspec.Struct, frozen=True):
    """A circuit to parse.

    Attributes:
        file: Where it stands.
        line: The line of its first character.
        lines_match: Whether its lines are lines of the file, so that an error's line can be named.
        source: The text, with numbers put in for what an f-string inserts.
        parameters: Placeholders, with a number for each.
        language: Its language where that is named.
        certain: Whether the text is the circuit that will run but for its numbers.
    """

    file: str
    line: int
    lines_match: bool
    source: str
    parameters: dict[str, float | list[float]]
    language: str | None
    certain: bool


def circuit_texts(module: Module) -> Iterator[CircuitText]:
    """The circuits that the file spells out: given to `Circuit`, or starting with a version that is known."""
    seen: set[ast.AST] = set()
    parents = {child: node for node in ast.walk(module.tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and module.resolve(node.func) == _CIRCUIT:
            source = node.args[0] if node.args else _keyword(node, "source")
            if source is not None:
                seen.update(ast.walk(source))
                yield from _text(module, source, node)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node not in seen:
            # The text parts of an f-string are no texts of their own.
            seen.update(ast.walk(node))
            if _stands_alone(module, node, parents):
                yield from _text(module, node, None)


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _stands_alone(module: Module, node: ast.expr, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether a text outside of `Circuit(…)` is a whole circuit, not a part of one nor a docstring."""
    parent = parents.get(node)
    if isinstance(parent, ast.BinOp | ast.AugAssign | ast.Attribute | ast.Expr | ast.FormattedValue | ast.JoinedStr):
        return False
    text = "".join(piece for piece in _pieces(module, node) if isinstance(piece, str))
    return _VERSION.match(text) is not None and "measure" in text


def _pieces(module: Module, node: ast.expr, depth: int = 0) -> list[str | ast.expr]:
    """The parts of a text that is written out, inserted or added up; an expression for each that is not known."""
    if depth > _DEEPEST:
        return [node]
    depth += 1
    text = _literal(node)
    if text is not None:
        return [text]
    if isinstance(node, ast.JoinedStr):
        return [piece for part in node.values for piece in _pieces(module, part, depth)]
    if isinstance(node, ast.FormattedValue):
        known = _pieces(module, node.value, depth)
        return known if all(isinstance(piece, str) for piece in known) else [node.value]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_pieces(module, node.left, depth), *_pieces(module, node.right, depth)]
    if isinstance(node, ast.Name) and node.id in module.constants:
        return _pieces(module, module.constants[node.id], depth)
    return [node]


def _literal(node: ast.expr | None) -> str | None:
    """The text that a node spells out, if it does."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _text(module: Module, node: ast.expr, call: ast.Call | None) -> Iterator[CircuitText]:
    pieces = _pieces(module, node)
    filled = _fill_in(pieces) if any(isinstance(piece, str) for piece in pieces) else None
    if filled is None:
        return
    source, certain = filled
    names = _declared(call)
    language = None if call is None else _keyword(call, "language")
    lines = (node.end_lineno or node.lineno) - node.lineno
    written_out = isinstance(node, ast.Constant | ast.JoinedStr)
    yield CircuitText(
        file=module.file,
        line=node.lineno,
        lines_match=written_out and lines == source.count("\n"),
        source=source,
        parameters=_values(source, names),
        language=_literal(language),
        certain=certain,
    )


def _fill_in(pieces: list[str | ast.expr]) -> tuple[str, bool] | None:
    """The text of these pieces with numbers for what is inserted; None where it may insert anything.

    With it: whether nothing but angles and indices was put in, so that an error elsewhere is an error.
    """
    text, certain = "", True
    indices: dict[str, int] = {}
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
        else:
            kind = _position(text)
            if kind is None:
                return None
            if kind == "index":
                text += str(indices.setdefault(ast.unparse(piece), len(indices)))
            else:
                text += _SIZE if kind == "size" else _ANGLE
                certain = certain and kind == "angle"
    return text, certain


def _position(before: str) -> str | None:
    """What a number would be that comes after this text; None where something else may be meant."""
    statement = re.split(r"[\n;]", before)[-1]
    if re.search(r"\b(?:qubit|bit)\s*\[\s*$", statement) or re.search(r"^\s*qubits\s+$", statement):
        return "size"
    if statement.count("[") > statement.count("]"):
        return "index"
    if statement.count("(") > statement.count(")") or statement.rstrip().endswith(","):
        return "angle"
    return None


def _declared(call: ast.Call | None) -> set[str] | None:
    """The parameters that a call of `Circuit` names; None where they are not spelt out there."""
    if call is None:
        return None
    given = _keyword(call, "parameters")
    if given is None:
        return set()
    items: list[ast.expr | None]
    if isinstance(given, ast.Dict):
        items = list(given.keys)
    elif isinstance(given, ast.List | ast.Tuple | ast.Set):
        items = list(given.elts)
    else:
        items = [given]
    names = {item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    return names if len(names) == len(items) else None


def _values(source: str, names: set[str] | None) -> dict[str, float | list[float]]:
    """A number for each placeholder; a list of them where it is used with an index."""
    values: dict[str, float | list[float]] = {name: float(_ANGLE) for name in names or ()}
    indices: dict[str, int] = {}
    for match in _PLACEHOLDER.finditer(source):
        name, element = match.groups()
        if names is not None and name not in names:
            continue
        kind = _position(source[: match.start()])
        number = float(_ANGLE)
        if kind == "index":
            number = float(indices.setdefault(match.group(), len(indices)))
        elif kind == "size":
            number = float(_SIZE)
        if element is None:
            values[name] = number
        else:
            series = values.get(name)
            known = series if isinstance(series, list) else []
            values[name] = [*known, *[number] * (int(element) + 1 - len(known))]
    return values
