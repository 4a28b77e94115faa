"""Checks that what the files import can be imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hybrid_runtime.cli.findings import Finding
from hybrid_runtime.cli.lint_functions import Function
from hybrid_runtime.cli.sources import PACKAGE, Project
from hybrid_runtime.packages import is_provided

if TYPE_CHECKING:
    from hybrid_runtime.resources.backends import Environment

_CAUGHT = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def check_imports(project: Project, there: Environment | None = None) -> Iterator[Finding]:
    """Imports of packages that are not installed, here or in an environment, and relative ones that cannot work."""
    installed = _is_installed if there is None else partial(is_provided, there)
    where = "here" if there is None else f"in the environment {there.name}"
    for module in project.modules.values():
        for node, certain in _imports(module.tree.body, certain=True):
            if isinstance(node, ast.ImportFrom) and node.level and module is project.entry:
                text = "a relative import in the algorithm's own file: name the module without the dot"
                yield Finding(module.file, node.lineno, "error", text)
                continue
            for name in _missing(node, project, installed):
                text = f"the package {name!r} is not installed {where} and not beside the algorithm's file"
                yield Finding(module.file, node.lineno, "error" if certain else "warning", text)


def _imports(statements: list[ast.stmt], *, certain: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Import statements, and whether each is sure to run; those that may fail unharmed are left out."""
    for node in statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, certain
        elif isinstance(node, ast.Try) and any(map(_catches, node.handlers)):
            continue
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse, certain=certain)
        else:
            sure = certain and isinstance(node, ast.ClassDef | ast.With | ast.Try)
            yield from _imports(list(_blocks(node)), certain=sure)


def _blocks(node: ast.stmt) -> Iterator[ast.stmt]:
    if isinstance(node, Function | ast.ClassDef | ast.If | ast.For | ast.While | ast.With | ast.Try):
        for field in ("body", "orelse", "finalbody"):
            yield from getattr(node, field, [])
        for handler in getattr(node, "handlers", []):
            yield from handler.body


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return bool(_CAUGHT & {ast.unparse(one) for one in caught})


def _missing(node: ast.Import | ast.ImportFrom, project: Project, installed: Callable[[str], bool]) -> Iterator[str]:
    """The top-level packages that this import names and that are nowhere to be found."""
    if isinstance(node, ast.ImportFrom):
        names = [] if node.level or not node.module else [node.module]
    else:
        names = [alias.name for alias in node.names]
    known = project.local | sys.stdlib_module_names | {PACKAGE}
    for name in dict.fromkeys(full.split(".")[0] for full in names):
        if name not in known and not installed(name):
            yield name


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
