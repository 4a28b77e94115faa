"""The files of a bundle as syntax trees, and what the names in them stand for. Nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from hybrid_runtime.files import parse_source
from hybrid_runtime.protocol.bundles import Bundle

PACKAGE = "hybrid_runtime"
_MODULES = ("algorithm", "circuit", "context", "limits", "job", "local")
# What `from hybrid_runtime import *` brings, as far as it matters here.
_STAR = ("HybridAlgorithm", "hybrid", "Circuit")


class Module:
    """One file.

    Attributes:
        file: Its name for the user.
        tree: Its syntax tree.
        statements: Its top-level statements, those within `if`, `try` and `with` included.
        classes: Its top-level classes, by name.
        constants: What is assigned once at the top level and nowhere again, by name.
    """

    def __init__(self, file: str, tree: ast.Module) -> None:
        self.file = file
        self.tree = tree
        self.statements = list(top_level(tree.body))
        self.classes = {node.name: node for node in self.statements if isinstance(node, ast.ClassDef)}
        self.constants = _constants(self.statements, tree)
        self._imports = _imports(tree)

    def resolve(self, node: ast.expr) -> str:
        """The dotted name that an expression stands for; what it is bound to here where that is not imported.

        Names of `hybrid_runtime` come without the module they live in: `hybrid_runtime.Circuit`.
        """
        if isinstance(node, ast.Name):
            return _public(self._imports.get(node.id, node.id))
        if isinstance(node, ast.Attribute):
            return _public(f"{self.resolve(node.value)}.{node.attr}")
        if isinstance(node, ast.Subscript):
            return self.resolve(node.value)
        return ""


class Project:
    """The files of one bundle, by the dotted name they are imported under; `entry` holds the algorithm."""

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        self.entry_key = bundle.entry
        self.modules: dict[str, Module] = {}
        for key, content in bundle.files.items():
            if not key.endswith(".py"):
                continue  # data
            file = str(folder / key)
            self.modules[dotted(key)] = Module(file, parse_source(content, file))
        self.entry = self.modules[dotted(bundle.entry)]
        self.local = {name.split(".")[0] for name in self.modules}

    def class_named(self, name: str, module: Module) -> tuple[ast.ClassDef, Module] | None:
        """The class of this dotted name, as seen from `module`, with the module that defines it."""
        if name in module.classes:
            return module.classes[name], module
        home, _, last = name.rpartition(".")
        other = self.modules.get(home)
        if other is None or other is module:
            return None
        if last in other.classes:
            return other.classes[last], other
        # It may have been imported there from yet another file.
        onward = other.resolve(ast.Name(last))
        return None if onward in ("", last, name) else self.class_named(onward, other)


def dotted(key: str) -> str:
    """The module name of a file: `helpers/ansatz.py` is `helpers.ansatz`."""
    return key.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def top_level(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, one by one."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for field in ("body", "orelse", "finalbody"):
                yield from top_level(getattr(statement, field, []))
            for handler in getattr(statement, "handlers", []):
                yield from top_level(handler.body)


def _constants(statements: list[ast.stmt], tree: ast.Module) -> dict[str, ast.expr]:
    """Values of the names that have the same value wherever they are read."""
    stored = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return {
        target.id: node.value
        for node in statements
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and stored.count(target.id) == 1 and target.id not in arguments
    }


def _imports(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.split(".")[0]
                found[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if alias.name == "*" and node.module.split(".")[0] == PACKAGE:
                    found.update({name: f"{PACKAGE}.{name}" for name in _STAR})
                else:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _public(name: str) -> str:
    parts = name.split(".")
    if len(parts) == 3 and parts[0] == PACKAGE and parts[1] in _MODULES:
        return f"{PACKAGE}.{parts[2]}"
    return name
