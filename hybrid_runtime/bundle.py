"""Packs an algorithm on its author's machine. Nothing of it is run: files are read as text."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import BundleError
from hybrid_runtime.protocol.bundles import MAX_BUNDLE_BYTES, Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


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
    modules = list(_local_modules())
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        data = cloudpickle.dumps(algorithm)
    except Exception as error:
        raise BundleError(
            f"{getattr(target, '__name__', target)!r} cannot be sent to a worker: {error}; open files, connections "
            "and locks inside the algorithm instead"
        ) from error
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
    return Bundle(python=_PYTHON, pickle=data, sources=_sources(target, modules))


def _local_modules() -> Iterator[ModuleType]:
    """Imported modules that are not installed: a user's own files, which no worker can import."""
    installed = {str(Path(path).resolve()) for path in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    ours = str(Path(__file__).parent.resolve())
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name in ("__main__", "__mp_main__") or not isinstance(module, ModuleType):
            continue
        path = str(Path(file).resolve())
        if "site-packages" in path or "dist-packages" in path or path.startswith(ours + "/"):
            continue
        if not any(path.startswith(prefix + "/") for prefix in installed):
            yield module


def _sources(target: Any, modules: list[ModuleType]) -> dict[str, str]:
    """Texts for tracebacks: the algorithm's own file, and those of the local modules."""
    code_holder = target if inspect.isfunction(target) or inspect.isclass(target) else type(target)
    names = {module.__file__ for module in modules}
    try:
        names.add(inspect.getsourcefile(code_holder))
    except TypeError:
        names.add(None)  # made without a file, as by exec: there is nothing to show
    texts = {name: "".join(linecache.getlines(name)) for name in names if name}
    return {name: text for name, text in texts.items() if text and len(text) < 1_000_000}
