"""Which files of the host a worker may read: the interpreter's library, its packages, the system's shared libraries.

Found once per fork server from the interpreter it runs in. Directories that are merely on `sys.path` (the current
directory, a PYTHONPATH) are not among them: they may hold anything; an environment names such packages by itself.
"""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from pathlib import Path

import hybrid_runtime

# Small read-only files and directories that the C library and the standard library look for.
_SYSTEM_FILES = ("/etc/ld.so.cache", "/usr/share/zoneinfo", "/usr/lib/locale")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def readable_roots(packages: tuple[str, ...] = ()) -> list[str]:
    """The paths that a worker may read at and below, none of them below another.

    Args:
        packages: Further directories of the environment, as absolute paths.

    Raises:
        FileNotFoundError: where one of `packages` does not exist.
    """
    for path in packages:
        os.stat(path)
    wanted = [*packages, *_interpreter(), *_system_libraries(), *_SYSTEM_FILES]
    found: set[str] = set()
    for path in wanted:
        if os.path.exists(path):
            # Both names of a path that leads through a symbolic link: programs look for either.
            found |= {os.path.normpath(path), os.path.realpath(path)}
    return outermost(found)


def closed_folders(paths: list[str]) -> list[str]:
    """The directories on the way to these paths that, by permission bits, not every user may enter."""
    folders = {folder for path in paths for folder in Path(path).parents}
    return sorted(str(folder) for folder in folders if not folder.stat().st_mode & stat.S_IXOTH)


def outermost(paths: set[str]) -> list[str]:
    """The given paths without those that lie below another one."""
    kept: list[str] = []
    for path in sorted(paths, key=lambda path: path.split("/")):
        if not kept or not is_below(path, kept[-1]):
            kept.append(path)
    return kept


def is_below(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def _interpreter() -> list[str]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    found = [sysconfig.get_path(name) for name in names]
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    # A script that lies there, such as pytest, puts its directory first on the path.
    scripts = sysconfig.get_path("scripts")
    for path in sys.path:
        if path == scripts:
            continue
        entry = Path(path)
        in_prefix = any(entry.is_relative_to(prefix) for prefix in prefixes)
        if entry.is_absolute() and (in_prefix or entry.name in ("site-packages", "dist-packages")):
            found.append(path)
    # Some interpreters are a shared library, which extension modules may ask for by name.
    library = (sysconfig.get_config_var(name) for name in ("LIBDIR", "INSTSONAME"))
    return [*found, *hybrid_runtime.__path__, os.path.join(*map(str, library))]


def _system_libraries() -> list[str]:
    multiarch = sysconfig.get_config_var("MULTIARCH")
    if multiarch and os.path.isdir(f"/usr/lib/{multiarch}"):
        return [f"/lib/{multiarch}", f"/usr/lib/{multiarch}", "/lib64"]
    return ["/lib", "/lib64", "/usr/lib", "/usr/lib64"]
