"""Checks an algorithm's shape: that it can be found, that its hooks exist and can be called as they will be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from difflib import get_close_matches

from hybrid_runtime.cli.algorithms import Algorithms, ClassShape
from hybrid_runtime.cli.findings import Finding
from hybrid_runtime.cli.lint_functions import Function, empty_end, is_generator, returns_value, signature, takes
from hybrid_runtime.cli.sources import Module

HOOKS = {
    "initialize": "initialize(self, context)",
    "execute": "execute(self, results)",
    "finalize": "finalize(self, history)",
}
# These must be there, and give circuits.
_STEPPING = ("initialize", "execute")
# Closer than this, a name is taken for a misspelt hook: `finalise` and `excecute` are, `execute_all` is not.
_TYPO = 0.8


def check_algorithms(algorithms: Algorithms, module: Module, name: str) -> Iterator[Finding]:
    """What is wrong with the algorithm of this name, or with all of the file's when the name is empty."""
    names = [*algorithms.classes, *algorithms.functions]
    if name and name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        yield _error(module, 1, f"no algorithm is named {name!r}; {hint}its algorithms: {', '.join(names) or 'none'}")
        return
    offered = [name] if name else algorithms.names()
    if not offered:
        yield from _none(algorithms, module)
    if len(offered) > 1:
        text = f"several algorithms: name one, as {module.file}:{offered[0]} ({', '.join(offered)})"
        yield _error(module, 1, text)
    for one in offered:
        if one in algorithms.classes:
            yield from check_class(algorithms.classes[one], module)
        elif (function := algorithms.functions[one]) is not None:
            yield from check_function(function, module)


def _none(algorithms: Algorithms, module: Module) -> Iterator[Finding]:
    """Why the file has no algorithm, as far as that can be told."""
    if algorithms.doubtful:
        bases = ", ".join(ast.unparse(base) for base in algorithms.doubtful[0].node.bases)
        text = f"cannot tell whether {algorithms.doubtful[0].node.name} is an algorithm: {bases} is not in the bundle"
        yield Finding(module.file, algorithms.doubtful[0].node.lineno, "warning", text)
        return
    hooked = next((one for one in algorithms.plain if {*_STEPPING} & {*one.methods}), None)
    waiting = (node for node in module.statements if isinstance(node, Function))
    function = next((node for node in waiting if [one.arg for one in node.args.args] == ["context"]), None)
    if hooked is not None:
        text = f"no algorithm: {hooked.node.name} has hooks but does not derive from HybridAlgorithm"
        yield _error(module, hooked.node.lineno, text)
    elif function is not None:
        text = f"no algorithm: mark {function.name} with @hybrid, from hybrid_runtime"
        yield _error(module, function.lineno, text)
    else:
        yield _error(module, 1, "no algorithm: define a subclass of HybridAlgorithm, or mark a function with @hybrid")


def check_class(shape: ClassShape, module: Module) -> Iterator[Finding]:
    """What is wrong with an algorithm in lifecycle style."""
    typos = dict(_typos(shape))
    for hook, call in HOOKS.items():
        if hook in shape.methods:
            function, home = shape.methods[hook]
            if function is not None:
                yield from _check_hook(function, call, home)
        elif hook in typos:
            function, home = typos[hook]
            severity = _error if hook in _STEPPING else _warning
            yield severity(home, function.lineno, f"{function.name} is never called: it is spelt {hook}")
        elif hook in _STEPPING and shape.known:
            yield _error(module, shape.node.lineno, f"{shape.node.name} has no {call}")
    constructor, home = shape.methods.get("__init__", (None, module))
    if constructor is not None and not takes(constructor, 1):
        text = "__init__ needs arguments, but is given none: parameters are in context.parameters"
        yield _error(home, constructor.lineno, text)


def _typos(shape: ClassShape) -> Iterator[tuple[str, tuple[Function, Module]]]:
    """Methods that look like a hook which the class lacks, under that hook's name."""
    lacking = [hook for hook in HOOKS if hook not in shape.methods]
    for name, (function, home) in shape.methods.items():
        near = get_close_matches(name.lower(), lacking, n=1, cutoff=_TYPO)
        if near and function is not None:
            yield near[0], (function, home)


def _check_hook(function: Function, call: str, home: Module) -> Iterator[Finding]:
    line, name = function.lineno, function.name
    if isinstance(function, ast.AsyncFunctionDef):
        yield _error(home, line, f"{name} is async: write it with def, and without await")
        return
    marks = [ast.unparse(mark) for mark in function.decorator_list]
    given = 1 if "staticmethod" in marks else 2
    if not set(marks) - {"staticmethod", "classmethod"} and not takes(function, given):
        yield _error(home, line, f"{signature(function)} is called as {call}")
    if is_generator(function):
        text = f"{name} yields: return its circuits, or write the algorithm as one function marked @hybrid"
        yield _error(home, line, text)
    elif name in _STEPPING:
        yield from _check_returns(function, home)


def _check_returns(function: Function, home: Module) -> Iterator[Finding]:
    end = empty_end(function)
    if end is None:
        return
    wanted = "return a Circuit, a list of them, or Done(value)"
    if returns_value(function):
        yield _warning(home, end, f"{function.name} may end here without a value: {wanted}")
    else:
        yield _error(home, function.lineno, f"{function.name} returns nothing: {wanted}")


def check_function(function: Function, module: Module) -> Iterator[Finding]:
    """What is wrong with an algorithm that is a function marked `@hybrid`."""
    if isinstance(function, ast.AsyncFunctionDef):
        yield _error(module, function.lineno, f"{function.name} is async: write it with def, and without await")
    elif not takes(function, 1):
        yield _error(module, function.lineno, f"{signature(function)} is called as {function.name}(context)")


def _error(module: Module, line: int, text: str) -> Finding:
    return Finding(module.file, line, "error", text)


def _warning(module: Module, line: int, text: str) -> Finding:
    return Finding(module.file, line, "warning", text)
