"""Finds the algorithms of a file, as the worker will find them, without running anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from hybrid_runtime.cli.lint_functions import Function, is_generator
from hybrid_runtime.cli.sources import PACKAGE, Module, Project

_BASE = f"{PACKAGE}.HybridAlgorithm"
_MARK = f"{PACKAGE}.hybrid"


class ClassShape:
    """A class, with what it inherits from classes of the bundle.

    Attributes:
        node: Where it is defined.
        bases: The classes of the bundle that it derives from, nearest first.
        derives: Whether it is a `HybridAlgorithm`.
        known: Whether all of its bases were found; where not, hooks may be inherited unseen.
        methods: Its methods and those it inherits from the bundle's classes; None for an attribute that is
            no plain `def`.
    """

    def __init__(self, node: ast.ClassDef, module: Module, project: Project) -> None:
        self.node = node
        self.known = True
        self.bases: list[ast.ClassDef] = []
        self.derives = False
        self.methods: dict[str, tuple[Function | None, Module]] = {}
        self._take(node, module, project)

    def _take(self, node: ast.ClassDef, module: Module, project: Project) -> None:
        for name, function in _members(node):
            self.methods.setdefault(name, (function, module))
        for base in node.bases:
            name = module.resolve(base)
            found = project.class_named(name, module)
            if name == _BASE:
                self.derives = True
            elif found is None:
                self.known = self.known and name in ("object", "abc.ABC", "typing.Generic", "typing.Protocol")
            elif found[0] is not self.node and found[0] not in self.bases:
                self.bases.append(found[0])
                self._take(*found, project)


def _members(node: ast.ClassDef) -> Iterator[tuple[str, Function | None]]:
    for statement in node.body:
        if isinstance(statement, Function):
            yield statement.name, statement
        elif isinstance(statement, ast.Assign):
            yield from ((target.id, None) for target in statement.targets if isinstance(target, ast.Name))


class Algorithms:
    """What a file offers to run: classes and functions by name, as the worker will find them."""

    def __init__(self, project: Project) -> None:
        module = self._module = project.entry
        every = {name: ClassShape(node, module, project) for name, node in module.classes.items()}
        self.doubtful = [one for one in every.values() if not one.derives and not one.known]
        self.plain = [one for one in every.values() if not one.derives and one.known]
        self.classes = {name: one for name, one in every.items() if one.derives and not _is_abstract(one)}
        self.functions: dict[str, Function | None] = dict(self._marked())

    def _marked(self) -> Iterator[tuple[str, Function | None]]:
        defined = {node.name: node for node in self._module.statements if isinstance(node, Function)}
        for name, function in defined.items():
            if any(self._is_mark(decorator) for decorator in function.decorator_list):
                yield name, function
        for node in self._module.statements:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and self._is_mark(node.value.func):
                argument = node.value.args[0] if node.value.args else None
                marked = defined.get(argument.id) if isinstance(argument, ast.Name) else None
                yield from ((target.id, marked) for target in node.targets if isinstance(target, ast.Name))

    def _is_mark(self, node: ast.expr) -> bool:
        return self._module.resolve(node.func if isinstance(node, ast.Call) else node) == _MARK

    def names(self) -> list[str]:
        """Those that can be run without being named: not private, and not the base of another one."""
        bases = {base.name for one in self.classes.values() for base in one.bases}
        named = [*self.classes, *self.functions]
        public = [name for name in named if not name.startswith("_")]
        leaves = [name for name in public if name not in bases]
        return leaves or public

    def style(self, name: str) -> str:
        """How the algorithm of this name is written: `lifecycle`, `generator` or `blocking`."""
        if name in self.classes:
            return "lifecycle"
        function = self.functions[name]
        return "generator" if function is not None and is_generator(function) else "blocking"


def _is_abstract(one: ClassShape) -> bool:
    functions = [function for function, _ in one.methods.values() if function is not None]
    return any("abstractmethod" in ast.unparse(mark) for function in functions for mark in function.decorator_list)
