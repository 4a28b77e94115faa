"""From a bundle to an algorithm. Runs a user's code: only ever called inside a worker."""

from __future__ import annotations

import inspect
import linecache
import os
import pickle
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from hybrid_runtime.algorithm import HybridAlgorithm, HybridFunction
from hybrid_runtime.errors import BundleError

if TYPE_CHECKING:
    from hybrid_runtime.protocol.bundles import Bundle


def load_algorithm(bundle: Bundle, folder: Path) -> Any:
    """The algorithm of this bundle: a `HybridAlgorithm` subclass or instance, or a `HybridFunction`.

    Args:
        bundle: What to load.
        folder: Empty folder to unpack its files into; it is put on the import path.

    Raises:
        BundleError: there is no algorithm, or several and no name.
        BaseException: whatever the user's module raises while it is imported.
    """
    if bundle.pickle:
        for name, text in bundle.sources.items():
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        return _accepted(pickle.loads(bundle.pickle), "the pickled object")
    unpack(bundle.files, folder)
    sys.path.insert(0, str(folder / Path(bundle.entry).parent))
    module = _import_file(folder / bundle.entry, bundle.files[bundle.entry])
    return _find(module, bundle.name, bundle.entry)


def unpack(files: dict[str, bytes], folder: Path) -> None:
    """Write the bundle's files below `folder`, read-only."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # O_EXCL: whatever two names may fold to on this file system, no file replaces another.
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(fd, left) :]
        finally:
            os.close(fd)


def _import_file(path: Path, source: bytes) -> ModuleType:
    # The file keeps its own name as a module, unless a module of that name is loaded already: a user's
    # `random.py` must not become everybody's `random`.
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else "user_algorithm"
    if path.suffix != ".py":
        raise BundleError(f"{path.name} cannot be imported: an algorithm is a Python file")
    file = str(path)
    loader = SourceFileLoader(name, file)
    spec = ModuleSpec(name, loader, origin=file)
    spec.has_location = True
    module = ModuleType(name)
    vars(module).update(__spec__=spec, __loader__=loader, __file__=file, __package__="")
    sys.modules[name] = module
    # As an import does, without a search for byte code from an earlier one and the writing of it for a later.
    exec(compile(source, file, "exec", dont_inherit=True), vars(module))
    return module


def candidates(module: ModuleType) -> dict[str, Any]:
    """The algorithms that a module defines itself, by name."""
    return {name: value for name, value in vars(module).items() if _is_algorithm(value, module) and name[0] != "_"}


def _is_algorithm(value: object, module: ModuleType) -> bool:
    if isinstance(value, HybridFunction):
        return value.__module__ == module.__name__
    return (
        inspect.isclass(value)
        and issubclass(value, HybridAlgorithm)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    )


def _find(module: ModuleType, name: str, file: str) -> Any:
    found = candidates(module)
    if name:
        if name in found:
            return found[name]
        value = vars(module).get(name)
        if value is None:
            known = ", ".join(found) or "none"
            raise BundleError(f"{file} has no algorithm named {name!r}; its algorithms: {known}")
        return _accepted(value, f"{name} in {file}")
    if not found:
        raise BundleError(
            f"{file} holds no algorithm: define a subclass of HybridAlgorithm, or mark a function with @hybrid"
        )
    if len(set(map(id, found.values()))) > 1:
        # A base class that another algorithm of the file extends is not meant to be run itself.
        bases = {base for value in found.values() if inspect.isclass(value) for base in value.__mro__[1:]}
        leaves = {key: value for key, value in found.items() if value not in bases}
        if len(set(map(id, leaves.values()))) > 1:
            raise BundleError(
                f"{file} holds several algorithms; name one, as {file}:{next(iter(leaves))} ({', '.join(leaves)})"
            )
        found = leaves
    return next(iter(found.values()))


def _accepted(value: object, what: str) -> Any:
    if isinstance(value, HybridAlgorithm | HybridFunction):
        return value
    if inspect.isclass(value) and issubclass(value, HybridAlgorithm):
        return value
    if isinstance(value, FunctionType):
        return HybridFunction(value)
    raise BundleError(
        f"{what} is {type(value).__name__}, not an algorithm: a HybridAlgorithm subclass or a function marked @hybrid"
    )
