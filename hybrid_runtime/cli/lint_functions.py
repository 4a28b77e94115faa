"""What can be said of a function without running it: how it may be called and how it ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function's body, without those of functions and classes within it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def is_generator(function: Function) -> bool:
    """Whether a function yields."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(function))


def takes(function: Function, count: int) -> bool:
    """Whether a function can be called with so many positional arguments and no others."""
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    named = any(default is None for default in arguments.kw_defaults)
    return required <= count and (count <= positional or arguments.vararg is not None) and not named


def signature(function: Function) -> str:
    """The function's arguments as they are written."""
    return f"{function.name}({ast.unparse(function.args)})"


def returns_value(function: Function) -> bool:
    """Whether some `return` has a value."""
    return any(isinstance(node, ast.Return) and node.value is not None for node in own_nodes(function))


def empty_end(function: Function) -> int | None:
    """A line at which the function may end without a value: a bare `return`, or its last line; else None."""
    bare = [node.lineno for node in own_nodes(function) if isinstance(node, ast.Return) and node.value is None]
    if bare:
        return min(bare)
    return None if _never_falls_through(function.body) else function.body[-1].end_lineno


def _never_falls_through(statements: list[ast.stmt]) -> bool:
    """Whether what follows these statements is never reached."""
    return any(_diverts(statement) for statement in statements)


def _diverts(node: ast.stmt) -> bool:
    if isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break):
        return True
    if isinstance(node, ast.If):
        return _never_falls_through(node.body) and _never_falls_through(node.orelse)
    if isinstance(node, ast.With):
        return _never_falls_through(node.body)
    if isinstance(node, ast.Try):
        done = _never_falls_through(node.body) or _never_falls_through(node.orelse)
        handled = all(_never_falls_through(handler.body) for handler in node.handlers)
        return _never_falls_through(node.finalbody) or (done and handled)
    if isinstance(node, ast.While):
        return isinstance(node.test, ast.Constant) and bool(node.test.value) and not _breaks(node.body)
    if isinstance(node, ast.Match):
        last = node.cases[-1]
        takes_all = last.guard is None and isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
        return takes_all and all(_never_falls_through(case.body) for case in node.cases)
    return False


def _breaks(statements: list[ast.stmt]) -> bool:
    """Whether a loop with this body can be left by `break`."""
    for node in statements:
        if isinstance(node, ast.Break):
            return True
        if isinstance(node, ast.For | ast.While):
            if _breaks(node.orelse):
                return True
        elif isinstance(node, ast.If | ast.With | ast.Try | ast.Match):
            blocks = [getattr(node, field, []) for field in ("body", "orelse", "finalbody")]
            blocks += [part.body for part in (*getattr(node, "handlers", []), *getattr(node, "cases", []))]
            if any(map(_breaks, blocks)):
                return True
    return False
