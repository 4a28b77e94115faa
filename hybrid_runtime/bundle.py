"""Packs an algorithm on its author's machine. Nothing of it is run: files are read as text."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import BundleError
from hybrid_runtime.protocol.bundles import MAX_BUNDLE_BYTES, Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def as_bundle(algorithm: Any) -> Bundle:
    """The bundle of whatever a user may give as an algorithm."""
    if isinstance(algorithm, Bundle):
        return algorithm
    if isinstance(algorithm, str | Path):
        return bundle_file(str(algorithm))
    return bundle_object(algorithm)


def bundle_file(target: str) -> Bundle:
    """The bundle of `FILE` or `FILE:NAME`, with the local modules that the file imports.

    Raises:
        BundleError: the file cannot be read, is not Python, or is too large.
    """
    path_text, name = split_target(target)
    path = Path(path_text)
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise BundleError(f"{path_text} {problem}: give the Python file that holds the algorithm")
    if path.suffix != ".py":
        raise BundleError(f"{path_text} is not a Python file: an algorithm is a file that ends in .py")
    files: dict[str, bytes] = {}
    imported: set[str] = set()
    _collect(path, path.parent, files, imported)
    return Bundle(python=_PYTHON, packages=_versions(imported), entry=path.name, name=name, files=files)


def split_target(target: str) -> tuple[str, str]:
    """`FILE:NAME` as (file, name); the name is empty where there is none."""
    path, colon, name = target.rpartition(":")
    if colon and name.isidentifier() and path:
        return path, name
    return target, ""


def _collect(path: Path, root: Path, files: dict[str, bytes], imported: set[str]) -> None:
    """Take in a file and, from what its imports name, every local module below `root`."""
    waiting = [path]
    while waiting:
        one = waiting.pop()
        key = one.relative_to(root).as_posix()
        if key in files:
            continue
        content = _read(one)
        if sum(map(len, files.values())) + len(content) > MAX_BUNDLE_BYTES:
            raise BundleError(f"{path} and the modules it imports have more than {MAX_BUNDLE_BYTES} bytes")
        files[key] = content
        for module in _imports(parse_source(content, str(one)), one, root):
            local = list(_local_files(module, root))
            if local:
                waiting += local
            else:
                imported.add(module.split(".")[0])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error


def parse_source(content: bytes, name: str) -> ast.Module:
    """The file's syntax tree.

    Raises:
        BundleError: it is not Python; the text shows the line.
    """
    try:
        return ast.parse(content, filename=name)
    except SyntaxError as error:
        line = f"\n    {error.text.strip()}" if error.text else ""
        raise BundleError(f"{name}, line {error.lineno}: {error.msg}{line}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise BundleError(f"{name} is not a Python file: {error}") from None


def _imports(tree: ast.Module, path: Path, root: Path) -> Iterator[str]:
    """The dotted names that a file imports, anywhere in it; relative ones as seen from `root`."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, node.module)) if node.module else ".".join(base)
            if stem:
                yield stem
            yield from (f"{stem}.{alias.name}" if stem else alias.name for alias in node.names)


def _local_files(module: str, root: Path) -> Iterator[Path]:
    """The files below `root` that importing this module would run."""
    folder = root
    parts = module.split(".")
    for index, part in enumerate(parts):
        if (folder / f"{part}.py").is_file():
            yield folder / f"{part}.py"
            return
        folder = folder / part
        if not folder.is_dir() or (index == 0 and not _is_package(folder)):
            return
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"


def _is_package(folder: Path) -> bool:
    """Whether a folder beside the algorithm is meant to be imported: it holds Python files."""
    return any(folder.glob("*.py"))


def _versions(names: set[str]) -> dict[str, str]:
    """Installed versions of the imported packages, where they are known here."""
    foreign = sorted(names - sys.stdlib_module_names - {"hybrid_runtime"})
    if not foreign:
        return {}
    from importlib import metadata  # takes longer to import than everything else here

    found = {}
    for name in foreign:
        try:
            found[name] = metadata.version(name)
        except (metadata.PackageNotFoundError, ValueError):
            continue  # not installed here, or under another name: the worker will tell what it lacks
    return found


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
    return Bundle(python=_PYTHON, pickle=data, sources=_sources(target, modules, data))


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
