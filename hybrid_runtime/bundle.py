"""Packs an algorithm on its author's machine. Nothing of it is run: files are read as text."""

from __future__ import annotations

import inspect
import linecache
import os
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hybrid_runtime.declared import declared_in
from hybrid_runtime.errors import BundleError
from hybrid_runtime.files import Collection
from hybrid_runtime.packages import check_requirements, modules_in, versions
from hybrid_runtime.protocol.bundles import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def as_bundle(algorithm: Any) -> Bundle:
    """The bundle of whatever a user may give as an algorithm."""
    if isinstance(algorithm, Bundle):
        return algorithm
    if isinstance(algorithm, str | Path):
        return bundle_file(str(algorithm))
    return bundle_object(algorithm)


def bundle_file(target: str, include: Sequence[str] = ()) -> Bundle:
    """The bundle of `FILE` or `FILE:NAME`, with the local modules that the file imports and the data it needs.

    Args:
        target: The file, and its algorithm where it holds several.
        include: Patterns of data files, seen from the file's folder, besides those that the file declares.

    Raises:
        BundleError: a file cannot be read, is not Python, leads elsewhere, or is too large.
    """
    path_text, name = split_target(target)
    path = Path(path_text)
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise BundleError(f"{path_text} {problem}: give the Python file that holds the algorithm")
    if path.suffix != ".py":
        raise BundleError(f"{path_text} is not a Python file: an algorithm is a file that ends in .py")
    collection = Collection(path)
    declared = declared_in(collection.text_of_entry(), path_text)
    if declared.requires or declared.requires_python:
        check_requirements(declared.requires, declared.requires_python)
    collection.include([*declared.include, *include])
    return Bundle(
        python=_PYTHON,
        packages=versions(collection.imported),
        entry=path.name,
        name=name,
        files=collection.files,
        requires_python=declared.requires_python,
        requires=declared.requires,
        parameters=declared.parameters,
        limits=declared.limits,
    )


def split_target(target: str) -> tuple[str, str]:
    """`FILE:NAME` as (file, name); the name is empty where there is none."""
    path, colon, name = target.rpartition(":")
    if colon and name.isidentifier() and path:
        return path, name
    return target, ""


def bundle_object(algorithm: Any) -> Bundle:
    """The bundle of an algorithm that is an object of this process: from a notebook, a test, a script.

    It is pickled by value, together with whatever it uses of modules that the worker will not have.

    Raises:
        BundleError: it is not an algorithm, or holds something that cannot be pickled.
    """
    import cloudpickle

    from hybrid_runtime.algorithm import HybridAlgorithm, HybridFunction

    target = algorithm.function if isinstance(algorithm, HybridFunction) else algorithm
    wanted = isinstance(algorithm, HybridAlgorithm | HybridFunction) or inspect.isfunction(algorithm)
    if not wanted and not (inspect.isclass(algorithm) and issubclass(algorithm, HybridAlgorithm)):
        raise BundleError(
            f"{algorithm!r:.80} is not an algorithm: give a HybridAlgorithm subclass, a function marked @hybrid, "
            "or the path of a file that holds one"
        )
    with _by_value() as modules:
        try:
            data = cloudpickle.dumps(algorithm)
        except Exception as error:
            raise BundleError(
                f"{getattr(target, '__name__', target)!r} cannot be sent to a worker: {error}; open files, "
                "connections and locks inside the algorithm instead"
            ) from error
    packages = versions(modules_in(data) - {module.__name__.split(".")[0] for module in modules} - {"__main__"})
    return Bundle(python=_PYTHON, packages=packages, pickle=data, sources=_sources(target, modules, data))


@contextmanager
def _by_value() -> Iterator[list[ModuleType]]:
    """While entered, what comes from a user's own modules is pickled with its code; the modules."""
    import cloudpickle

    before = cloudpickle.list_registry_pickle_by_value()
    modules = [module for module in _local_modules() if module.__name__ not in before]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield modules
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _local_modules() -> Iterator[ModuleType]:
    """Imported modules that are not installed: a user's own files, which no worker can import."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        # A module may be known under a second name, as `os.path` is: it is taken once, by its own.
        if name != getattr(module, "__name__", None) or name in ("__main__", "__mp_main__"):
            continue
        if isinstance(module, ModuleType) and isinstance(file, str) and not _is_installed(file):
            yield module


@cache
def _is_installed(file: str) -> bool:
    """Whether a module's file belongs to the interpreter, to an installed package or to us."""
    path = os.path.realpath(file)
    if "/site-packages/" in path or "/dist-packages/" in path:
        return True
    roots = (sys.prefix, sys.base_prefix, sys.exec_prefix, Path(__file__).parent)
    return any(path.startswith(f"{os.path.realpath(root)}/") for root in roots)


def _sources(target: Any, modules: list[ModuleType], data: bytes) -> dict[str, str]:
    """Texts of the files that the pickled code came from, so that tracebacks can show its lines."""
    names = {module.__file__ for module in modules} | set(_code_files(target))
    found = {}
    for name in names:
        # Code names its file: what the pickle does not mention is of no use to it, and not ours to send.
        if name and name.encode("utf-8", "surrogateescape") in data:
            text = "".join(linecache.getlines(name))
            if text and len(text) < 1_000_000:
                found[name] = text
    return found


def _code_files(target: Any) -> Iterator[str]:
    """Files, or cells of a notebook, in which the functions of an algorithm were written."""
    if inspect.isfunction(target):
        yield inspect.unwrap(target).__code__.co_filename
        return
    for cls in (target if inspect.isclass(target) else type(target)).__mro__:
        for member in vars(cls).values():
            if inspect.isfunction(member):
                yield member.__code__.co_filename
