"""The files that travel with an algorithm: its own, the local modules it imports, and data. None of them is run."""

from __future__ import annotations

import ast
import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import BundleError
from hybrid_runtime.protocol.bundles import MAX_BUNDLE_BYTES, MAX_FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KEPT_FILES = 64
# The fields of a syntax tree's nodes in which statements stand, or what holds them.
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
# What no pattern takes in, however wide: caches, and what holds a repository's or a user's secrets.
_NEVER = frozenset({"__pycache__", ".git", ".hg", ".svn", ".venv", ".ssh", ".env"})


class Collection:
    """Files by their path seen from the algorithm's folder, beyond which nothing is taken.

    Args:
        entry: The algorithm's file; every local module that it imports, also by way of others, comes with it.

    Attributes:
        files: Their contents.
        imported: Names of the modules that are imported and not local.

    Raises:
        BundleError: a file cannot be read, is not Python, leads out of the folder, or there are too many bytes.
    """

    def __init__(self, entry: Path) -> None:
        self._entry = entry
        self._root = entry.parent
        # The algorithm's own file may be a link: it was named by the user.
        self._real_root = os.path.realpath(self._root)
        self._size = 0
        self.files: dict[str, bytes] = {}
        self.imported: set[str] = set()
        self._collect()

    def text_of_entry(self) -> str:
        """The source of the algorithm's own file."""
        return self.files[self._entry.name].decode("utf-8", "replace")

    def _collect(self) -> None:
        waiting = [self._entry]
        while waiting:
            path = waiting.pop()
            if self._key(path) in self.files:
                continue
            content = self._take(path)
            for module in _imports(content, path, self._root):
                local = list(_local_files(module, self._root))
                if local:
                    waiting += local
                else:
                    self.imported.add(module.split(".")[0])

    def include(self, patterns: Iterable[str]) -> None:
        """Take in the files that match a pattern such as `data/*.csv` or `molecules/**`.

        Raises:
            BundleError: a pattern leads out of the folder or matches nothing, or as above.
        """
        for pattern in patterns:
            matches = list(self._matches(pattern))
            if not matches:
                raise BundleError(f"no file beside {self._entry} matches {pattern!r:.80}: correct the pattern")
            for path in matches:
                if self._key(path) not in self.files:
                    self._take(path)

    def _matches(self, pattern: str) -> Iterator[Path]:
        parts = Path(pattern).parts
        if not parts or Path(pattern).is_absolute() or ".." in parts:
            raise BundleError(f"{pattern!r:.80} leads out of the folder of {self._entry}: move the data into it")
        # A pattern that ends in `**` names folders only, which nobody means.
        wanted = f"{pattern}/*" if parts[-1] == "**" else pattern
        try:
            found = sorted(self._root.glob(wanted))
        except ValueError as error:
            raise BundleError(f"{pattern!r:.80} is not a pattern of files: {error}") from None
        for path in found:
            if _NEVER.isdisjoint(path.relative_to(self._root).parts) and not path.is_dir():
                yield path

    def _key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _take(self, path: Path) -> bytes:
        """Read a file, unless it is not one, is elsewhere, or is too much."""
        if path != self._entry and not self._is_within(path):
            raise BundleError(f"{path} is a link that leads out of {self._root}: copy the file there instead")
        if len(self.files) >= MAX_FILES:
            raise BundleError(f"{self._entry} comes with more than {MAX_FILES} files: leave some out")
        try:
            # Not waiting for somebody to write to a pipe.
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            with os.fdopen(fd, "rb") as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise BundleError(f"{path} is a device, a pipe or a socket: only files can be taken along")
                content = file.read(MAX_BUNDLE_BYTES - self._size + 1)
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}") from error
        self._size += len(content)
        if self._size > MAX_BUNDLE_BYTES:
            raise BundleError(f"{self._entry} and what comes with it have more than {MAX_BUNDLE_BYTES} bytes")
        self.files[self._key(path)] = content
        return content

    def _is_within(self, path: Path) -> bool:
        return os.path.realpath(path).startswith(f"{self._real_root.rstrip(os.sep)}{os.sep}")


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


def _imports(content: bytes, path: Path, root: Path) -> Iterator[str]:
    """The dotted names that a file imports, anywhere in it; relative ones as seen from `root`."""
    package = path.relative_to(root).parent.parts
    for module, names, level in _import_statements(content, str(path)):
        if names is None:
            yield module
            continue
        base = package[: len(package) - level + 1] if level else ()
        stem = ".".join((*base, module)) if module else ".".join(base)
        if stem:
            yield stem
        yield from (f"{stem}.{name}" if stem else name for name in names)


# A file that is submitted again and again, as from a notebook, is parsed once.
@lru_cache(maxsize=_KEPT_FILES)
def _import_statements(content: bytes, name: str) -> tuple[tuple[str, tuple[str, ...] | None, int], ...]:
    """The imports of a file: `import module` as (module, None, 0), others as (module, names, level).

    Raises:
        BundleError: it is not Python.
    """
    found: list[tuple[str, tuple[str, ...] | None, int]] = []
    waiting: list[Any] = [parse_source(content, name)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found += ((alias.name, None, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", tuple(alias.name for alias in node.names), node.level))
        # Only statements, and what holds some, can hold an import: most of a tree is expressions.
        for field in _BLOCKS:
            waiting += getattr(node, field, ())
    return tuple(found)


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
